"""The longest input and output that a model was trained for, where transformers itself keeps such figures.

In a `final_model/` they are `n_positions` of `config.json` and `max_new_tokens` of `generation_config.json`; an export
has them in its description. Read without torch or transformers.
"""

from pathlib import Path
from typing import NamedTuple

from assertkd.files import read_json
from assertkd.layout import ModelLayout
from assertkd.models.exported import describe_export, is_export


class Limits(NamedTuple):
    """Lengths in tokens of the longest input and of the longest output, its end token included."""

    input: int
    output: int


UNKNOWN = Limits(512, 128)
"""For a model that says nothing of its own: CodeT5+'s input length, and the default output length of a run."""


def limits_of(folder: Path, max_input: int | None = None, max_output: int | None = None) -> Limits:
    """Return what the model of a folder was trained for, or `max_input` and `max_output` where they are given."""
    if is_export(folder):
        description = describe_export(folder)
        trained = Limits(description.max_input_len, description.max_output_len)
    else:
        files = ModelLayout(folder)
        config, generation = (
            read_json(file) if file.is_file() else {} for file in (files.config, files.generation_config)
        )
        trained = Limits(config.get("n_positions") or UNKNOWN.input, generation.get("max_new_tokens") or UNKNOWN.output)
    return Limits(max_input or trained.input, max_output or trained.output)
