"""Writes what the settings say about themselves: `config.schema.json` for editors, `docs/configuration.md` for readers.

python -m assertkd.settings.document
"""

import json
from pathlib import Path
from typing import Any

from pydantic import Field, create_model

from assertkd.files import write_text
from assertkd.settings.distillation import DistillationSettings
from assertkd.settings.load import SECTIONS
from assertkd.settings.option_paths import Option, option_paths
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
        parts += [f"{_row(option)}\n" for option in option_paths(name, model)]
    return "".join(parts)


def _row(option: Option) -> str:
    default = json.dumps(option.default, default=list)
    cells = [f"`{option.key}`", option.meaning, option.values, f"`{default}`"]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_documents(folder: Path) -> None:
    """Write both files below the project's folder."""
    write_text(folder / "config.schema.json", json.dumps(json_schema(), indent=2) + "\n")
    write_text(folder / "docs" / "configuration.md", configuration_page())


if __name__ == "__main__":
    write_documents(Path.cwd())
