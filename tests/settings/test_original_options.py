"""The page on the original pipeline's options: complete, and true of the settings."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from assertkd.losses.registry import COMPONENTS
from assertkd.settings import load_run
from assertkd.settings.load import SECTIONS
from assertkd.settings.original import ORIGINAL
from assertkd.validate import validate

PAGE = (Path(__file__).parents[2] / "docs/original-options.md").read_text(encoding="utf-8")

HEADER = ["original option", "original default", "key here", "default here", "note"]
NO_KEY = ("—", "run")


def tables() -> dict[str, list[list[str]]]:
    """Return the rows of the table below each second-level heading."""
    found = {}
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        assert rows[0] == HEADER
        assert all(len(row) == len(HEADER) for row in rows), part.splitlines()[0]
        found[part.splitlines()[0]] = rows[2:]
    return found


ROWS = [(script, *row) for script, rows in tables().items() for row in rows]


def value(cell: str) -> Any:
    """Return what a cell's code means as YAML; a number with an exponent is a number."""
    parsed = yaml.safe_load(cell.strip("`"))
    try:
        return float(parsed) if isinstance(parsed, str) else parsed
    except ValueError:
        return parsed


def default_of(key: str) -> Any:
    """Return the built-in default of a dotted key."""
    run = load_run({"run": "r", "runs": {"r": {}}})
    if key == "seeds":
        return list(run.seeds)
    section, *rest = key.split(".")
    default: Any = SECTIONS[section]()
    for part in rest:
        default = getattr(default, part)
    return list(default) if isinstance(default, tuple) else default


def test_no_option_is_missing() -> None:
    assert {script: [row[0] for row in rows] for script, rows in tables().items()} == {
        script: [f"`--{name}`" for name in options] for script, options in ORIGINAL.items()
    }


@pytest.mark.parametrize(("script", "option", "original", "key", "here", "note"), ROWS)
def test_a_row_is_true(script: str, option: str, original: str, key: str, here: str, note: str) -> None:
    key = key.strip("`")
    if key in NO_KEY:
        assert here == "—"
        assert note
        return
    assert value(here) == default_of(key)
    if original in ("`required`", "`not stated`"):
        assert note, "says what the default is taken from"
    elif value(original) != value(here):
        assert re.match(r"differs: \w+", note)


def test_no_option_is_refused() -> None:
    sampling = {"epoch_sampling": True, "max_train_samples": 1}
    variants: dict[str, dict[str, Any]] = {
        **{name: {"loss": {"components": [name], "weights": [1]}} for name in COMPONENTS},
        "weighted": {"loss": {"components": ["ce"], "token_weighting": {"enabled": True}}},
        "sampled": {"training": sampling, "loss": {"components": ["ce"]}},
    }
    validate(load_run({"run": "r", "runs": {"r": {}}, "variants": variants}))
