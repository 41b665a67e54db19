"""The logits stage: one pass of the teacher over every split, teacher-forced on the targets, into the store."""

import logging
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.corpus.targets import Supervision, training_targets, write_teacher_predictions
from assertkd.errors import UserError
from assertkd.files import sha256_of_file, write_json
from assertkd.logits.codec import Codec
from assertkd.logits.fidelity_figure import draw_fidelity
from assertkd.logits.fidelity_report import described, fidelity_report
from assertkd.logits.head import Float32
from assertkd.logits.manifest import Provenance
from assertkd.logits.registry import build_codec
from assertkd.logits.store_writer import StoreWriter
from assertkd.logits.teacher_pass import by_length, head_inputs, lm_head, sample_positions
from assertkd.models.generation import generate_texts
from assertkd.models.seq2seq import TargetLogits, load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts import Prompt
from assertkd.records import Record, read_records
from assertkd.settings import LogitsSettings
from assertkd.training.batches import Example
from assertkd.training.devices import resolve_device
from assertkd.training.logs import Progress

SPLITS = ("train", "validation", "test")
PREDICTED_SPLITS = ("train", "validation")
"""Splits that students see in training; the test's predictions are the evaluation's."""

log = logging.getLogger(__name__)


def compress_logits(
    settings: LogitsSettings,
    supervision: Supervision,
    teacher: Path,
    corpus: Path,
    folder: Path,
    temperatures: Sequence[float] = (),
) -> None:
    """Write `{split}/` stores, `teacher_predictions.jsonl`, `fidelity.json` and `fidelity.svg` to `folder`.

    Args:
        settings: codec, batch size and the fidelity report's sample.
        supervision: what the targets are.
        teacher: the fine-tuned teacher's `final_model/`.
        corpus: folder with `{split}.jsonl`.
        folder: where the stores go.
        temperatures: those that the codec `topk` keeps the tail's mass at, besides 1; the other codecs are good
            for every temperature.

    Raises:
        UserError: the teacher or the corpus is missing, or the teacher's vectors do not fit the codec.
    """
    device = resolve_device(settings.device)
    model = load_model(teacher).to(device).eval()
    tokenizer = load_tokenizer(teacher)
    prompt = Prompt(tokenizer, supervision.max_input_len, supervision.max_output_len)
    predictions: dict[str, dict[str, str]] = {}
    # One split after the other, so that only one is in memory.
    for split in SPLITS:
        records, inputs = _read(corpus / f"{split}.jsonl", prompt)
        targets = {record.id: record.assertion for record in records}
        if split in PREDICTED_SPLITS:
            predictions[split] = _predict(model, tokenizer, records, inputs, split, settings, supervision, device)
        if split == "train":
            targets = training_targets(records, supervision, predictions["train"])
        examples = [
            Example(record.id, ids, prompt.encode_target(targets[record.id]))
            for record, ids in zip(records, inputs, strict=True)
        ]
        provenance = Provenance(
            tokenizer=sha256_of_file(teacher / "tokenizer.json"),
            teacher=sha256_of_file(_weights(teacher)),
            corpus=sha256_of_file(corpus / f"{split}.jsonl"),
        )
        _compress_split(model, examples, split, settings, temperatures, provenance, folder / split, device)
        if split == "train":
            # What students train on is what the cache must be true of; the test split decides nothing.
            _report_fidelity(model, examples, settings, temperatures, folder, device)
    write_teacher_predictions(folder / "teacher_predictions.jsonl", predictions)


def _read(path: Path, prompt: Prompt) -> tuple[list[Record], list[Sequence[int]]]:
    """Return a split's records without the sources, which nothing asks for once they are encoded, and the inputs."""
    records, inputs = [], list[Sequence[int]]()
    for record in read_records(path):
        inputs.append(array("i", prompt.encode_record(record).ids))
        records.append(Record(record.id, "", "", record.assertion))
    return records, inputs


def _predict(
    model: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    records: Sequence[Record],
    inputs: Sequence[Sequence[int]],
    split: str,
    settings: LogitsSettings,
    supervision: Supervision,
    device: torch.device,
) -> dict[str, str]:
    texts = generate_texts(
        model,
        tokenizer,
        inputs,
        batch_size=settings.batch_size,
        max_new_tokens=supervision.max_output_len,
        num_beams=settings.num_beams,
        device=device,
        progress=Progress(f"teacher predicts {split}", len(records)).at,
    )
    empty = sum(not text for text in texts)
    if empty:
        log.warning("%s: the teacher predicts nothing for %d of %d records", split, empty, len(texts))
    return {record.id: text for record, text in zip(records, texts, strict=True)}


def _compress_split(
    model: T5ForConditionalGeneration,
    examples: Sequence[Example],
    split: str,
    settings: LogitsSettings,
    temperatures: Sequence[float],
    provenance: Provenance,
    folder: Path,
    device: torch.device,
) -> None:
    head = lm_head(model)
    codec = _codec(settings, temperatures, head)
    run = TargetLogits(model)
    # The order is a function of the examples, so a resumed pass repeats it.
    order = by_length(examples)
    said = Progress(f"teacher-forced {split}", len(order))
    with StoreWriter(
        folder, codec, head, provenance, temperatures=temperatures, rows_per_shard=settings.examples_per_shard
    ) as writer:
        for start in range(0, len(order), settings.batch_size):
            chunk = order[start : start + settings.batch_size]
            if all(writer.is_done(example.id) for example in chunk):
                continue
            for example, hidden in zip(chunk, head_inputs(run, chunk, device), strict=True):
                if not writer.is_done(example.id):
                    writer.add(example.id, example.target_ids, hidden)
            said.at(start + len(chunk))
        manifest = writer.finish()
    size = sum(file.stat().st_size for file in folder.iterdir())
    log.info(
        "%s: %d examples, %d target tokens, %.1f MB (%.0f bytes a token)",
        split,
        manifest.rows,
        manifest.tokens,
        size / 1e6,
        size / manifest.tokens,
    )


def _report_fidelity(
    model: T5ForConditionalGeneration,
    examples: Sequence[Example],
    settings: LogitsSettings,
    temperatures: Sequence[float],
    folder: Path,
    device: torch.device,
) -> None:
    wanted = settings.fidelity
    # A pass of its own, so that a resumed run, which skips what is stored, measures the same sample.
    sample = sample_positions(model, examples, wanted.positions, wanted.seed, settings.batch_size, device)
    report = fidelity_report(sample, _codec(settings, temperatures, sample.head), device)
    report["sample"] |= {"split": "train", "seed": wanted.seed}
    write_json(folder / "fidelity.json", report)
    draw_fidelity(report, folder / "fidelity.svg")
    for line in described(report):
        log.info("%s", line)


def _codec(settings: LogitsSettings, temperatures: Sequence[float], head: Float32) -> Codec:
    parameters: dict[str, Any] = {}
    if settings.codec == "hidden":
        parameters = settings.hidden.model_dump()
    elif settings.codec == "topk":
        parameters = {"temperatures": temperatures, **settings.topk.model_dump()}
    return build_codec(settings.codec, head.shape[0], head.shape[1], parameters)


def _weights(folder: Path) -> Path:
    weights = folder / "model.safetensors"
    if weights.is_file():
        return weights
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return index
    raise UserError(f"{folder}: holds no model.safetensors", "Rerun `train_teacher`.")
