"""Families about limits and ranges: clamping, tariffs, checks, intervals, months."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Scenario, equal, equal_text, throws, verdict


@family(weight=1.4)
def clamping(names: NameSource) -> Scenario:
    """A value brought inside two bounds, or bounds in the wrong order refused."""
    noun = names.noun()
    amount = names.compound(noun)
    name = names.class_name(noun, "Limits", "Bounds", "Range")
    on = names.instance(name)
    method = names.pick("clamp", "limit", "restrict", "bound")
    low, high = names.pick(("low", "high"), ("min", "max"), ("lower", "upper"))
    body = java.fill(
        """
        public ${modifier}int $method(int $amount, int $low, int $high) {
            if ($low > $high) {
                throw new IllegalArgumentException();
            }
            if ($amount < $low) {
                return $low;
            }
            return $amount > $high ? $high : $amount;
        }
        """,
        modifier=on.modifier,
        method=method,
        amount=amount,
        low=low,
        high=high,
    )
    first, second, value = names.integer(0, 20), names.integer(21, 60), names.integer(0, 80)
    swapped = names.chance(0.12)
    if swapped:
        first, second = second, first
    steps = (*on.steps, f"int {amount} = {value};", f"int {low} = {first};", f"int {high} = {second};")
    call = f"{on.name}.{method}({amount}, {low}, {high})"
    if swapped:
        return Scenario(name, body, method, steps, throws("IllegalArgumentException", call), "check order")
    kept, condition = (
        (low, f"below {low}") if value < first else (high, f"above {high}") if value > second else (amount, "inside")
    )
    return Scenario(name, body, method, steps, equal(kept, call), "stay inside", condition)


@family(weight=0.8)
def tariff(names: NameSource) -> Scenario:
    """A price that depends on which of three ranges an amount falls in."""
    noun = names.noun()
    amount = names.compound(noun)
    name = names.class_name(noun, "Tariff", "Fees", "Pricing")
    variable = names.variable(name)
    method = names.method(names.pick("fee", "charge", "cost", "surcharge"), noun)
    limits = sorted(names.integers(2, 1, 12))
    low, high = limits[0] * 5, limits[1] * 5
    fees = sorted(names.integers(3, 0, 30))
    strict = names.pick("<", "<=")
    body = java.fill(
        """
        public int $method(int $amount) {
            if ($amount $strict $low) {
                return $cheap;
            }
            if ($amount $strict $high) {
                return $middle;
            }
            return $dear;
        }
        """,
        method=method,
        amount=amount,
        strict=strict,
        low=low,
        high=high,
        cheap=fees[0],
        middle=fees[1],
        dear=fees[2],
    )
    value = names.pick(low, high, names.integer(0, low), names.integer(low, high), names.integer(high, high + 30))
    reached = [limit < value if strict == "<=" else limit <= value for limit in (low, high)]
    result = fees[sum(reached)]
    steps = (names.construct(name, variable), f"int {amount} = {value};")
    return Scenario(name, body, method, steps, equal(result, f"{variable}.{method}({amount})"), "choose step")


@family(weight=2.0)
def number_check(names: NameSource) -> Scenario:
    """A yes or no about a number: a limit, a divisor, a range."""
    noun = names.noun()
    amount = names.compound(noun)
    name = names.class_name(noun, "Rules", "Validator", "Policy")
    on = names.receiver(name)
    limit, divisor = names.integer(5, 50), names.pick(2, 3, 5, 10)
    value = names.pick(limit, limit + 1, limit - 1, names.integer(0, 60))
    Title = java.capitalised(amount)  # noqa: N806
    method, returned, result = names.pick(
        (f"is{Title}Allowed", f"{amount} <= {limit}", value <= limit),
        (f"is{Title}High", f"{amount} > {limit}", value > limit),
        (f"isEven{Title}", f"{amount} % {divisor} == 0", value % divisor == 0),
        (f"needs{Title}", f"{amount} == 0 || {amount} < {limit}", value < limit),
        (f"accepts{Title}", f"{amount} >= {limit} && {amount} < {limit + 10}", limit <= value < limit + 10),
        (f"rejects{Title}", f"!({amount} == {limit})", value != limit),
    )
    body = java.fill(
        """
        public ${modifier}boolean $method(int $amount) {
            return $returned;
        }
        """,
        modifier=on.modifier,
        method=method,
        amount=amount,
        returned=returned,
    )
    claim = verdict(result, f"{on.name}.{method}({amount})")
    return Scenario(name, body, method, (*on.steps, f"int {amount} = {value};"), claim, "decide")


@family(weight=1.2)
def interval(names: NameSource) -> Scenario:
    """An interval with an open or closed end: membership, length, overlap."""
    noun = names.noun()
    name = names.class_name(noun, "Interval", "Span", "Period")
    variable = names.variable(name)
    start, end = names.pick(("start", "end"), ("from", "until"), ("begin", "finish"))
    contains, length, overlaps = (names.method(verb, noun) for verb in ("contains", "length", "overlaps"))
    closed = names.chance(0.5)
    body = java.fill(
        """
        private final int $start;

        private final int $end;

        public $name(int $start, int $end) {
            this.$start = $start;
            this.$end = $end;
        }

        public boolean $contains(int point) {
            return point >= $start && point $sign $end;
        }

        public int $length() {
            return $end - $start$extra;
        }

        public boolean $overlaps($name other) {
            return $start $sign other.$end && other.$start $sign $end;
        }
        """,
        name=name,
        contains=contains,
        length=length,
        overlaps=overlaps,
        start=start,
        end=end,
        sign="<=" if closed else "<",
        extra=" + 1" if closed else "",
    )
    first, last = sorted(names.integers(2, 0, 20))
    steps: tuple[str, ...] = (names.construct(name, variable, first, last),)
    focal = names.pick(contains, length, overlaps)
    if focal == length:
        claim = equal(last - first + closed, f"{variable}.{length}()")
        return Scenario(name, body, focal, steps, claim, "measure distance")
    if focal == contains:
        point = names.pick(first, last, names.integer(0, 20))
        inside = first <= point <= last if closed else first <= point < last
        steps += (f"int point = {point};",)
        return Scenario(name, body, focal, steps, verdict(inside, f"{variable}.{contains}(point)"), "check point")
    low, high = sorted(names.integers(2, 0, 20))
    if names.chance(0.25):
        low, high = last, last + names.integer(1, 5)
    overlap = first <= high and low <= last if closed else first < high and low < last
    steps += (names.construct(name, "other", low, high),)
    return Scenario(name, body, focal, steps, verdict(overlap, f"{variable}.{overlaps}(other)"), "compare spans")


@family(weight=1.1)
def calendar(names: NameSource) -> Scenario:
    """A year and a month: formatting, succession, quarters, leap years."""
    noun = names.noun()
    name = names.class_name(noun, "Date", "Day", "Schedule")
    variable = names.variable(name)
    shown, following = names.method("format", noun), names.method("nextMonth", noun)
    quarter, leap_year = names.method("quarter", noun), names.method("isLeap", noun)
    separator = names.pick("-", "/", ".")
    body = java.fill(
        """
        private final int year;

        private final int month;

        public $name(int year, int month) {
            if (month < 1 || month > 12) {
                throw new IllegalArgumentException();
            }
            this.year = year;
            this.month = month;
        }

        public String $shown() {
            return year + "$separator" + (month < 10 ? "0" + month : month);
        }

        public int $following() {
            return month == 12 ? 1 : month + 1;
        }

        public int $quarter() {
            return (month - 1) / 3 + 1;
        }

        public boolean $leap_year() {
            return year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
        }
        """,
        name=name,
        shown=shown,
        following=following,
        quarter=quarter,
        leap_year=leap_year,
        separator=separator,
    )
    year, month = names.pick(1900, 2000, names.integer(1990, 2030), names.integer(1990, 2030)), names.integer(1, 12)
    focal = names.pick(shown, following, quarter, leap_year, name)
    if focal == name:
        month = names.pick(0, 13, month)
        fits = 1 <= month <= 12
        if not fits:
            claim = throws("IllegalArgumentException", f"new {name}(year, month)")
            return Scenario(name, body, focal, (f"int year = {year};", f"int month = {month};"), claim, "check month")
        focal = following
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    call = f"{variable}.{focal}()"
    claim = {
        shown: equal_text(f"{year}{separator}{month:02d}", call),
        following: equal(1 if month == 12 else month + 1, call),
        quarter: equal((month - 1) // 3 + 1, call),
        leap_year: verdict(leap, call),
    }[focal]
    return Scenario(name, body, focal, (names.construct(name, variable, year, month),), claim, "follow calendar")
