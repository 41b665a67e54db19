"""Does memory grow with the corpus? Peak memory of writing a logit store and of training from it, at x1 and x10.

    python benchmarks/logit_memory.py                    1,000 and 10,000 records; about five minutes on two cores
    python benchmarks/logit_memory.py --records 200      a glance

Every figure is the peak resident size (`ru_maxrss`) of a process of its own. Baseline: the same job on a tenth of the
corpus, in the same call. Printed per job: both peaks, their ratio, and the growth in bytes a record, from which the
peak of any corpus follows. The jobs:

    write      the store's writer alone, fed by a generator
    read       the store's reader alone, every example once, in random order
    compress   the stage `compress_logits`: records, the teacher's predictions, its logits
    distill    the stage `distill_student`, one epoch of `kl` from the cache
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

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
V, D = 2048, 256
"""Sizes of the store that `write` and `read` handle."""


def targets(records: int) -> Iterator[tuple[str, list[int]]]:
    """Yield ids and target tokens, as long as real assertions (about 19 tokens)."""
    rng = np.random.default_rng(0)
    for number in range(records):
        yield f"project/Class{number}#test", rng.integers(0, V, int(rng.integers(8, 31))).tolist()


def nothing(folder: Path, records: int) -> None:
    """Import and do nothing: what every job's peak contains."""


def write(folder: Path, records: int) -> None:
    head, hidden = synthetic_teacher("rogue", V, D, 256)
    writer = StoreWriter(folder / "store", HiddenCodec(V, D), head, PROVENANCE)
    for example_id, ids in targets(records):
        writer.add(example_id, ids, hidden[: len(ids)])
    writer.finish()


def read(folder: Path, records: int) -> None:
    store = StoreReader(folder / "store")
    # The targets belong to the corpus, not to the store: they are made again for each pass, not held.
    for number in np.random.default_rng(1).permutation(8):
        for index, (example_id, ids) in enumerate(targets(records)):
            if index % 8 == number:
                store.collate_views([store.read(example_id, ids)])


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
    job.__name__: job for job in (nothing, write, read, corpus, compress, distill)
}


def peak(job: str, folder: Path, records: int) -> float:
    """Run one job in a fresh process; return its peak memory in MB."""
    command = [sys.executable, __file__, "--job", job, "--work", str(folder), "--records", str(records)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["mb"])


def main() -> None:
    """Run every job at both sizes and print the table; with --job, run that one and print its peak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1000, help="records at x1")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/logit_memory"), help="working folder")
    parser.add_argument("--job", choices=list(JOBS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job is not None:
        torch.set_num_threads(1)
        JOBS[arguments.job](arguments.work, arguments.records)
        # Linux counts in kB.
        print(json.dumps({"mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))
        return
    peaks: dict[str, list[float]] = {job: [] for job in JOBS}
    sizes = (arguments.records, 10 * arguments.records)
    for records in sizes:
        folder = arguments.work / f"records{records}"
        shutil.rmtree(folder, ignore_errors=True)
        for job, values in peaks.items():
            values.append(peak(job, folder, records))
    base = max(peaks.pop("nothing"))
    del peaks["corpus"]
    print(f"{'job':<12}{'x1, MB':>10}{'x10, MB':>10}{'x10 / x1':>10}{'less imports':>14}{'growth, bytes a record':>25}")
    for job, (small, large) in peaks.items():
        growth = 1e6 * (large - small) / (sizes[1] - sizes[0])
        own = (large - base) / max(small - base, 1.0)
        print(f"{job:<12}{small:>10.0f}{large:>10.0f}{large / small:>10.2f}{own:>14.2f}{growth:>25,.0f}")
    print(f"imports alone: {base:.0f} MB; records: {sizes[0]:,} and {sizes[1]:,}")


if __name__ == "__main__":
    main()
