"""Families about arrays, averages and matrices."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Scenario, equal, equal_array, throws, verdict


@family(weight=0.8)
def array_query(names: NameSource) -> Scenario:
    """One number read from an array: extremes, totals, counts."""
    noun = names.noun()
    amounts = java.plural(names.compound(noun))
    name = names.class_name(noun, "Series", "Samples", "Chart")
    on = names.receiver(name)
    values = names.integers(names.integer(1, 4), 1, 30)
    loop = f"for (int value : {amounts})"
    method, start, step, result = names.pick(
        ("max", f"{amounts}[0]", "best = Math.max(best, value);", max(values)),
        ("min", f"{amounts}[0]", "best = Math.min(best, value);", min(values)),
        ("total", "0", "best += value;", sum(values)),
        ("last", "-1", "best = value;", values[-1]),
        ("count", "0", "best++;", len(values)),
        ("countLarge", "0", "best += value > 10 ? 1 : 0;", sum(value > 10 for value in values)),
        ("countOdd", "0", "best += value % 2;", sum(value % 2 for value in values)),
    )
    method = names.method(method, noun)
    local = names.pick("found", "best", "sum", "answer")
    body = java.fill(
        """
        public ${modifier}int $method(int[] $amounts) {
            int $local = $start;
            $loop {
                $step
            }
            return $local;
        }
        """,
        modifier=on.modifier,
        method=method,
        amounts=amounts,
        local=local,
        start=start,
        loop=loop,
        step=step.replace("best", local),
    )
    steps = (
        *on.steps,
        f"int[] {amounts} = {{{java.listed(values)}}};",
    )
    return Scenario(name, body, method, steps, equal(result, f"{on.name}.{method}({amounts})"), "read array")


@family(weight=1.7)
def array_change(names: NameSource) -> Scenario:
    """A new array made from another, element by element."""
    noun = names.noun()
    amounts = java.plural(names.compound(noun))
    name = names.class_name(noun, "Arrays", "Sequence", "Line")
    on = names.receiver(name)
    values = names.integers(names.integer(1, 4), 1, 20)
    count = len(values)
    limit = names.integer(4, 16)
    method, place, result = names.pick(
        ("reverse", f"{amounts}[length - 1 - i]", values[::-1]),
        ("increment", f"{amounts}[i] + 1", [value + 1 for value in values]),
        ("rotate", f"{amounts}[(i + 1) % length]", values[1:] + values[:1]),
        ("copy", f"{amounts}[i]", values),
        ("cap", f"Math.min({amounts}[i], {limit})", [min(value, limit) for value in values]),
        ("negate", f"-{amounts}[i]", [-value for value in values]),
        ("indexes", "i", list(range(count))),
        ("differences", f"{amounts}[i] - {amounts}[0]", [value - values[0] for value in values]),
    )
    body = java.fill(
        """
        public ${modifier}int[] $method(int[] $amounts) {
            int length = $amounts.length;
            int[] changed = new int[length];
            for (int i = 0; i < length; i++) {
                changed[i] = $place;
            }
            return changed;
        }
        """,
        modifier=on.modifier,
        method=method,
        amounts=amounts,
        place=place,
    )
    steps = (
        *on.steps,
        f"int[] {amounts} = {{{java.listed(values)}}};",
    )
    claim = equal_array("int", result, f"{on.name}.{method}({amounts})")
    return Scenario(name, body, method, steps, claim, "change array")


@family(weight=0.8)
def average(names: NameSource) -> Scenario:
    """Measurements gathered one by one: mean, highest, count."""
    measure = names.measure()
    noun = names.noun()
    name = names.class_name(noun, "Average", "Monitor", "Summary")
    variable = names.variable(name)
    add = names.method(names.pick("add", "record", "accept", "observe"), noun)
    mean, peak = names.method("average", noun), names.method("highest", noun)
    count = names.method("count", noun)
    body = java.fill(
        """
        private double sum;

        private double highest;

        private int count;

        public void $add(double $measure) {
            sum += $measure;
            highest = Math.max(highest, $measure);
            count++;
        }

        public double $mean() {
            return count == 0 ? 0.0 : sum / count;
        }

        public double $peak() {
            return highest;
        }

        public int $count() {
            return count;
        }
        """,
        add=add,
        measure=measure,
        mean=mean,
        peak=peak,
        count=count,
    )
    values = [names.integer(1, 20) / 2 for _ in range(names.integer(0, 2))]
    if len(values) == 2 and (sum(values) * 2) % 2:
        values[1] += 0.5
    focal = names.pick(add, mean, mean, peak, count)
    steps = [names.construct(name, variable), *(f"{variable}.{add}({value});" for value in values)]
    shown = focal if focal != add else names.pick(peak, count)
    middle = sum(values) / len(values) if values else 0.0
    claim = {
        mean: equal(middle, f"{variable}.{mean}()", "double"),
        peak: equal(max(values, default=0.0), f"{variable}.{peak}()", "double", guessable=focal != add),
        count: equal(len(values), f"{variable}.{count}()", guessable=focal != add),
    }[shown]
    return Scenario(name, body, focal, tuple(steps), claim, "summarize", "" if values else "without values")


@family(weight=1.0)
def matrix(names: NameSource) -> Scenario:
    """A two by two grid of ints: cells, rows, columns, symmetry."""
    noun = names.noun()
    name = names.class_name(noun, "Grid", "Matrix", "Board")
    variable = names.variable(name)
    get, trace, line = (names.method(verb, noun) for verb in ("get", "trace", "row"))
    pillar, diagonal, symmetric = (names.method(verb, noun) for verb in ("column", "diagonal", "isSymmetric"))
    policy = names.pick("zero", "throw")
    body = java.fill(
        """
        private final int[][] cells;

        public $name(int[][] cells) {
            this.cells = cells;
        }

        public int $get(int row, int column) {
            if (row >= cells.length || column >= cells[row].length) {
                $outside
            }
            return cells[row][column];
        }

        public int $trace() {
            return cells[0][0] + cells[1][1];
        }

        public int[] $line(int index) {
            return cells[index].clone();
        }

        public int[] $pillar(int index) {
            return new int[] {cells[0][index], cells[1][index]};
        }

        public int[] $diagonal() {
            return new int[] {cells[0][0], cells[1][1]};
        }

        public boolean $symmetric() {
            return cells[0][1] == cells[1][0];
        }
        """,
        name=name,
        get=get,
        trace=trace,
        line=line,
        pillar=pillar,
        diagonal=diagonal,
        symmetric=symmetric,
        outside="return 0;" if policy == "zero" else "throw new IndexOutOfBoundsException();",
    )
    a, b, c, d = (names.integer(0, 9) for _ in range(4))
    b = c if names.chance(0.3) else b
    steps: tuple[str, ...] = (
        f"int[][] cells = {{{{{a}, {b}}}, {{{c}, {d}}}}};",
        names.construct(name, variable, "cells"),
    )
    focal = names.pick(get, get, trace, line, pillar, diagonal, symmetric)
    if focal == get:
        row, column = names.integer(0, 1), names.pick(0, 1, 1, 2)
        steps += (f"int row = {row};", f"int column = {column};")
        call = f"{variable}.{get}(row, column)"
        if column == 2 and policy == "throw":
            return Scenario(name, body, focal, steps, throws("IndexOutOfBoundsException", call), "check cell")
        return Scenario(name, body, focal, steps, equal([[a, b, 0], [c, d, 0]][row][column], call), "read cell")
    if focal in (line, pillar):
        index = names.integer(0, 1)
        steps += (f"int index = {index};",)
        values = [[a, b], [c, d]][index] if focal == line else [[a, c], [b, d]][index]
        claim = equal_array("int", values, f"{variable}.{focal}(index)")
        return Scenario(name, body, focal, steps, claim, "return cells")
    call = f"{variable}.{focal}()"
    claim = {
        trace: equal(a + d, call),
        diagonal: equal_array("int", [a, d], call),
        symmetric: verdict(b == c, call),
    }[focal]
    return Scenario(name, body, focal, steps, claim, "read cells")
