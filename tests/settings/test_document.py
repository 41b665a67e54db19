"""What the settings say of themselves: every key, to readers and on the command line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assertkd.cli import parser_for
from assertkd.commands.options import settings_of
from assertkd.settings.document import configuration_page, json_schema, option_paths
from assertkd.settings.load import SECTIONS

PROJECT = Path(__file__).parents[2]
SCHEMA = json_schema()


def leaves(path: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield the keys below a key that hold no section, by the schema."""
    for one in (schema, *schema.get("anyOf", ())):
        if "$ref" in one:
            for name, below in SCHEMA["$defs"][one["$ref"].rpartition("/")[2]]["properties"].items():
                yield from leaves(f"{path}.{name}", below)
            return
    yield path


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_the_schema_is_an_option(section: str) -> None:
    options = {option.key: option for option in option_paths(section, SECTIONS[section])}
    assert options.keys() >= set(leaves(section, SCHEMA["properties"][section]))
    assert not [key for key, option in options.items() if "None" in option.values or not option.values]


def test_the_page_is_of_these_settings() -> None:
    page = (PROJECT / "docs/configuration.md").read_text(encoding="utf-8")
    assert page == configuration_page()
    assert "| `distillation.model.tokenizer` |" in page and "| mapping, or null | `null` |" in page


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--distillation.model.tokenizer.vocab_size", "512"], {"vocab_size": 512}),
        (["--distillation.model.tokenizer", "null", "--distillation.model.tokenizer.name", "x"], {"name": "x"}),
        (["--distillation.model.tokenizer", "{name: x}"], {"name": "x"}),
        (["--distillation.model.tokenizer.name", "x", "--distillation.model.tokenizer", "null"], None),
        (
            ["--distillation.model.tokenizer", "{name: x}", "--distillation.model.tokenizer.vocab_size", "512"],
            {"name": "x", "vocab_size": 512},
        ),
    ],
)
def test_options_of_a_section_that_may_be_null(options: list[str], expected: Any) -> None:
    line = ["distill", *options]
    found = settings_of(parser_for(line).parse_args(line))
    assert found["distillation"]["model"]["tokenizer"] == expected
