"""The logits stage: one pass of the teacher over every split, teacher-forced on the targets, into the store."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.corpus.targets import Supervision, training_targets, write_teacher_predictions
from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.logits.manifest import Provenance
from assertkd.logits.registry import build_codec, codec_parameters
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
    settings: LogitsSettings,
    supervision: Supervision,
    teacher: Path,
    corpus: Path,
    folder: Path,
    temperatures: Sequence[float] = (),
) -> None:
    """Write `{split}/` stores and `teacher_predictions.jsonl` to `folder`.

    Args:
        settings: codec and batch size.
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
        _compress_split(model, examples, split, settings, temperatures, provenance, folder / split, device)


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
    temperatures: Sequence[float],
    provenance: Provenance,
    folder: Path,
    device: torch.device,
) -> None:
    head = model.lm_head.weight.detach().float().cpu().numpy()
    codec = build_codec(settings.codec, head.shape[0], head.shape[1], codec_parameters(settings, temperatures))
    special = SpecialIds(model.config.pad_token_id, model.config.decoder_start_token_id)
    run = TargetLogits(model)
    # Like lengths share a batch; the order is a function of the examples, so a resumed pass repeats it.
    order = sorted(examples, key=lambda example: (len(example.input_ids), example.id))
    said = Progress(f"teacher-forced {split}", len(order))
    with StoreWriter(
        folder, codec, head, provenance, temperatures=temperatures, rows_per_shard=settings.examples_per_shard
    ) as writer:
        for start in range(0, len(order), settings.batch_size):
            chunk = order[start : start + settings.batch_size]
            if all(writer.is_done(example.id) for example in chunk):
                continue
            batch = collate(chunk, special, None).to(device)
            hidden = run.head_input(
                batch.input_ids, batch.attention_mask, batch.decoder_input_ids, batch.labels != IGNORED
            )
            rows = torch.split(hidden.float().cpu(), [len(example.target_ids) for example in chunk])
            for example, part in zip(chunk, rows, strict=True):
                if not writer.is_done(example.id):
                    writer.add(example.id, example.target_ids, part.numpy())
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


def _weights(folder: Path) -> Path:
    weights = folder / "model.safetensors"
    if weights.is_file():
        return weights
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return index
    raise UserError(f"{folder}: holds no model.safetensors", "Rerun `train_teacher`.")
