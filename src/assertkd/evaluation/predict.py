"""The rule `predict`: one finished model writes its assertions for the test split, and is measured."""

import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from assertkd.batching.examples import Example
from assertkd.errors import UserError
from assertkd.evaluation.cost import MemoryMeter, measure_speed
from assertkd.evaluation.divergence import kl_divergence
from assertkd.evaluation.params import PredictParams
from assertkd.files import write_json
from assertkd.layout import EvaluationLayout
from assertkd.logits.store.reader import StoreReader
from assertkd.models.text_generator import TextGenerator
from assertkd.models.torch_text_generator import TorchTextGenerator, load_text_generator
from assertkd.predictions import PASSED_THROUGH, Prediction, write_predictions
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records
from assertkd.runtime.devices import resolve_device
from assertkd.runtime.progress import Progress


def predict(
    params: PredictParams, model_folder: Path, test_file: Path, teacher_logits: Path | None, folder: Path
) -> None:
    """Write `predictions.jsonl` and `measured.json` (size, speed, memory, divergence from the teacher) to `folder`.

    Meant for a process of its own, since the peak memory of this one is measured, up to the end of the prediction.
    `kl_divergence_is` says "lower bound" where the store keeps a support and the mass of the rest, and "whole" where
    it keeps the whole vocabulary: the two must not be compared.

    Args:
        params: decoding, and the temperature of the divergence.
        model_folder: a `final_model/`, or an export.
        test_file: the test split.
        teacher_logits: the teacher's store of the test split; None for the teacher itself.
        folder: where the files go.

    Raises:
        UserError: an input is missing or does not fit the others, or there are no records.
    """
    settings, output = params.evaluation, EvaluationLayout(folder)
    device = resolve_device(settings.device)
    meter = MemoryMeter(device)
    generator = load_text_generator(model_folder, device)
    store = _teacher_store(generator, model_folder, test_file, teacher_logits)
    prompt = Prompt(generator.tokenizer, params.max_input_len, params.max_output_len)
    records = list(islice(read_records(test_file), settings.limit))
    if not records:
        raise UserError("the split has no records", "Check `corpus/quality.json`: it says what became of the records.")
    inputs = [prompt.encode_record(record).ids for record in records]
    generate = partial(generator.generate, max_new_tokens=params.max_output_len, num_beams=settings.num_beams)
    started = time.monotonic()
    texts = generate(inputs, batch_size=settings.batch_size, progress=Progress("predicted", len(records)).at)
    write_predictions(output.predictions, map(prediction_of, records, texts))
    measured: dict[str, Any] = {
        "parameters": generator.parameters,
        "disk_bytes": sum(file.stat().st_size for file in model_folder.rglob("*") if file.is_file()),
        "examples": len(records),
        "seconds": round(time.monotonic() - started, 3),
        **meter.as_dict(),
        **measure_speed(generate, inputs),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "num_beams": settings.num_beams,
    }
    if store is not None and isinstance(generator, TorchTextGenerator):
        examples = [
            Example(record.id, ids, prompt.encode_target(record.assertion))
            for record, ids in zip(records, inputs, strict=True)
        ]
        measured |= {
            "kl_divergence": kl_divergence(
                generator.model, examples, store, settings.eval_temperature, settings.batch_size, device
            ),
            "kl_divergence_is": "whole" if store.codec.keeps_vocabulary else "lower bound",
            "eval_temperature": settings.eval_temperature,
        }
    write_json(output.measured, measured)


def _teacher_store(
    generator: TextGenerator, model_folder: Path, test_file: Path, teacher_logits: Path | None
) -> StoreReader | None:
    """Return the teacher's logits, which have to be for the model's vocabulary; None where there are none."""
    if teacher_logits is None:
        return None
    if not isinstance(generator, TorchTextGenerator):
        raise UserError(
            f"{model_folder}: the divergence from the teacher cannot be measured on an export",
            "Evaluate the model that it was made of, or leave the teacher's logits out.",
        )
    store = StoreReader.of_inputs(teacher_logits, records=test_file, tokenizer=model_folder)
    if store.codec.vocab_size != generator.model.vocab_size:
        raise UserError(
            f"{model_folder}: has {generator.model.vocab_size} vocabulary entries, the teacher's logits in "
            f"{teacher_logits} {store.codec.vocab_size}",
            "Train a student of the teacher's vocabulary, or leave the teacher's logits out.",
        )
    return store


def prediction_of(record: Record, text: str) -> Prediction:
    """Return a record's prediction with the fields of the record that say what sort of example it is."""
    fields = record.extra | {"project": record.project}
    about = {name: fields[name] for name in PASSED_THROUGH if fields.get(name) is not None}
    return Prediction(record.id, text, record.assertion, about)
