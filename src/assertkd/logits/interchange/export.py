"""Writes a run's stored logits in the interchange form, one example in memory at a time."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from assertkd.batching.distributions import FullDistribution
from assertkd.errors import UserError
from assertkd.files import written_whole
from assertkd.logits.interchange.lines import FILES, interchange_line
from assertkd.logits.interchange.packed_logits import STORED, Float16
from assertkd.logits.store.pairing import LONGEST, stored_predictions, stored_target
from assertkd.logits.store.reader import StoreReader
from assertkd.models.tokenizer import load_tokenizer
from assertkd.predictions import read_predictions
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records

log = logging.getLogger(__name__)


def export_logits(run: Path, output: Path, splits: Sequence[str] = tuple(FILES)) -> dict[Path, int]:
    """Write `distillation_data_{training,validation,test}.jsonl` to `output`, each file whole.

    The logits are rounded to float16: those of the codec `dense` come out as they are stored. The test's predictions
    are those that the evaluation of the teacher wrote.

    Args:
        run: `results/{run}`, with its corpus and its stores.
        output: folder of the files.
        splits: which of train, validation and test.

    Returns:
        Each file with its number of examples.

    Raises:
        UserError: something is missing, a store keeps less than the whole distribution, or a logit lies beyond float16.
    """
    prompt = Prompt(load_tokenizer(run / "corpus" / "tokenizer"), LONGEST, LONGEST)
    readers = {split: _reader(run / "logits" / split) for split in splits}
    written = {}
    for split, reader in readers.items():
        path = output / FILES[split]
        written[path] = _export_split(path, reader, prompt, run / "corpus" / f"{split}.jsonl", _predictions(run, split))
    return written


def _reader(folder: Path) -> StoreReader:
    reader = StoreReader(folder)
    if not isinstance(reader.collate_views([]), FullDistribution):
        raise UserError(
            f"{folder}: the codec `{reader.codec.name}` keeps the likeliest tokens and the mass of the rest, "
            "and the interchange form holds every logit of the vocabulary",
            "Set logits.codec: hidden (or dense), let `compress_logits` run again, and export then.",
        )
    return reader


def _predictions(run: Path, split: str) -> dict[str, str]:
    if split != "test":
        return stored_predictions(run / "logits", split)
    path = run / "evaluation" / "teacher" / "predictions.jsonl"
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, so the teacher's predictions for the test are not known",
            "Let `predict` run for the teacher first, or leave the test out: --split train validation.",
        )
    return {one.id: one.prediction for one in read_predictions(path)}


def _export_split(path: Path, reader: StoreReader, prompt: Prompt, corpus: Path, predictions: Mapping[str, str]) -> int:
    count = 0
    with written_whole(path) as handle:
        for count, record in enumerate(read_records(corpus), start=1):  # noqa: B007
            prediction = predictions.get(record.id)
            _, target_ids = stored_target(reader, prompt, record.id, (record.assertion, prediction))
            line = interchange_line(record, target_ids, _logits(reader, record.id, target_ids), prediction)
            handle.write(json.dumps(line, ensure_ascii=False) + "\n")
    log.info("%s: %d examples", path, count)
    return count


def _logits(reader: StoreReader, example_id: str, target_ids: Sequence[int]) -> Float16:
    view = reader.collate_views([reader.read(example_id, target_ids)])
    if not isinstance(view, FullDistribution):
        raise TypeError("the store was checked to hold full distributions")
    with np.errstate(over="ignore"):
        logits = view.logits(slice(0, view.num_tokens)).numpy().astype(STORED)
    if not np.isfinite(logits).all():
        raise UserError(
            f"example {example_id!r}: a logit in {reader.folder} does not fit float16",
            "Check the teacher: its logits are out of the usual range.",
        )
    return logits
