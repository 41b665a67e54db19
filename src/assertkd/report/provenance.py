"""Provenance of a run: its trainings at a glance, and every setting, version and hash."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from assertkd.report.corpus_tables import Table
from assertkd.report.results import Model

SHOWN = (
    *("seed", "settings", "loss", "examples", "optimizer_steps", "skipped_steps", "examples_seen"),
    *("target_tokens", "warmup_steps", "seconds", "peak_memory_mb"),
    *("machine", "versions", "git_commit", "inputs"),
)
"""Keys of `training_report.json` that the page shows for every model, in this order."""

ENDS = r"/:,;'\"`<>\[\]{}()|\n"
FOLDERS = rf"(?:[^\s{ENDS}][^{ENDS}]*/)"
PATH = re.compile(rf"(?:~[\w.-]*/{FOLDERS}*|(?:file:/*(?=/)|(?<![\w/.…~]))/{FOLDERS}+)([^\s{ENDS}]+)")
"""An absolute path in a text, or one in somebody's home; its folders may have blanks in their names."""

HOMES = re.compile(r"(?:file:/*(?=/))?/(?:home|Users)/[^/]*")
"""The home itself, whose last part is who it is of."""

HEADINGS = {
    "examples": "examples",
    "epochs": "epochs",
    "optimizer_steps": "optimizer steps",
    "skipped_steps": "skipped steps",
    "examples_seen": "examples seen",
    "target_tokens": "target tokens",
    "seconds": "training time, s",
    "examples_per_second": "examples / s",
    "peak_memory_mb": "peak memory, MB",
    "device": "device",
    "torch": "torch",
    "git_commit": "commit",
}
"""Columns of the table of trainings."""


def trainings(models: Sequence[Model], labels: Mapping[str, str]) -> Table | None:
    """Return one line a training; None where this run trained nothing."""
    rows = [(labels[model.name], _glance(model.training_report())) for model in models if model.is_trained]
    return Table("", list(HEADINGS.values()), rows) if rows else None


def settings_of(models: Sequence[Model], labels: Mapping[str, str], machine: bool) -> list[tuple[str, str]]:
    """Return per trained model its label and, as YAML, settings, versions and hashes.

    Args:
        models: those of the page.
        labels: by their names.
        machine: whether host and whole paths stay.
    """
    settings = []
    for model in models:
        if model.is_trained:
            report = model.training_report()
            shown = {key: report[key] for key in SHOWN if key in report}
            if not machine:
                shown = without_places(shown)
                shown.get("machine", {}).pop("host", None)
            settings.append((labels[model.name], yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)))
    return settings


def without_places(value: Any) -> Any:
    """Return a JSON value in which absolute paths are cut to their last part, in keys too."""
    if isinstance(value, Mapping):
        return {without_places(key): without_places(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(one) for one in value]
    return PATH.sub(_last_part, value) if isinstance(value, str) else value


def _last_part(path: re.Match[str]) -> str:
    return "…" if HOMES.fullmatch(path.group()) else f"…/{path.group(1)}"


def _glance(report: Mapping[str, Any]) -> list[str]:
    """Return the values of `HEADINGS` as text."""
    commit = report.get("git_commit") or ""
    found = {
        "examples": report.get("examples", {}).get("train"),
        "device": report.get("machine", {}).get("device"),
        "torch": report.get("versions", {}).get("torch"),
        "git_commit": commit[:12] + ("+changes" if commit.endswith("+changes") else ""),
    }
    return [_shown(found.get(key, report.get(key))) for key in HEADINGS]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)
