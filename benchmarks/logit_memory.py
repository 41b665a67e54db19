"""Does memory grow with the corpus, and how fast is the store? Writing logits and training from them, at x1 and x10.

    python benchmarks/logit_memory.py                    1,000 and 10,000 records; about five minutes on two cores
    python benchmarks/logit_memory.py --records 200      a glance
    python benchmarks/logit_memory.py --records 52700 --jobs write write_raw read read_raw
                                                         1 and 10 million target tokens; ten minutes, 3 GB of disk

Every figure is the peak resident size (`ru_maxrss`) of a process of its own. Baseline: the same job on a tenth of the
corpus, in the same call. Printed per job: both peaks, their ratio, and the growth in bytes a record, from which the
peak of any corpus follows. The jobs:

    write      the store's writer alone, fed by a generator
    read       the store's reader alone, every example once, in random order
    compress   the stage `compress_logits`: records, the teacher's predictions, its logits
    distill    the stage `distill_student`, one epoch of `kl` from the cache
    write_raw  the vectors of `write` in float16, into one `numpy.memmap`: the baseline of its target tokens a second
    read_raw   the same of `read`, from that file
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.corpus.targets import Supervision
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.params import CompressLogitsParams
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.reader import StoreReader
from assertkd.logits.store.writer import StoreWriter
from assertkd.losses.loss_plan import plan_loss
from assertkd.models.registry import build_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.settings import (
    DataSettings,
    LogitsSettings,
    LossSettings,
    StudentModelSettings,
    TokenizerSettings,
    TrainingSettings,
)
from assertkd.settings.data import EmbeddedCorpusSettings
from assertkd.settings.model import ScratchSettings
from assertkd.students.distill_student import distill_student
from assertkd.students.params import DistillStudentParams, TargetPolicy
from synthetic_teacher import synthetic_teacher

PROVENANCE = Provenance(tokenizer="0" * 64, teacher="0" * 64, corpus="0" * 64)
MAX_INPUT, MAX_OUTPUT = 192, 24
SUPERVISION = Supervision(max_input_len=MAX_INPUT, max_output_len=MAX_OUTPUT, labelled_share=1.0, seed=0)
TINY = StudentModelSettings(
    name="scratch", scratch=ScratchSettings(d_model=32, d_ff=64, heads=2, encoder_layers=1, decoder_layers=1)
)
V, D, LONGEST = 2048, 64, 30
"""Sizes of the store that `write` and `read` handle; its vectors are in float16, as those of its baseline."""
BASELINES = {"write": "write_raw", "read": "read_raw"}


def target(number: int) -> tuple[str, list[int]]:
    """Return an example's id and target tokens, as many as real assertions have (19 on average)."""
    length = 8 + number * 7 % (LONGEST - 7)
    return f"project/Class{number}#test", [(number + 17 * place) % V for place in range(length)]


def raw(folder: Path, records: int) -> tuple["np.memmap[Any, np.dtype[np.float16]]", np.ndarray]:
    """Return the vectors of all examples, and where those of each begin."""
    starts = np.cumsum([0, *(len(target(number)[1]) for number in range(records))])
    path = folder / "raw"
    mode: Literal["r", "w+"] = "r" if path.exists() else "w+"
    return np.memmap(path, np.float16, mode, shape=(int(starts[-1]), D)), starts


def nothing(folder: Path, records: int) -> None:
    """Import and do nothing: what every job's peak contains."""


def write(folder: Path, records: int) -> None:
    head, hidden = synthetic_teacher("rogue", V, D, 256)
    writer = StoreWriter(folder / "store", HiddenCodec(V, D, "float16"), head, PROVENANCE)
    for number in range(records):
        example_id, ids = target(number)
        writer.add(example_id, ids, hidden[: len(ids)])
    writer.finish()


def write_raw(folder: Path, records: int) -> None:
    _, hidden = synthetic_teacher("rogue", V, D, 256)
    folder.mkdir(parents=True, exist_ok=True)
    rows, starts = raw(folder, records)
    for number in range(records):
        rows[starts[number] : starts[number + 1]] = hidden[: len(target(number)[1])]
    rows.flush()


def read(folder: Path, records: int) -> None:
    store = StoreReader(folder / "store")
    for number in np.random.default_rng(1).permutation(records):
        store.collate_views([store.read(*target(int(number)))])


def read_raw(folder: Path, records: int) -> None:
    rows, starts = raw(folder, records)
    for number in np.random.default_rng(1).permutation(records):
        torch.from_numpy(rows[starts[number] : starts[number + 1]].astype(np.float32))


