"""What the settings say of themselves: to the command line, to editors (`config.schema.json`), to readers (`docs/`).

python -m assertkd.settings.document
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import Field, create_model

from assertkd.files import write_text
from assertkd.settings.distillation import DistillationSettings
from assertkd.settings.load import SECTIONS
from assertkd.settings.section import Section, Seed, section_in

INTRODUCTION = """# Configuration

Every key of `config.yaml`: what it means, its values and its default. Written from the settings themselves by
`make docs`; `config.schema.json` says the same to an editor.

| key | meaning | values | default |
| --- | --- | --- | --- |
| `run` | the entry of `runs` that is run; its results stand in `results/<run>/` | a name | needed |
| `seeds` | one student a variant is trained with each; three or more allow tests | list of integers | `[42]` |
| `runs.<name>` | what differs in one run: `seeds`, a list `variants` of those to train (default: all), and any of the \
sections below | mapping | needed |
| `variants.<name>` | one student configuration: what differs from `distillation` | mapping | `{}` |

A value is looked up in the variant (students only), then in the run, then in the section at the top level; where none
names it, the default below holds. What `--config` says at the top level goes over the chosen run's, but not over
its variants (`--config variants='{best: {…}}'` does); in a file, that of `--configfile` too, it stays below the run.
"""


BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its dotted path, its docstring on one line, what it may be in words, and its built-in default."""

    key: str
    meaning: str
    values: str
    default: Any
    is_flag: bool
    is_list: bool


@cache
def option_paths(path: str, model: type[Section]) -> tuple[Option, ...]:
    """Return every option in and below a section, in the order in which they are declared.

    A section that may be null is an option itself, before those in it.
    """
    return tuple(_option_paths(path, model))


def _option_paths(path: str, model: type[Section]) -> Iterator[Option]:
    schema = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        key = f"{path}.{name}"
        below, is_optional = section_in(field.annotation), type(None) in get_args(field.annotation)
        if below is not None and not is_optional:
            yield from option_paths(key, below)
            continue
        values = _in_words(schema[name]) + (", or null" if is_optional else "")
        yield Option(
            key=key,
            meaning=" ".join((field.description or "").split()),
            values=values,
            default=field.get_default(call_default_factory=True),
            is_flag=values == "true or false",
            is_list=values.startswith("list"),
        )
        if below is not None:
            yield from option_paths(key, below)


def _in_words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_in_words(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    # What has no type is a section elsewhere in the schema.
    kind = schema.get("type", "object")
    kind = {"boolean": "true or false", "string": "text", "array": "list", "object": "mapping"}.get(kind, kind)
    if kind == "list" and "items" in schema:
        kind = f"list of {_in_words(schema['items'])}"
    if "pattern" in schema:
        kind = f"text like `{schema['pattern']}`"
    return ", ".join([kind, *(words.format(schema[key]) for key, words in BOUNDS.items() if key in schema)])


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of `config.yaml`."""
    # pydantic's create_model takes its fields as keyword arguments, which mypy cannot follow from a dict.
    sections: dict[str, Any] = {name: (model, Field(default_factory=model)) for name, model in SECTIONS.items()}
    seeds = (
        list[Seed],
        Field(
            default=[42],
            description="One student a variant is trained with each; three or more allow tests.",
        ),
    )
    run = create_model(
        "Run",
        __base__=Section,
        __doc__="What differs in one run.",
        seeds=seeds,
        variants=(list[str], Field(default=[], description="The variants to train; all where it is left out.")),
        **sections,
    )
    config = create_model(
        "Config",
        __base__=Section,
        __doc__="config.yaml of AssertKD.",
        run=(str, Field(description="The entry of `runs` that is run.")),
        seeds=seeds,
        runs=(dict[str, run], Field(description="What differs in each run.")),
        variants=(dict[str, DistillationSettings], Field(default={}, description="One student configuration each.")),
        **sections,
    )
    return config.model_json_schema()


def configuration_page() -> str:
    """Return the page that lists every key."""
    page = INTRODUCTION
    for name, model in SECTIONS.items():
        page += f"\n## {name}\n\n{model.__doc__}\n\n| key | meaning | values | default |\n| --- | --- | --- | --- |\n"
        for option in option_paths(name, model):
            default = f"`{json.dumps(option.default, default=list)}`"
            cells = (f"`{option.key}`", option.meaning, option.values, default)
            page += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    return page


if __name__ == "__main__":
    write_text(Path("config.schema.json"), json.dumps(json_schema(), indent=2) + "\n")
    write_text(Path("docs/configuration.md"), configuration_page())
