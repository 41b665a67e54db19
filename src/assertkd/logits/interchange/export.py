"""Writes a run's stored logits in the interchange form, one example in memory at a time."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assertkd.batching.distributions import FullDistribution
from assertkd.errors import UserError
from assertkd.jsonl import write_lines
from assertkd.layout import SPLITS, TEACHER, InterchangeLayout, RunLayout
from assertkd.logits.interchange.lines import DTYPE, STORED, pack_logits
from assertkd.logits.store.reader import NO_LIMIT, StoreReader, stored_predictions, stored_target
from assertkd.models.tokenizer import load_tokenizer
from assertkd.predictions import read_predictions
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records

log = logging.getLogger(__name__)


def export_logits(run: Path, output: Path, splits: Sequence[str] = SPLITS) -> dict[Path, int]:
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
    layout = RunLayout(run)
    readers = {split: _reader(layout, split) for split in splits}
    prompt = Prompt(load_tokenizer(layout.corpus.tokenizer), NO_LIMIT, NO_LIMIT)
    # What is missing is found before anything is written.
    predictions = {split: _predictions(layout, split) for split in splits}
    counts = {}
    for split, reader in readers.items():
        path = InterchangeLayout(output).split(split)
        records = layout.corpus.split(split)
        counts[path] = write_lines(path, _lines(reader, prompt, records, predictions[split]))
        log.info("%s: %d examples", path, counts[path])
    return counts


def _command(layout: RunLayout) -> str:
    """Return the command that makes a file of a run."""
    config = layout.folder / "config.yaml"
    run = f"--configfile {config} --" if config.is_file() else f"--config run={layout.folder.name} --"
    return f"snakemake --profile profiles/local {run}"


def _reader(layout: RunLayout, split: str) -> StoreReader:
    folder = layout.logits.store(split)
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such store, so nothing was written",
            f"Make it: {_command(layout)} {folder}.",
        )
    reader = StoreReader(folder)
    if not reader.codec.keeps_vocabulary:
        raise UserError(
            f"{folder}: the codec `{reader.codec.name}` keeps the likeliest tokens and the mass of the rest, "
            "and the interchange form holds every logit of the vocabulary",
            "Set logits.codec: hidden (or dense), let `compress_logits` run again, and export then.",
        )
    return reader


def _predictions(layout: RunLayout, split: str) -> dict[str, str]:
    if split != "test":
        return stored_predictions(layout.logits.folder, split)
    path = layout.evaluation(TEACHER).predictions
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, so the teacher's predictions for the test are missing, and nothing was written",
            f"Make it: {_command(layout)} {path}; or leave the test out: --split train validation.",
        )
    return {one.id: one.prediction for one in read_predictions(path)}


def _lines(
    reader: StoreReader, prompt: Prompt, records: Path, predictions: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    for record in read_records(records):
        prediction = predictions.get(record.id)
        _, target_ids = stored_target(reader, prompt, record.id, (record.assertion, prediction))
        view = reader.collate_views([reader.read(record.id, target_ids)])
        assert isinstance(view, FullDistribution)
        with np.errstate(over="ignore"):
            logits = view.logits(slice(0, view.num_tokens)).numpy().astype(STORED)
        if not np.isfinite(logits).all():
            raise UserError(
                f"example {record.id!r}: a logit in {reader.folder} does not fit float16",
                "Check the teacher: its logits are out of the usual range.",
            )
        line = record.as_dict() | {
            "teacher_logits_compressed": pack_logits(logits),
            "teacher_logits_shape": list(logits.shape),
            "teacher_logits_dtype": DTYPE,
            "target_ids": target_ids,
        }
        yield line if prediction is None else line | {"teacher_prediction": prediction}
