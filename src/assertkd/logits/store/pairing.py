"""Which text the logits of an example are for: the store keeps the hash of a target, not the target."""

from collections.abc import Iterable
from pathlib import Path

from assertkd.corpus.targets import read_teacher_predictions
from assertkd.errors import UserError
from assertkd.layout import LogitsLayout
from assertkd.logits.store.reader import StoreReader
from assertkd.prompts.prompt import Prompt

NO_LIMIT = 1 << 20
"""Longer than any input or target, for a `Prompt` that cuts nothing: the store knows where its targets were cut."""


def stored_target(
    reader: StoreReader, prompt: Prompt, example_id: str, texts: Iterable[str | None]
) -> tuple[str, list[int]]:
    """Return the text that an example's logits were computed for, and its T token ids.

    Args:
        reader: the store.
        prompt: with the run's tokenizer, and `NO_LIMIT` as its limits.
        example_id: the example.
        texts: what the target may have been, as gold and the teacher's prediction; None is passed over.

    Raises:
        UserError: the store has no such example, or its target was none of the texts.
    """
    tokens = reader.tokens(example_id)
    for text in texts:
        if text is None:
            continue
        ids = prompt.encode_target(text)
        ids = [*ids[: tokens - 1], ids[-1]]
        if reader.is_for(example_id, ids):
            return text, ids
    raise UserError(
        f"example {example_id!r}: its logits in {reader.folder} belong neither to its assertion nor to the teacher's "
        "prediction",
        "Name the corpus and the tokenizer that the store was written with.",
    )


def stored_predictions(logits: Path, split: str) -> dict[str, str]:
    """Return record id to the teacher's prediction, from the folder of a run's stores; empty where it has none."""
    path = LogitsLayout(logits).teacher_predictions
    return read_teacher_predictions(path, split) if path.is_file() else {}
