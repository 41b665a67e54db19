"""What learning from the cache costs a student's step: reading, rebuilding the teacher, and `kl` against plain `ce`.

    python benchmarks/logit_step.py --records data.jsonl --tokenizer codet5-tokenizer/    60M parameters, V = 32,100

Baseline: the same step with `ce` alone and no teacher, in the same process, each round taking one step of everything in
turn, so that a drifting machine slows all alike. A step is everything from token ids to updated weights: making the
batch (with a cache: reading, checking and decoding it), forward, backward, optimizer. The store's vectors are those of
a synthetic teacher of d = 768. Printed per codec: median seconds of a step, the median over rounds of its ratio to `ce`
in that round, the share of the step spent rebuilding what the loss reads of the teacher, the share spent reading the
cache, and whether the goal (1.10) is met.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.distributions import FullDistribution, TeacherView
from assertkd.batching.examples import Example
from assertkd.batching.sampling import bucketed_batches
from assertkd.corpus.params import Reading
from assertkd.corpus.read import ReadRecord, read_raw
from assertkd.corpus.tokenizer import choose_tokenizer
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.reader import StoreReader
from assertkd.logits.store.writer import StoreWriter
from assertkd.losses.divergence import CHUNK_ELEMENTS
from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.models.distillable import DistillableModel
from assertkd.models.registry import build_model, parameter_count
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record
from assertkd.settings import LossSettings, ModelSettings, TokenizerSettings
from assertkd.settings.model import SCRATCH, ScratchSettings
from assertkd.synthetic import generate
from assertkd.training.loss_term import BatchTotals, StepContext
from assertkd.training.objective import accumulate
from assertkd.training.optimizer import adamw
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.token_term import TokenTerm
from synthetic_teacher import synthetic_teacher

STUDENT = ScratchSettings(d_model=512, d_ff=2048, heads=8, encoder_layers=6, decoder_layers=6)
HIDDEN_SIZE = 768
TEMPERATURE = 2.0
GOAL = 1.10
PROVENANCE = Provenance(tokenizer="0" * 64, teacher="0" * 64, corpus="0" * 64)


def records_of(path: Path | None, count: int) -> list[Record]:
    if path is None:
        return list(generate(count, 42))
    items = read_raw(path, Reading(on_bad_record="reject"))
    return [item.record for item in islice((item for item in items if isinstance(item, ReadRecord)), count)]


def tokenizer_of(folder: Path | None, records: Sequence[Record], vocab_size: int = 2048) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a folder, or one trained on the records as a run trains its own."""
    settings = TokenizerSettings(name=None if folder is None else str(folder), vocab_size=vocab_size)
    return choose_tokenizer(settings, SCRATCH, records, decoder_only=False)


def examples_of(records: Sequence[Record], prompt: Prompt) -> list[Example]:
    return [Example(r.id, prompt.encode_record(r).ids, prompt.encode_target(r.assertion), r.assertion) for r in records]


def codecs(vocab_size: int) -> dict[str, Codec]:
    return {
        "hidden, int8": HiddenCodec(vocab_size, HIDDEN_SIZE),
        "topk": TopKCodec(vocab_size, HIDDEN_SIZE, temperatures=[TEMPERATURE]),
        "dense": DenseCodec(vocab_size, HIDDEN_SIZE),
    }


def stored(folder: Path, codec: Codec, examples: Sequence[Example]) -> StoreReader:
    """Write the examples with a synthetic teacher's vectors; return the store."""
    head, hidden = synthetic_teacher("rogue", codec.vocab_size, codec.hidden_size, 512)
    writer = StoreWriter(folder, codec, head, PROVENANCE)
    for number, example in enumerate(examples):
        rows = (np.arange(len(example.target_ids)) + 7 * number) % len(hidden)
        writer.add(example.id, example.target_ids, hidden[rows])
    writer.finish()
    return StoreReader(folder)


