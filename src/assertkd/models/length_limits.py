"""The longest input and output that a model was trained for, where transformers itself keeps such figures.

In a `final_model/` they are `n_positions` of `config.json` and `max_new_tokens` of `generation_config.json`; an export
has them in its description. Read without torch or transformers.
"""

from pathlib import Path
from typing import Any, NamedTuple

from assertkd.files import read_json
from assertkd.layout import ModelLayout
from assertkd.models.exported import describe_export, is_export


class Limits(NamedTuple):
    """Lengths in tokens.

    Attributes:
        input: of the longest input.
        output: of the longest output, its end token included.
    """

    input: int
    output: int


UNKNOWN = Limits(512, 128)
"""For a model that says nothing of its own: CodeT5+'s input length, and the default output length of a run."""


def limits_of(folder: Path, max_input: int | None = None, max_output: int | None = None) -> Limits:
    """Return what the model of a folder was trained for, or `max_input` and `max_output` where they are given."""
    trained = _trained(folder)
    return Limits(max_input or trained.input, max_output or trained.output)


def _trained(folder: Path) -> Limits:
    if is_export(folder):
        description = describe_export(folder)
        return Limits(description.max_input_len, description.max_output_len)
    files = ModelLayout(folder)
    return Limits(
        _read(files.config).get("n_positions") or UNKNOWN.input,
        _read(files.generation_config).get("max_new_tokens") or UNKNOWN.output,
    )


def _read(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}
