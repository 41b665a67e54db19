"""The longest input and output that a model was trained for, where transformers itself keeps such figures.

In a `final_model/` they are `n_positions` of `config.json` and `max_new_tokens` of `generation_config.json`; an export
has them in its description. Read without torch or transformers.
"""

from pathlib import Path
from typing import NamedTuple

from assertkd.models.exported import describe_export, is_export
from assertkd.models.model_folder import input_length, output_length


class Limits(NamedTuple):
    """Lengths in tokens of the longest input and of the longest output, its end token included."""

    input: int
    output: int


UNKNOWN = Limits(512, 128)
"""For a model that says nothing of its own: CodeT5+'s input length, and the default output length of a run."""


def limits_of(folder: Path, max_input: int | None = None, max_output: int | None = None) -> Limits:
    """Return what the model of a folder was trained for, or `max_input` and `max_output` where they are given.

    Raises:
        UserError: its files are damaged, or give something else than lengths.
    """
    if is_export(folder):
        description = describe_export(folder)
        trained = Limits(description.max_input_len, description.max_output_len)
    else:
        trained = Limits(input_length(folder) or UNKNOWN.input, output_length(folder) or UNKNOWN.output)
    return Limits(max_input or trained.input, max_output or trained.output)