def rebuild(view: TeacherView) -> None:
    """Ask of a view what `kl` asks of it, chunk by chunk as it does."""
    chunk = max(1, CHUNK_ELEMENTS // view.vocab_size)
    for start in range(0, view.num_tokens, chunk):
        rows = slice(start, min(start + chunk, view.num_tokens))
        if isinstance(view, FullDistribution):
            view.logits(rows)
        else:
            view.buckets(rows, TEMPERATURE)  # type: ignore[attr-defined]


class Clock:
    """Seconds by name, one entry a round."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def __call__(self, name: str, started: float) -> None:
        self.seconds.setdefault(name, []).append(time.perf_counter() - started)

    def ratio(self, name: str, base: str) -> float:
        return float(median(np.array(self.seconds[name]) / np.array(self.seconds[base])))


def rounds(
    model: DistillableModel, examples: Sequence[Example], stores: dict[str, StoreReader], batch: int, count: int
) -> Clock:
    """Take `count` rounds of one step each without and with every cache; the first round warms up and is dropped."""
    clock, optimizer, processes = Clock(), adamw(model, 1e-4, 0.01), ProcessGroup()
    loss = LossSettings(function="multi_component", temperature=TEMPERATURE)
    ce, kl = (plan_loss(loss.model_copy(update={"components": (name,), "weights": (1.0,)})) for name in ("ce", "kl"))

    def step(plan: LossPlan, chosen: Sequence[Example], store: StoreReader | None, name: str) -> None:
        started = time.perf_counter()
        batch = collate(chosen, model.pad_token_id, store)
        if store is not None:
            clock(f"{name}: read", started)
        context = StepContext(
            model=model,
            micro_batches=[batch],
            weights=plan.weights(0.0),
            step=1,
            totals=BatchTotals.count([batch], processes),
            backward=lambda value: value.backward(),
        )
        accumulate([TokenTerm(plan)], context)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        clock(name, started)
        if batch.teacher is not None:
            started = time.perf_counter()
            rebuild(batch.teacher)
            clock(f"{name}: rebuild", started)

    chosen = groups(examples, batch)
    for number in range(count + 1):
        if number == 1:
            clock.seconds.clear()
        group = next(chosen)
        step(ce, group, None, "ce")
        for name, store in stores.items():
            step(kl, group, store, name)
    return clock


def groups(examples: Sequence[Example], size: int) -> Iterator[list[Example]]:
    """Yield batches as training does: like lengths together, in random order."""
    lengths = [len(example.input_ids) + len(example.target_ids) for example in examples]
    for epoch in range(1000):
        for batch in bucketed_batches(lengths, size, 0, epoch):
            if len(batch) == size:
                yield [examples[index] for index in batch]


def report_step(records: Path | None, tokenizer_folder: Path | None, batch: int, count: int, max_input: int) -> None:
    """Measure and print the table."""
    torch.manual_seed(0)
    # Few, since the store of dense logits takes 1 MB an example.
    drawn = records_of(records, 8 * batch)
    tokenizer = tokenizer_of(tokenizer_folder, drawn)
    model = build_model(ModelSettings(name="scratch", scratch=STUDENT), tokenizer, dropout=0.0).train()
    vocab_size = model.vocab_size
    print(f"student of {parameter_count(model) / 1e6:.1f}M parameters, V = {vocab_size}, batch {batch}")
    examples = examples_of(drawn, Prompt(tokenizer, max_input, 128))
    with tempfile.TemporaryDirectory() as folder:
        stores = {
            name: stored(Path(folder) / str(number), codec, examples)
            for number, (name, codec) in enumerate(codecs(vocab_size).items())
        }
        clock = rounds(model, examples, stores, batch, count)
    print(f"{'ce, no teacher':<16}{median(clock.seconds['ce']):>8.3f} s a step (the baseline)")
    for name in stores:
        ratio = clock.ratio(name, "ce")
        print(
            f"kl, {name:<12}{median(clock.seconds[name]):>8.3f} s   ratio to ce {ratio:5.2f}  "
            f"goal {GOAL:.2f} {'met' if ratio <= GOAL else 'missed'}   "
            f"rebuilding {clock.ratio(f'{name}: rebuild', name):6.1%}   "
            f"reading {clock.ratio(f'{name}: read', name):6.1%} of the step"
        )


def main() -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, help="JSONL of real records; without it the generated corpus")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer; without it one is trained")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--max-input", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report_step(options.records, options.tokenizer, options.batch, options.rounds, options.max_input)


if __name__ == "__main__":
    main()
