"""The logits stage: one pass of the teacher over every split, teacher-forced on the targets, into the store."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.corpus.targets import Supervision, training_targets, write_teacher_predictions
from assertkd.errors import UserError
from assertkd.files import sha256_of_file, write_json
from assertkd.logits.codec import Codec
from assertkd.logits.fidelity import Sample, draw_sample
from assertkd.logits.fidelity_figure import draw_fidelity
from assertkd.logits.fidelity_report import described, fidelity_report
from assertkd.logits.head import Float32
from assertkd.logits.manifest import Provenance
from assertkd.logits.registry import build_codec
from assertkd.logits.store_writer import StoreWriter
from assertkd.models.generation import generate_texts
from assertkd.models.seq2seq import TargetLogits, load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts import Prompt
from assertkd.records import Record, read_records
from assertkd.settings import LogitsSettings
from assertkd.training.batches import IGNORED, Example, SpecialIds, collate
from assertkd.training.devices import resolve_device
from assertkd.training.logs import Progress

PREDICTED_SPLITS = ("train", "validation")
"""Splits that students see in training; the test's predictions are the evaluation's."""

log = logging.getLogger(__name__)


def compress_logits(
    settings: LogitsSettings, supervision: Supervision, teacher: Path, corpus: Path, folder: Path
) -> None:
    """Write `{split}/` stores, `teacher_predictions.jsonl`, `fidelity.json` and `fidelity.svg` to `folder`.

    Args:
        settings: codec, batch size and the fidelity report's sample.
        supervision: what the targets are.
        teacher: the fine-tuned teacher's `final_model/`.
        corpus: folder with `{split}.jsonl`.
        folder: where the stores go.

    Raises:
        UserError: the teacher or the corpus is missing, or the teacher's vectors do not fit the codec.
    """
    device = resolve_device(settings.device)
    model = load_model(teacher).to(device).eval()
    tokenizer = load_tokenizer(teacher)
    prompt = Prompt(tokenizer, supervision.max_input_len, supervision.max_output_len)
    records = {split: list(read_records(corpus / f"{split}.jsonl")) for split in ("train", "validation", "test")}
    inputs = {split: [prompt.encode_record(r).ids for r in part] for split, part in records.items()}
    predictions = {
        split: _predict(model, tokenizer, records[split], inputs[split], split, settings, supervision, device)
        for split in PREDICTED_SPLITS
    }
    write_teacher_predictions(folder / "teacher_predictions.jsonl", predictions)
    for split, part in records.items():
        targets = {record.id: record.assertion for record in part}
        if split == "train":
            targets = training_targets(part, supervision, predictions["train"])
        examples = [
            Example(record.id, ids, prompt.encode_target(targets[record.id]))
            for record, ids in zip(part, inputs[split], strict=True)
        ]
        provenance = Provenance(
            tokenizer=sha256_of_file(teacher / "tokenizer.json"),
            teacher=sha256_of_file(_weights(teacher)),
            corpus=sha256_of_file(corpus / f"{split}.jsonl"),
        )
        _compress_split(model, examples, split, settings, provenance, folder / split, device)
        if split == "train":
            # What students train on is what the cache must be true of; the test split decides nothing.
            _report_fidelity(model, examples, settings, folder, device)


def _predict(
    model: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    records: Sequence[Record],
    inputs: Sequence[list[int]],
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


@torch.inference_mode()
def _compress_split(
    model: T5ForConditionalGeneration,
    examples: Sequence[Example],
    split: str,
    settings: LogitsSettings,
    provenance: Provenance,
    folder: Path,
    device: torch.device,
) -> None:
    head = _head(model)
    codec = _codec(settings, head)
    run = TargetLogits(model)
    # Like lengths share a batch; the order is a function of the examples, so a resumed pass repeats it.
    order = sorted(examples, key=lambda example: (len(example.input_ids), example.id))
    said = Progress(f"teacher-forced {split}", len(order))
    with StoreWriter(folder, codec, head, provenance, rows_per_shard=settings.examples_per_shard) as writer:
        for start in range(0, len(order), settings.batch_size):
            chunk = order[start : start + settings.batch_size]
            if all(writer.is_done(example.id) for example in chunk):
                continue
            for example, hidden in zip(chunk, _head_input(run, chunk, device), strict=True):
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


@torch.inference_mode()
def _report_fidelity(
    model: T5ForConditionalGeneration,
    examples: Sequence[Example],
    settings: LogitsSettings,
    folder: Path,
    device: torch.device,
) -> None:
    # A pass of its own, so that a resumed run, which skips what is stored, measures the same sample.
    lengths = [len(example.target_ids) for example in examples]
    chosen = draw_sample(lengths, settings.fidelity.positions, settings.fidelity.seed)
    drawn = sorted((examples[number] for number in chosen), key=lambda example: (len(example.input_ids), example.id))
    run = TargetLogits(model)
    started = time.perf_counter()
    hidden = []
    for start in range(0, len(drawn), settings.batch_size):
        # Each part is copied to the CPU, which waits for the GPU: the clock needs no other.
        hidden += _head_input(run, drawn[start : start + settings.batch_size], device)
    sample = Sample(_head(model), hidden, time.perf_counter() - started)
    report = fidelity_report(sample, _codec(settings, sample.head), device)
    report["sample"] |= {"split": "train", "seed": settings.fidelity.seed}
    write_json(folder / "fidelity.json", report)
    draw_fidelity(report, folder / "fidelity.svg")
    for line in described(report):
        log.info("%s", line)


def _head(model: T5ForConditionalGeneration) -> Float32:
    head: Float32 = model.lm_head.weight.detach().float().cpu().numpy()
    return head


def _head_input(run: TargetLogits, examples: Sequence[Example], device: torch.device) -> list[Float32]:
    """Return for every example the vectors (T, d) that enter the head at its target tokens."""
    config = run.model.config
    batch = collate(examples, SpecialIds(config.pad_token_id, config.decoder_start_token_id), None).to(device)
    hidden = run.head_input(batch.input_ids, batch.attention_mask, batch.decoder_input_ids, batch.labels != IGNORED)
    rows = torch.split(hidden.float().cpu(), [len(example.target_ids) for example in examples])
    return [part.numpy() for part in rows]


def _codec(settings: LogitsSettings, head: Float32) -> Codec:
    parameters = settings.hidden.model_dump() if settings.codec == "hidden" else {}
    return build_codec(settings.codec, head.shape[0], head.shape[1], parameters)


def _weights(folder: Path) -> Path:
    weights = folder / "model.safetensors"
    if weights.is_file():
        return weights
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return index
    raise UserError(f"{folder}: holds no model.safetensors", "Rerun `train_teacher`.")