def corpus(folder: Path, records: int) -> None:
    """Make corpus and an untrained teacher (its predictions are worthless and as long as they may be)."""
    data = DataSettings(
        embedded=EmbeddedCorpusSettings(records=records), max_input_len=MAX_INPUT, max_output_len=MAX_OUTPUT
    )
    tokenizer_settings = TokenizerSettings(vocab_size=1024)
    prepare_corpus(PrepareCorpusParams(data=data, tokenizer=tokenizer_settings, teacher="scratch"), folder / "corpus")
    tokenizer = load_tokenizer(folder / "corpus" / "tokenizer")
    torch.manual_seed(0)
    build_model(TINY, tokenizer, 0.0).save(tokenizer, folder / "teacher")


def compress(folder: Path, records: int) -> None:
    settings = LogitsSettings(batch_size=32, device="cpu")
    params = CompressLogitsParams(logits=settings, temperatures=(), supervision=SUPERVISION)
    compress_logits(params, folder / "teacher", folder / "corpus", folder / "logits")


def distill(folder: Path, records: int) -> None:
    params = DistillStudentParams(
        model=TINY,
        training=TrainingSettings(batch_size=32, epochs=1, lr=1e-3, log_every=10, device="cpu", max_val_samples=64),
        loss=plan_loss(LossSettings(function="multi_component", components=("kl",), temperature=2.0)),
        target_policy=TargetPolicy(
            targets="gold", learns_withheld=True, learns_unlabelled=False, needs_distributions=True
        ),
        supervision=SUPERVISION,
        on_policy=None,
    )
    distill_student(params, 0, folder / "corpus", folder / "logits", [], folder / "kl")


JOBS: dict[str, Callable[[Path, int], None]] = {
    job.__name__: job for job in (nothing, write, read, corpus, compress, distill, write_raw, read_raw)
}


def measured(job: str, folder: Path, records: int) -> tuple[float, float]:
    """Run one job in a fresh process; return its peak memory in MB and its seconds."""
    command = [sys.executable, __file__, "--job", job, "--work", str(folder), "--records", str(records)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return tuple(json.loads(done.stdout.splitlines()[-1]))  # type: ignore[return-value]


def main() -> None:
    """Run every job at both sizes and print the table; with --job, run that one and print its peak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1000, help="records at x1")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/logit_memory"), help="working folder")
    parser.add_argument(
        "--jobs", nargs="+", choices=list(JOBS), default=["write", "read", "corpus", "compress", "distill"]
    )
    parser.add_argument("--job", choices=list(JOBS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job is not None:
        torch.set_num_threads(1)
        started = time.perf_counter()
        JOBS[arguments.job](arguments.work, arguments.records)
        # Linux counts in kB.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps([peak, time.perf_counter() - started]))
        return
    sizes = (arguments.records, 10 * arguments.records)
    found: dict[str, list[tuple[float, float]]] = {job: [] for job in ["nothing", *arguments.jobs]}
    for records in sizes:
        folder = arguments.work / f"records{records}"
        shutil.rmtree(folder, ignore_errors=True)
        for job, values in found.items():
            values.append(measured(job, folder, records))
            print(f"{job}, {records:,} records: {values[-1][0]:.0f} MB, {values[-1][1]:.1f} s", file=sys.stderr)
    base = max(peak for peak, _ in found.pop("nothing"))
    found.pop("corpus", None)
    print(f"{'job':<12}{'x1, MB':>10}{'x10, MB':>10}{'x10 / x1':>10}{'less imports':>14}{'growth, bytes a record':>25}")
    for job, ((small, _), (large, _)) in found.items():
        growth = 1e6 * (large - small) / (sizes[1] - sizes[0])
        own = (large - base) / max(small - base, 1.0)
        print(f"{job:<12}{small:>10.0f}{large:>10.0f}{large / small:>10.2f}{own:>14.2f}{growth:>25,.0f}")
    tokens = [sum(len(target(number)[1]) for number in range(records)) for records in sizes]
    print(f"imports alone: {base:.0f} MB; records: {sizes[0]:,} and {sizes[1]:,}")
    for job, baseline in BASELINES.items():
        if job in found and baseline in found:
            for count, (_, own), (_, other) in zip(tokens, found[job], found[baseline], strict=True):
                speed = f"{count / own:,.0f} a second, ratio to {baseline} {other / own:.2f}"
                print(f"{job}, {count:,} target tokens: {speed}")


if __name__ == "__main__":
    main()
