"""The work of `assertkd export`: convert a student, compare both forms on the test split, write the report."""

from itertools import islice
from pathlib import Path
from typing import Any

import torch

from assertkd.errors import UserError
from assertkd.export.convert import Quantization, convert
from assertkd.export.verify import compare, size_of
from assertkd.files import write_json
from assertkd.layout import RunLayout, TrainingLayout
from assertkd.models.length_limits import limits_of
from assertkd.models.text_generator import load_text_generator
from assertkd.records import read_records

REPORT = "export_report.json"


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
        UserError: there is no such model or test split.
    """
    trained = TrainingLayout(student).final_model
    model_folder = trained if trained.is_dir() else student
    records = list(islice(read_records(test_file or test_split_of(model_folder)), examples))
    if not records:
        raise UserError(f"{test_file}: holds no records", "Name another file with --test.")
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
