"""The work of `assertkd export`: convert a student, compare both forms on the test split, write the report."""

import statistics
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from assertkd.corpus.params import Reading
from assertkd.errors import UserError
from assertkd.evaluation.cost import BATCH, measure_speed
from assertkd.evaluation.evaluation_records import read_evaluation_records
from assertkd.export.convert import Quantization, check_target, convert
from assertkd.files import write_json
from assertkd.layout import RunLayout, TrainingLayout
from assertkd.metrics.exact_match import exact_match
from assertkd.metrics.overlap import f1
from assertkd.models.exported import TOKENIZER
from assertkd.models.length_limits import Limits, limits_of
from assertkd.models.text_generator import TextGenerator
from assertkd.models.torch_text_generator import load_text_generator
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records

REPORT = "export_report.json"
TOKENIZER_FILES = ("tokenizer", "special_tokens", "added_tokens", "merges", "vocab.")
"""How the names of a tokenizer's files begin."""


def export_student(
    student: Path,
    folder: Path,
    quantization: Quantization,
    *,
    test_file: Path | None = None,
    examples: int | None = None,
    max_input_len: int | None = None,
    max_output_len: int | None = None,
) -> dict[str, Any]:
    """Export a model to `folder`, write `export_report.json` there, and return what it says.

    Args:
        student: `results/<run>/students/<variant>/seed<seed>` (or the teacher's), or a `final_model/`.
        folder: where the export goes.
        quantization: `int8` or `float32`.
        test_file: records that both forms are compared on; None for the run's test split.
        examples: number of records to compare on, the first ones; None for all.
        max_input_len: longest input, in tokens; None for what the model was trained for.
        max_output_len: longest assertion, in tokens; None likewise.

    Raises:
        UserError: there is no such model or test split, a line of the records is bad, or `folder` cannot be written to.
    """
    trained = TrainingLayout(student).final_model
    model_folder = trained if trained.is_dir() else student
    check_target(folder)
    if test_file is None:
        records = list(islice(read_records(test_split_of(model_folder)), examples))
    else:
        records = read_evaluation_records(test_file, Reading(), is_option=False).records[:examples]
    convert(model_folder, folder, quantization)
    limits = limits_of(model_folder, max_input_len, max_output_len)
    cpu = torch.device("cpu")
    original, exported = load_text_generator(model_folder, cpu), load_text_generator(folder, cpu)
    sizes = {"original": size_of(model_folder), "exported": size_of(folder)}
    report = {
        "model": str(model_folder),
        "format": "ctranslate2",
        "quantization": quantization,
        "threads": torch.get_num_threads(),
        "size": sizes,
        "size_ratio": sizes["exported"]["model_bytes"] / sizes["original"]["model_bytes"],
        **compare(original, exported, records, limits),
    }
    write_json(folder / REPORT, report)
    return report


def test_split_of(model_folder: Path) -> Path:
    """Return the test split of the run that a model's folder belongs to.

    Raises:
        UserError: no folder above it has one.
    """
    for parent in model_folder.resolve().parents:
        test_split = RunLayout(parent).corpus.test
        if test_split.is_file():
            return test_split
    raise UserError(f"{model_folder}: belongs to no run with a test split", "Name the records with --test FILE.")


def compare(
    original: TextGenerator, exported: TextGenerator, records: Sequence[Record], limits: Limits
) -> dict[str, Any]:
    """Return how much two forms of one model agree, and how fast each is on this machine.

    Args:
        original: the model as it was trained.
        exported: the same in another form.
        records: at least one.
        limits: lengths of the longest input and text.

    Returns:
        `examples`; `identical`: share of records for which both write the same text; `token_f1`: mean token F1 between
        the two; `exact_match` and `speed` of each: `latency_ms` (median at batch size 1), `latency_p95_ms`,
        `examples_per_second` at batch size 32; `latency_ratio` and `throughput_ratio`: how many times faster the export
        is; `different`: up to ten records for which they differ.
    """
    texts, speeds = {}, {}
    for name, generator in (("original", original), ("exported", exported)):
        prompt = Prompt(generator.tokenizer, limits.input, limits.output)
        inputs = [prompt.encode_record(record).ids for record in records]
        generate = partial(generator.generate, max_new_tokens=limits.output)
        texts[name], speeds[name] = generate(inputs, batch_size=BATCH), measure_speed(generate, inputs)
    references = [record.assertion for record in records]
    pairs = list(zip(texts["original"], texts["exported"], strict=True))
    return {
        "examples": len(records),
        "identical": statistics.fmean(one == other for one, other in pairs),
        "token_f1": statistics.fmean(f1(other, one) for one, other in pairs),
        "exact_match": {
            name: statistics.fmean(map(exact_match, of_form, references)) for name, of_form in texts.items()
        },
        "speed": speeds,
        "latency_ratio": speeds["original"]["latency_ms"] / speeds["exported"]["latency_ms"],
        "throughput_ratio": speeds["exported"]["examples_per_second"] / speeds["original"]["examples_per_second"],
        "different": [
            {"id": record.id, "original": one, "exported": other}
            for record, (one, other) in zip(records, pairs, strict=True)
            if one != other
        ][:10],
    }


def size_of(folder: Path) -> dict[str, int]:
    """Return the bytes of a model's folder, `model_bytes` without the tokenizer, `all_bytes` with it."""
    sizes = {file.relative_to(folder): file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    of_tokenizer = [file for file in sizes if TOKENIZER in str(file) or file.name.startswith(TOKENIZER_FILES)]
    everything = sum(sizes.values())
    return {"model_bytes": everything - sum(sizes[file] for file in of_tokenizer), "all_bytes": everything}


def format_report(report: dict[str, Any]) -> str:
    """Return the figures of an export as lines for the terminal."""
    speed, quality = report["speed"], report["exact_match"]
    return "\n".join(
        [
            f"same text for {report['identical']:.1%} of {report['examples']} records, "
            f"token F1 {report['token_f1']:.3f}",
            f"exact match {quality['original']:.1%} -> {quality['exported']:.1%}",
            f"size {report['size']['original']['model_bytes'] / 1e6:.2f} MB -> "
            f"{report['size']['exported']['model_bytes'] / 1e6:.2f} MB ({report['size_ratio']:.0%})",
            f"latency {speed['original']['latency_ms']:.1f} ms -> {speed['exported']['latency_ms']:.1f} ms "
            f"({report['latency_ratio']:.1f} times as fast)",
            f"throughput {speed['original']['examples_per_second']:.0f}/s -> "
            f"{speed['exported']['examples_per_second']:.0f}/s ({report['throughput_ratio']:.1f} times)",
        ]
    )
