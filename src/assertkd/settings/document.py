"""Writes what the settings say about themselves: `config.schema.json` for editors, `docs/configuration.md` for readers.

python -m assertkd.settings.document
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from assertkd.files import write_text
from assertkd.settings.load import SECTIONS
from assertkd.settings.schema import DistillationSettings
from assertkd.settings.section import Section, Seed

INTRODUCTION = """# Configuration

Every key of `config.yaml`: what it means, its values and its default. Written from the settings themselves by
`make docs`; `config.schema.json` says the same to an editor.

| key | meaning | values | default |
| --- | --- | --- | --- |
| `run` | the entry of `runs` that is run; its results stand in `results/<run>/` | a name | needed |
| `seeds` | one student a variant is trained with each | list of integers | `[42]` |
| `runs.<name>` | what differs in one run: `seeds`, a list `variants` of those to train (default: all), and any of the \
sections below | mapping | needed |
| `variants.<name>` | one student configuration: what differs from `distillation` | mapping | `{}` |

A value is looked up in the variant (students only), then in the run, then in the section at the top level; where none
names it, the default below holds.
"""


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of `config.yaml`."""
    # pydantic's create_model takes its fields as keyword arguments, which mypy cannot follow from a dict.
    sections: dict[str, Any] = {name: (model, Field(default_factory=model)) for name, model in SECTIONS.items()}
    run = create_model(
        "Run",
        __base__=Section,
        __doc__="What differs in one run.",
        seeds=(list[Seed], Field(default=[42], description="One student a variant is trained with each.")),
        variants=(list[str], Field(default=[], description="The variants to train; all where it is left out.")),
        **sections,
    )
    config = create_model(
        "Config",
        __base__=Section,
        __doc__="config.yaml of AssertKD.",
        run=(str, Field(description="The entry of `runs` that is run.")),
        seeds=(list[Seed], Field(default=[42], description="One student a variant is trained with each.")),
        runs=(dict[str, run], Field(description="What differs in each run.")),
        variants=(dict[str, DistillationSettings], Field(default={}, description="One student configuration each.")),
        **sections,
    )
    return config.model_json_schema()


def configuration_page() -> str:
    """Return the page that lists every key."""
    parts = [INTRODUCTION]
    for name, model in SECTIONS.items():
        parts.append(
            f"\n## {name}\n\n{model.__doc__}\n\n| key | meaning | values | default |\n| --- | --- | --- | --- |\n"
        )
        parts += [f"{row}\n" for row in _rows(name, model)]
    return "".join(parts)


def _rows(path: str, model: type[Section]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{path}.{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _rows(key, field.annotation)
            continue
        default = json.dumps(field.get_default(call_default_factory=True), default=list)
        cells = [f"`{key}`", " ".join((field.description or "").split()), _values(model, name, field), f"`{default}`"]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
}


def _values(model: type[Section], name: str, field: FieldInfo) -> str:
    schema = model.model_json_schema()["properties"][name]
    return _described(schema) + (", or null" if type(None) in get_args(field.annotation) else "")


def _described(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_described(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = {"boolean": "true or false", "string": "text", "array": "list", "object": "mapping"}.get(
        str(schema.get("type")), str(schema.get("type"))
    )
    if kind == "list" and "items" in schema:
        kind = f"list of {_described(schema['items'])}"
    if "pattern" in schema:
        kind = f"text like `{schema['pattern']}`"
    bounds = [words.format(schema[key]) for key, words in BOUNDS.items() if key in schema]
    return ", ".join([kind, *bounds])


def write_documents(folder: Path) -> None:
    """Write both files below the project's folder."""
    write_text(folder / "config.schema.json", json.dumps(json_schema(), indent=2) + "\n")
    write_text(folder / "docs" / "configuration.md", configuration_page())


if __name__ == "__main__":
    write_documents(Path.cwd())
