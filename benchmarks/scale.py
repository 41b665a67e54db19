"""How long and how large a run is, from 10 thousand to 10 million records and from 220 million to 3 billion parameters.

    python benchmarks/scale.py                                                 prints the table of docs/training.md
    python benchmarks/scale.py --write docs/training.md                        puts it in its place there
    python benchmarks/scale.py --report results/<run>/teacher/training_report.json …    with speeds that were measured

Times are N records of I input and T target tokens on one GPU, with P parameters of the teacher and S of the student:

    teacher    6 · P · N · epochs · (I + T) / speed         forward and backward pass
    logits     2 · P · N · (I + T) / speed                  forward pass
    student    6 · S · N · epochs · (I + T) / speed         the teacher is read from the cache

`speed` is an assumption, --tflops · --utilisation, unless --report names a training of a model of that size (5 % more
or fewer parameters): then it is what this training reached, on the machine that its report names. 6 · P is an upper
bound for encoder-decoders, half of whose weights see the input and half the target. Disk is the estimate of
`assertkd.cluster.disk`. The time of encoding is measured here, on one core.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.cluster.disk import TARGET_TOKENS, RunDisk, run_disk
from assertkd.dry_run import PlannedJob
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.models.distillable import ModelShape
from assertkd.models.registry import shape_and_parameter_count
from assertkd.settings import ModelSettings, RunSettings, load_run
from synthetic_teacher import synthetic_teacher
from table_in_page import publish

PAIRS = (
    ("Salesforce/codet5p-220m", "Salesforce/codet5-small"),
    ("Salesforce/codet5p-770m", "Salesforce/codet5p-220m"),
    ("Salesforce/codet5p-2b", "Salesforce/codet5p-770m"),
)
"""Teachers, each with the student of at most 29 % of its parameters."""
RECORDS = (10_000, 100_000, 1_000_000, 10_000_000)
ALIKE = 8
"""Examples of as many tokens that are encoded together: half of the demo's, whose targets are much alike."""
BEGIN, END = "<!-- scale -->", "<!-- end of scale -->"


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the times follow from.

    Attributes:
        flops: floating-point operations a second of the GPU that training reaches.
        epochs: of teacher and student.
        input_tokens: of a record, padding included.
        target_tokens: of a record.
        measured: parameters to examples a second of a training of that size.
    """

    flops: float
    epochs: int
    input_tokens: int
    target_tokens: int
    measured: dict[int, float]

    def training_hours(self, parameters: int, records: int) -> float:
        """Return the GPU hours of a training."""
        rate = self.examples_per_second(parameters)
        if rate is None:
            rate = self.flops / (6 * parameters * (self.input_tokens + self.target_tokens))
        return records * self.epochs / rate / 3600

    def logit_hours(self, parameters: int, records: int) -> float:
        """Return the GPU hours of one forward pass over all records: a third of an epoch of training."""
        return self.training_hours(parameters, records) / self.epochs / 3

    def examples_per_second(self, parameters: int) -> float | None:
        """Return what was measured at this size, or None."""
        return next((rate for size, rate in self.measured.items() if abs(size / parameters - 1) <= 0.05), None)


def disk_of(teacher: str, student: str, records: int) -> RunDisk:
    """Return what a run with one student and the default codec writes."""
    variant = {"model": {"name": student}, "loss": {"components": ["ce", "kl"]}}
    scale = {"teacher": {"model": {"name": teacher}}}
    run = load_run({"run": "scale", "runs": {"scale": scale}, "variants": {"student": variant}})
    # More than are ever generated: the estimate takes records of files to be as long.
    embedded = run.data.embedded.model_copy(update={"records": records})
    run = RunSettings(**{**vars(run), "data": run.data.model_copy(update={"embedded": embedded})})
    student_job = PlannedJob("distill_student", {"variant": "student", "seed": "42"}, (), "")
    jobs = [PlannedJob(rule, {}, (), "") for rule in ("train_teacher", "compress_logits")]
    return run_disk(run, [*jobs, student_job], 1)


def encoding_seconds(shape: ModelShape, rounds: int = 5) -> float:
    """Return the processor seconds in which the codec `hidden` encodes one example."""
    head, hidden = synthetic_teacher("rogue", 2048, shape.width, 256)
    encode = HiddenCodec(2048, shape.width).encoder(head)
    together = hidden[: ALIKE * TARGET_TOKENS].reshape(ALIKE, TARGET_TOKENS, shape.width)
    started = time.process_time()
    for _ in range(rounds):
        encode(together)
    return (time.process_time() - started) / rounds / ALIKE


def rows(assumptions: Assumptions, records: Sequence[int]) -> list[list[str]]:
    """Return the table, its headings first."""
    table = [
        [
            *("teacher → student", "records", "teacher, GPU h", "logits, GPU h", "encoding, core h"),
            *("a student, GPU h", "logits, GB", "weights and checkpoints, GB", "texts, GB"),
        ],
        ["---", *["---:"] * 8],
    ]
    for teacher, student in PAIRS:
        (shape, large), (_, small) = (
            shape_and_parameter_count(ModelSettings(name=name), 0, only_local=True) for name in (teacher, student)
        )
        encoding = encoding_seconds(shape)
        for count in records:
            disk = disk_of(teacher, student, count)
            times = (
                assumptions.training_hours(large, count),
                assumptions.logit_hours(large, count),
                encoding * count / 3600,
                assumptions.training_hours(small, count),
            )
            sizes = disk.logits, disk.models + disk.checkpoints, disk.texts
            by_teacher, by_student = (
                "" if assumptions.examples_per_second(size) is None else "*" for size in (large, small)
            )
            marks = by_teacher, by_teacher, "", by_student
            table.append(
                [
                    f"{_millions(large)} → {_millions(small)}",
                    f"{count:,}",
                    *(f"{_digits(hours)}{mark}" for hours, mark in zip(times, marks, strict=True)),
                    *(_digits(size / 1e9) for size in sizes),
                ]
            )
    return table


def measured_rates(reports: Sequence[Path]) -> dict[int, float]:
    """Return the parameters of each training and its examples a second."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in reports]
    return {report["parameters"]: report["examples_per_second"] for report in found}


def _millions(parameters: int) -> str:
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def main() -> None:
    """Print the table, or put it in a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", nargs="+", type=int, default=RECORDS)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--input-tokens", type=int, default=256)
    parser.add_argument("--tflops", type=float, default=312.0, help="peak of the GPU; an A100's in bf16 is 312")
    parser.add_argument(
        "--utilisation", type=float, default=0.3, help="share of it that training reaches: an assumption"
    )
    parser.add_argument("--report", nargs="+", type=Path, default=[], help="training_report.json of measured trainings")
    parser.add_argument("--write", type=Path, help="a page with a place for the table")
    options = parser.parse_args()
    assumptions = Assumptions(
        flops=options.tflops * 1e12 * options.utilisation,
        epochs=options.epochs,
        input_tokens=options.input_tokens,
        target_tokens=TARGET_TOKENS,
        measured=measured_rates(options.report),
    )
    about = (
        f"{options.epochs} epochs, {options.input_tokens} input and {TARGET_TOKENS} target tokens a record. GPU hours "
        f"are an assumption, {options.utilisation:.0%} of {options.tflops:g} TFLOP/s"
        + ("; those with * follow from measured trainings." if options.report else ", not a measurement.")
        + f" Hours of encoding are measured, {ALIKE} examples of as many tokens at a time."
    )
    publish(rows(assumptions, options.records), about, options.write, BEGIN, END)


if __name__ == "__main__":
    main()
