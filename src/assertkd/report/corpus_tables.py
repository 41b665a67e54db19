"""Figures of the corpus as small tables, whatever keys `quality.json` has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONG_LABEL = 14
"""Outer keys longer than this make poor column headings, and become rows."""


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table; without headings it lists labels with one value each."""

    title: str
    headings: list[str]
    rows: list[tuple[str, list[str]]]


def corpus_tables(quality: Mapping[str, Any]) -> list[Table]:
    """Return one table for every mapping in `quality`, and one for the single figures.

    A mapping of mappings (figures of every split, say) becomes a grid, any other a list of labels and values.
    """
    mappings = {name: value for name, value in quality.items() if isinstance(value, Mapping) and value}
    tables = [
        grid(name, value) if all(isinstance(inner, Mapping) for inner in value.values()) else listed(words(name), value)
        for name, value in mappings.items()
    ]
    single = {name: value for name, value in quality.items() if not isinstance(value, Mapping)}
    return [*tables, listed("other figures", single)] if single else tables


def listed(title: str, values: Mapping[str, Any]) -> Table:
    """Return a table of labels with one value each; nested keys are joined."""
    return Table(title, [], [(label, [value]) for label, value in flat(values).items()])


def grid(name: str, values: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table with the outer keys as columns, or as rows where they are long."""
    columns = {outer: flat(inner) for outer, inner in values.items()}
    inner_labels = list(dict.fromkeys(label for inner in columns.values() for label in inner))
    if max(map(len, columns)) > LONG_LABEL:
        rows = [(words(outer), [inner.get(label, "") for label in inner_labels]) for outer, inner in columns.items()]
        return Table(words(name), inner_labels, rows)
    rows = [(label, [inner.get(label, "") for inner in columns.values()]) for label in inner_labels]
    return Table(words(name), [words(outer) for outer in columns], rows)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return every value of nested mappings under its joined keys."""
    values_by_label: dict[str, str] = {}
    for name, value in values.items():
        label = f"{prefix}{words(str(name))}"
        if isinstance(value, Mapping):
            values_by_label |= flat(value, f"{label}: ")
        else:
            values_by_label[label] = shown(value, values.get("count"))
    return values_by_label


def shown(value: Any, count: int | None = None) -> str:
    """Return a value as text: grouped digits, shortened lists, which may be the beginning of `count` entries."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, list):
        rest = max(len(value), count or 0) - 3
        more = f" and {rest:,} more" if len(value) >= 3 and rest > 0 else ""
        return ", ".join(map(shown, value[:3])) + more
    return "" if value is None else str(value)


def words(name: str) -> str:
    """Return a key as words."""
    return name.replace("_", " ")
