"""Conclusions from the leaderboard, in sentences. None calls a variant better without a significant test over seeds."""

from collections.abc import Sequence

from assertkd.evaluation.comparison import Comparison, Difference, format_steps
from assertkd.evaluation.shuffled import SHUFFLED
from assertkd.layout import EXTERNAL, TEACHER
from assertkd.report.leaderboard import MAIN, STUDENT, Row, variant_rows

COSTS = {"parameters": "weights", "model_memory_mb": "memory", "latency_ms": "time for an assertion"}
"""Costs in which a student is compared with its teacher, and their names in the sentence."""

LISTED = 3
"""Variants that a sentence lists with their differences; the table has all."""


def conclusions(rows: Sequence[Row], comparison: Comparison | None) -> list[str]:
    """Return which models win and by how much, one sentence each, the most important first.

    Args:
        rows: the leaderboard.
        comparison: every variant against the baseline; None where nothing was compared.
    """
    one_each = variant_rows(rows)
    teacher = next((row for row in one_each if row.model == TEACHER), None)
    students = [row for row in one_each if row.model == STUDENT]
    systems = [row for row in one_each if row.model == EXTERNAL]
    sentences = []
    if students:
        best = f"Highest exact match of the students: {students[0].variant}, {students[0].figures[MAIN]:.1%}"
        sentences.append(best + ("." if teacher is None else f"; the teacher has {teacher.figures[MAIN]:.1%}."))
    elif teacher is not None:
        sentences.append(f"So far only the teacher is evaluated: {teacher.figures[MAIN]:.1%} exact match.")
    if comparison is not None and comparison.baseline is not None:
        sentences += _against_baseline(comparison)
        if comparison.teacher is not None and (difference := comparison.teacher[MAIN].difference) is not None:
            sentences.append(_teacher_against(comparison.baseline, difference))
    elif len(students) > 1:
        sentences.append("The variants have not been tested against a baseline, so no difference is called real here.")
    if systems:
        best = f"{systems[0].variant}, {systems[0].figures[MAIN]:.1%}"
        sentences.append(f"Highest exact match of the other systems: {best}.")
    if students and teacher is not None and (cost := _cost(students[0], teacher)):
        sentences.append(cost)
    if falls := _shuffled([*students[:1], *([teacher] if teacher is not None else [])]):
        sentences.append(falls)
    return sentences


def _against_baseline(comparison: Comparison) -> list[str]:
    differences = {
        name: difference
        for name, figures in comparison.variants.items()
        if name != comparison.baseline and (difference := figures[MAIN].difference) is not None
    }
    tested = {name: one for name, one in differences.items() if one.test is not None}
    unequal = {name: one.unequal_steps for name, one in differences.items() if one.unequal_steps is not None}
    untested = {name: one for name, one in differences.items() if one.test is None and name not in unequal}
    better = {name: one for name, one in tested.items() if one.significant and one.mean > 0}
    worse = {name: one for name, one in tested.items() if one.significant and one.mean < 0}
    open_ = [name for name in tested if name not in better and name not in worse]
    sentences = []
    if better:
        sentences.append(f"{_count(better)} significantly better than {comparison.baseline}: {_all(better)}.")
    elif tested:
        sentences.append(f"No variant is significantly better than {comparison.baseline}.")
    if worse:
        sentences.append(f"{_count(worse)} significantly worse: {_all(worse)}.")
    if open_:
        sentences.append(f"Without a significant difference from {comparison.baseline}: {', '.join(open_)}.")
    if unequal:
        budgets = {pair: [name for name in unequal if unequal[name] == pair] for pair in unequal.values()}
        parts = [f"{', '.join(names)} ({format_steps(*pair)})" for pair, names in budgets.items()]
        sentences.append(
            f"Trained for other optimizer steps than {comparison.baseline}, so called neither better nor worse: "
            f"{'; '.join(parts)}."
        )
    if untested:
        parts = [f"{name} {_with_interval(one)}" for name, one in _by_size(untested)]
        listed = parts if len(parts) <= LISTED + 1 else [*parts[:LISTED], f"{len(parts) - LISTED} more in the table"]
        reasons = dict.fromkeys(str(one.reason) for one in untested.values())
        sentences.append(
            f"These trained models against {comparison.baseline}, on the same test examples: {', '.join(listed)}. "
            f"Their variants were not tested: {', or '.join(reasons)}."
        )
    return sentences


def _count(differences: dict[str, Difference]) -> str:
    return f"{len(differences)} variant{'s are' if len(differences) > 1 else ' is'}"


def _all(differences: dict[str, Difference]) -> str:
    ordered = _by_size(differences)
    listed, others = (ordered, []) if len(ordered) <= LISTED + 1 else (ordered[:LISTED], ordered[LISTED:])
    parts = [f"{name} by {format_size(one)}" for name, one in listed]
    if others:
        parts.append(f"{len(others)} more by {abs(100 * others[-1][1].mean):.1f} to {abs(100 * others[0][1].mean):.1f}")
    return ", ".join(parts)


def _by_size(differences: dict[str, Difference]) -> list[tuple[str, Difference]]:
    return sorted(differences.items(), key=lambda item: -abs(item[1].mean))


def _with_interval(difference: Difference) -> str:
    low, high = format_points(difference.low), format_points(difference.high)
    return f"{format_points(difference.mean)} points ({low} to {high})"


def format_size(difference: Difference) -> str:
    """Return the size of a difference with its interval, in percentage points, the sign left out."""
    bounds = sorted((abs(100 * difference.low), abs(100 * difference.high)))
    return f"{abs(100 * difference.mean):.1f} points ({bounds[0]:.1f} to {bounds[1]:.1f})"


def format_points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}"


def format_p(p: float) -> str:
    """Return a p-value as text."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _teacher_against(baseline: str, difference: Difference) -> str:
    if difference.p_holm is None:
        return (
            f"This trained teacher against {baseline}, on the same test examples: {_with_interval(difference)}. "
            f"Not tested: {difference.reason}."
        )
    if not difference.significant:
        return (
            f"This trained teacher does not differ significantly from {baseline} "
            f"({format_points(difference.mean)} points, {format_p(difference.p_holm)}): there may be nothing to distil."
        )
    side = "better" if difference.mean > 0 else "worse"
    return f"This trained teacher is significantly {side} than {baseline}, by {format_size(difference)}."


def _cost(best: Row, teacher: Row) -> str | None:
    """Return what the best student keeps and saves."""
    shares = [
        f"{best.figures[name] / teacher.figures[name]:.0%} of its {words}"
        for name, words in COSTS.items()
        if name in best.figures and teacher.figures.get(name)
    ]
    if not shares or not teacher.figures[MAIN]:
        return None
    *first, last = shares
    listed = f"{', '.join(first)} and {last}" if first else last
    kept = best.figures[MAIN] / teacher.figures[MAIN]
    return f"{best.variant} has {kept:.0%} of the teacher's exact match with {listed}."


def _shuffled(models: Sequence[Row]) -> str | None:
    """Return these models' code quality against other tests' assertions, where it was measured."""
    parts = [
        f"{one.name} {one.figures[SHUFFLED]:.1%} instead of {one.figures['code_quality_score']:.1%}"
        for one in models
        if SHUFFLED in one.figures
    ]
    if not parts:
        return None
    return (
        f"Code quality against the assertions of other tests: {', '.join(parts)}. Only the difference comes from "
        "reading the test."
    )
