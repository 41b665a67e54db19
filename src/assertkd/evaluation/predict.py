"""The rule `predict`: one finished model writes its assertions for the test split, and is measured."""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from assertkd.batching.examples import Example
from assertkd.errors import UserError
from assertkd.evaluation.cost import MemoryMeter, measure_speed
from assertkd.evaluation.divergence import kl_divergence
from assertkd.files import write_json
from assertkd.layout import EvaluationLayout
from assertkd.logits.store.reader import StoreReader
from assertkd.models.text_generator import TextGenerator, TorchTextGenerator, load_text_generator
from assertkd.predictions import PASSED_THROUGH, Prediction, write_predictions
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records
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
    output = EvaluationLayout(folder)
    device = resolve_device(settings.device)
    meter = MemoryMeter(device)
    generator = load_text_generator(model_folder, device)
    if teacher_logits is not None and not isinstance(generator, TorchTextGenerator):
        raise UserError(
            f"{model_folder}: the divergence from the teacher cannot be measured on an export",
            "Evaluate the model that it was made of, or leave the teacher's logits out.",
        )
    prompt = Prompt(generator.tokenizer, max_input_len, max_output_len)
    records = list(islice(read_records(test_file), settings.limit))
    inputs = [prompt.encode_record(record).ids for record in records]

    def generate(some: Sequence[Sequence[int]], batch_size: int) -> None:
        generator.generate(some, batch_size=batch_size, max_new_tokens=max_output_len, num_beams=settings.num_beams)

    started = time.monotonic()
    predict_split(
        generator,
        records,
        inputs,
        output.predictions,
        batch_size=settings.batch_size,
        max_new_tokens=max_output_len,
        num_beams=settings.num_beams,
        progress=Progress("predicted", len(records)).at,
    )
    measured: dict[str, Any] = {
        "parameters": generator.parameters,
        "disk_bytes": sum(file.stat().st_size for file in model_folder.rglob("*") if file.is_file()),
        "examples": len(records),
        "seconds": round(time.monotonic() - started, 3),
        **meter.as_dict(),
        **measure_speed(generate, inputs).as_dict(),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "num_beams": settings.num_beams,
    }
    if teacher_logits is not None and isinstance(generator, TorchTextGenerator):
        examples = [
            Example(record.id, ids, prompt.encode_target(record.assertion))
            for record, ids in zip(records, inputs, strict=True)
        ]
        store = StoreReader.of_inputs(teacher_logits, records=test_file, tokenizer=model_folder)
        measured |= {
            "kl_divergence": kl_divergence(
                generator.model, examples, store, settings.eval_temperature, settings.batch_size, device
            ),
            "kl_divergence_is": "whole" if store.codec.keeps_vocabulary else "lower bound",
            "eval_temperature": settings.eval_temperature,
        }
    write_json(output.measured, measured)


def predict_split(
    generator: TextGenerator,
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
        generator: the model.
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
    texts = generator.generate(
        encoded_inputs,
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        progress=progress,
    )
    write_predictions(
        output_file,
        (prediction_of(record, text) for record, text in zip(records, texts, strict=True)),
    )
    return texts


def prediction_of(record: Record, text: str) -> Prediction:
    """Return a record's prediction with the fields of the record that say what sort of example it is."""
    fields = record.extra | {"project": record.project}
    about = {name: fields[name] for name in PASSED_THROUGH if fields.get(name) is not None}
    return Prediction(record.id, text, record.assertion, about)
