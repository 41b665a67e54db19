"""The `predict` rule's work: one finished model writes its assertions for the test split and is measured."""

import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from assertkd.batching.examples import Example
from assertkd.errors import UserError
from assertkd.evaluation.cost import MemoryMeter, measure_speed
from assertkd.evaluation.divergence import kl_divergence
from assertkd.evaluation.predict_split import predict_split
from assertkd.files import write_json
from assertkd.logits.store.reader import StoreReader
from assertkd.models.text_generator import TorchTextGenerator, load_text_generator
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records
from assertkd.runtime.devices import resolve_device
from assertkd.runtime.progress import Progress
from assertkd.settings import EvaluationSettings


def predict(
    settings: EvaluationSettings,
    max_input_len: int,
    max_output_len: int,
    model_folder: Path,
    test_file: Path,
    teacher_logits: Path | None,
    folder: Path,
) -> None:
    """Write `predictions.jsonl` and `measured.json` (size, speed, memory, divergence from the teacher) to `folder`.

    Meant for a process of its own, since the peak memory of this one is measured, up to the end of the prediction.
    `kl_divergence_is` says "lower bound" where the store keeps a support and the mass of the rest, and "whole" where
    it keeps the whole vocabulary: the two must not be compared.

    Args:
        settings: decoding, and the temperature of the divergence.
        max_input_len: longest input, in tokens.
        max_output_len: longest prediction, in tokens.
        model_folder: a `final_model/`, or an export.
        test_file: the test split.
        teacher_logits: the teacher's store of the test split; None for the teacher itself.
        folder: where the files go.

    Raises:
        UserError: an input is missing or does not fit the others.
    """
    device = resolve_device(settings.device)
    meter = MemoryMeter(device)
    writer = load_text_generator(model_folder, device)
    if teacher_logits is not None and not isinstance(writer, TorchTextGenerator):
        raise UserError(
            f"{model_folder}: the divergence from the teacher cannot be measured on an export",
            "Judge the model that it was made of, or leave the teacher's logits out.",
        )
    prompt = Prompt(writer.tokenizer, max_input_len, max_output_len)
    records = list(islice(read_records(test_file), settings.limit))
    inputs = [prompt.encode_record(record).ids for record in records]

    def write(some: Sequence[Sequence[int]], batch_size: int) -> None:
        writer.write(some, batch_size=batch_size, max_new_tokens=max_output_len, num_beams=settings.num_beams)

    started = time.monotonic()
    predict_split(
        writer,
        records,
        inputs,
        folder / "predictions.jsonl",
        batch_size=settings.batch_size,
        max_new_tokens=max_output_len,
        num_beams=settings.num_beams,
        progress=Progress("predicted", len(records)).at,
    )
    measured: dict[str, Any] = {
        "parameters": writer.parameters,
        "disk_bytes": sum(file.stat().st_size for file in model_folder.rglob("*") if file.is_file()),
        "examples": len(records),
        "seconds": round(time.monotonic() - started, 3),
        **meter.as_dict(),
        **measure_speed(write, inputs).as_dict(),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "num_beams": settings.num_beams,
    }
    if teacher_logits is not None and isinstance(writer, TorchTextGenerator):
        examples = [
            Example(record.id, ids, prompt.encode_target(record.assertion))
            for record, ids in zip(records, inputs, strict=True)
        ]
        store = StoreReader(teacher_logits)
        measured |= {
            "kl_divergence": kl_divergence(
                writer.model, examples, store, settings.eval_temperature, settings.batch_size, device
            ),
            "kl_divergence_is": "whole" if store.codec.keeps_vocabulary else "lower bound",
            "eval_temperature": settings.eval_temperature,
        }
    write_json(folder / "measured.json", measured)
