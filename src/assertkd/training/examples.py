"""From a split's records to the examples that a training run sees."""

from array import array
from collections.abc import Mapping
from pathlib import Path

from assertkd.prompts import Prompt
from assertkd.records import Record, read_records
from assertkd.settings import TrainingSettings
from assertkd.training.batches import Example
from assertkd.training.validation import DecodedSample


def training_examples(
    records: list[Record],
    targets: Mapping[str, str],
    prompt: Prompt,
    settings: TrainingSettings,
    *,
    marked: bool = False,
) -> list[Example]:
    """Return the examples of the records that have a target, at most `max_train_samples` of them.

    Args:
        records: the training split.
        targets: record id to target text.
        prompt: encodes them.
        settings: says how many.
        marked: whether to mark critical target tokens.
    """
    chosen = [record for record in records if record.id in targets][: settings.max_train_samples]
    return [_example(record, targets[record.id], prompt, marked) for record in chosen]


def validation_examples(
    path: Path, prompt: Prompt, settings: TrainingSettings
) -> tuple[list[Example], DecodedSample | None]:
    """Return the validation examples with their gold targets, at most `max_val_samples`, and those to decode."""
    records = list(read_records(path))[: settings.max_val_samples]
    examples = [_example(record, record.assertion, prompt) for record in records]
    if not settings.enhanced_metrics:
        return examples, None
    count = settings.validation_samples
    references = [record.assertion for record in records[:count]]
    return examples, DecodedSample(examples[:count], references, prompt.max_output_len, max(32, settings.batch_size))


def _example(record: Record, target: str, prompt: Prompt, marked: bool = False) -> Example:
    source = array("i", prompt.encode_record(record).ids)
    if marked:
        ids, critical = prompt.encode_target_marked(target)
        return Example(record.id, source, ids, target, critical)
    return Example(record.id, source, prompt.encode_target(target), target)
