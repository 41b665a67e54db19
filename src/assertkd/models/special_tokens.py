"""The padding, end and start tokens of a model: one rule for training, decoding and exports.

The tokenizer says which tokens pad and end an output. A model's `config.json` and `generation_config.json` have to name
the same; of several end tokens the tokenizer's must be one. What neither file names is the tokenizer's, and outputs
start with the padding token where neither names another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError

PAD, END, START = "pad_token_id", "eos_token_id", "decoder_start_token_id"


@dataclass(frozen=True, slots=True)
class NamedTokens:
    """What one file of a model names: token ids by key, those that it does not name left out; `END` may have several.

    Attributes:
        file: its name.
    """

    file: str
    ids: Mapping[str, tuple[int, ...]]


def named_tokens(
    folder: str | Path, file: str, content: Mapping[str, Any], new_ids: Mapping[int, int] | None = None
) -> NamedTokens:
    """Return what the content of a model's file names.

    Args:
        folder: of the model, for the error.
        file: its name.
        content: the file's.
        new_ids: id to the one that it gets in a cut vocabulary; None where ids stay.

    Raises:
        UserError: an id is no whole number from 0.
    """
    ids: dict[str, tuple[int, ...]] = {}
    for key in (PAD, END, START):
        value: Any = content.get(key)
        several = value if isinstance(value, list) and key == END else [value]
        if value is None:
            continue
        if not several or not all(type(one) is int and one >= 0 for one in several):
            raise UserError(f"{folder}: {file}: {key}: {value!r} is no token id", "Set a whole number from 0.")
        ids[key] = tuple(one if new_ids is None else new_ids.get(one, one) for one in several)
    return NamedTokens(file, ids)


def special_tokens(
    name: str | Path, files: tuple[NamedTokens, ...], tokenizer: PreTrainedTokenizerFast | None
) -> dict[str, int | list[int]]:
    """Return a model's padding, end and start ids by key, as a configuration has them.

    Args:
        name: of the model, for the error.
        files: what its files name, the one that decides first.
        tokenizer: that it is used with; None where only its weights are.

    Raises:
        UserError: listing the ids that are not the tokenizer's, or that differ between the files.
    """
    named = {key: ids for file in reversed(files) for key, ids in file.ids.items()}
    if tokenizer is not None:
        if faults := [*_faults(files, tokenizer)]:
            raise UserError(f"{name}: {'; '.join(faults)}", "Correct these files, or use the tokenizer of the model.")
        named = {PAD: (tokenizer.pad_token_id,), END: (tokenizer.eos_token_id,)} | named
    if PAD in named:
        named = {START: named[PAD]} | named
    return {key: ids[0] if len(ids) == 1 else list(ids) for key, ids in named.items()}


def _faults(files: tuple[NamedTokens, ...], tokenizer: PreTrainedTokenizerFast) -> list[str]:
    faults = []
    for key, own in ((PAD, tokenizer.pad_token_id), (END, tokenizer.eos_token_id)):
        for file in files:
            ids = file.ids.get(key)
            if ids is not None and own not in ids:
                faults.append(f"{file.file}: {key} is {', '.join(map(str, ids))}, the tokenizer's {own}")
    starts = {file.file: file.ids[START][0] for file in files if START in file.ids}
    if len(set(starts.values())) > 1:
        faults.append(" and ".join(f"{file}: {START} is {start}" for file, start in starts.items()))
    for name, start in starts.items():
        if start not in tokenizer.all_special_ids:
            faults.append(f"{name}: {START} is {start}, which is no special token of the tokenizer")
    return faults
