"""The page on the original's commands: complete, and every command on it is taken as the page says."""

import re
from pathlib import Path
from typing import Any

import pytest

from assertkd.cli import parser_for
from assertkd.commands.options import settings_of
from assertkd.settings.original import ORIGINAL

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "original-commands.md").read_text(encoding="utf-8")
OPTIONS_PAGE = (DOCS / "original-options.md").read_text(encoding="utf-8")
SCALING = {"training_dir", "log_file"}
SAMPLES = {
    "distillation.loss.components": ["ce", "kl"],
    "distillation.loss.weights": ["0.5", "0.5"],
    "seeds": ["1", "2"],
}
"""Values of options that take several."""


def tables(page: str) -> dict[str, list[list[str]]]:
    """Return the rows of the table below each second-level heading, without its head."""
    found = {}
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        found[part.splitlines()[0]] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return found


ROWS = [(script, *row) for script, rows in tables(PAGE).items() for row in rows]


def setting(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = settings[part]
    return settings


def test_both_pages_and_the_table_hold_the_same_options() -> None:
    rows = tables(PAGE)
    assert {row[0] for row in rows.pop("scripts/analyse_loss_scaling.py")} == {f"`--{name}`" for name in SCALING}
    assert {script: [row[0] for row in table] for script, table in rows.items()} == {
        script: [f"`--{name}`" for name in options] for script, options in ORIGINAL.items()
    }
    keys = {
        (script, row[0].strip("`-")): row[2].strip("`")
        for script, table in tables(OPTIONS_PAGE).items()
        for row in table
    }
    assert {place: "" if key == "—" else key for place, key in keys.items()} == {
        (script, option): key for script, options in ORIGINAL.items() for option, key in options.items()
    }


@pytest.mark.parametrize(("script", "original", "command", "key"), ROWS)
def test_an_option_sets_what_the_page_says(script: str, original: str, command: str, key: str) -> None:
    program, name, option = command.strip("`").split()
    assert (program, f"`{option}`") == ("assertkd", original)
    is_key = key.startswith("`")
    plain = key.strip("`")
    given = SAMPLES.get(plain, ["7"])
    if plain == "distillation.training.precision" or key == "the stage `compress`":
        given = []
    arguments = [name, option, *given]
    options = parser_for(arguments).parse_args(arguments)
    if plain == "seeds":
        assert options.seeds == [1, 2]
    elif is_key:
        expected: Any = [float(v) if v[0] == "0" else v for v in given] if plain in SAMPLES else 7
        assert setting(settings_of(options), plain) == ("fp16" if not given else expected)
        assert ORIGINAL[script][option.strip("-")] == plain
    else:
        assert any(value in (Path("7"), True) for value in vars(options).values()), "it arrives somewhere"


def test_flags_are_flags_and_take_a_value_too() -> None:
    for arguments, value in (([], True), (["True"], True), (["false"], False)):
        line = ["distill", "--pin_memory", *arguments]
        assert setting(settings_of(parser_for(line).parse_args(line)), "distillation.training.pin_memory") is value


def test_an_option_means_what_its_own_script_meant(capsys: pytest.CaptureFixture[str]) -> None:
    for name, key in (("distill", "distillation.loss.temperature"), ("score", "evaluation.eval_temperature")):
        line = [name, "--temperature", "2.5"]
        assert setting(settings_of(parser_for(line).parse_args(line)), key) == 2.5
    with pytest.raises(SystemExit):
        parser_for(["prepare"]).parse_args(["prepare", "--epochs", "3"])
    assert "--epochs" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["prepare", "train-teacher", "compress", "distill", "predict", "score", "report"])
def test_help_can_be_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        parser_for([name]).parse_args([name, "--help"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert "keys of config.yaml" in printed
    assert printed.splitlines()[0].startswith(f"usage: assertkd {name} [--run NAME")
