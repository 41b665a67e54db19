"""Predictions of one model on one split."""

from collections.abc import Callable, Sequence
from pathlib import Path

from assertkd.errors import UserError
from assertkd.models.text_generator import TextGenerator
from assertkd.predictions import PASSED_THROUGH, Prediction, write_predictions
from assertkd.records import Record


def predict_split(
    writer: TextGenerator,
    records: Sequence[Record],
    encoded_inputs: Sequence[Sequence[int]],
    output_file: Path,
    *,
    batch_size: int,
    max_new_tokens: int,
    num_beams: int = 1,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Let the model write an assertion for every record, write them to `output_file` and return them.

    Args:
        writer: the model.
        records: the split's records.
        encoded_inputs: token ids of every record's model input, in the order of `records`.
        output_file: `predictions.jsonl`, one line a record, in the order of `records`.
        batch_size: records that are decoded together.
        max_new_tokens: longest output in tokens, EOS included.
        num_beams: 1 decodes greedily, more by beam search.
        progress: called after every batch with the number of records that are done.

    Raises:
        UserError: there are no records.
        ValueError: there is not one encoded input for every record.
    """
    if not records:
        raise UserError("the split has no records", "Check `corpus/quality.json`: it says what became of the records.")
    if len(records) != len(encoded_inputs):
        raise ValueError(f"{len(records)} records, but {len(encoded_inputs)} encoded inputs")
    texts = writer.write(
        encoded_inputs,
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        progress=progress,
    )
    write_predictions(
        output_file,
        (
            Prediction(record.id, text, record.assertion, sort_of_example(record))
            for record, text in zip(records, texts, strict=True)
        ),
    )
    return texts


def sort_of_example(record: Record) -> dict[str, object]:
    """Return those fields of a record that say what sort of example it is, where it has them."""
    fields = record.extra | {"project": record.project}
    return {name: fields[name] for name in PASSED_THROUGH if fields.get(name) is not None}
