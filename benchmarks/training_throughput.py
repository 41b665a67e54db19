"""Examples a second of distillation from the cache, against an online teacher, the predecessor's way, and no teacher.

    python benchmarks/training_throughput.py                                                the demo's sizes, one thread
    python benchmarks/training_throughput.py --size paper --threads 2 --records data.jsonl --tokenizer tokenizer/
                                            a student of 60M and a teacher of 220M parameters, V = 32,100

Ours is `training.train.train`, called as the workflow does: the loss is `kl`, the teacher comes from the `hidden`
or the `topk` cache, every step is logged. Its baselines, written out below:

    dense, batch     the predecessor's form: float16 logits, LZ4, base64, in JSONL, a plain loop with `kl_div`; logits
                     of the target tokens, padded to the batch's longest target
    dense, fixed     the same with all targets padded to --max-output tokens, as a collator of fixed length makes them:
                     how the predecessor's 110 GB for 10,000 examples come about
    online teacher   transformers' Seq2SeqTrainer with the teacher's forward pass and `kl_div` in `compute_loss`
    plain ce         Seq2SeqTrainer alone, cross-entropy with the gold target: the limit

All see the same batches of like lengths in the same order, with AdamW and clipping, dropout off, from one set of
weights. A round is one turn of everybody, so that a drifting machine slows all alike; a turn is --steps optimizer
steps, timed from the end of the first to the end of the last, loading of data included, start and saving not. Printed:
median, lowest and highest over rounds of examples a second, and of ours over each baseline's of the same round. The
logits are a synthetic teacher's of the teacher's width, the same in every form. On a machine that does other work
meanwhile, --clock cpu counts the CPU seconds of this process instead (with one thread they are what an idle machine
would take).
"""

import argparse
import base64
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import lz4.frame
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerFast,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5ForConditionalGeneration,
    TrainerCallback,
)

from assertkd.batching.examples import Example
from assertkd.batching.sampling import bucketed_batches
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.reader import StoreReader
from assertkd.logits.store.writer import StoreWriter
from assertkd.losses.loss_plan import plan_loss
from assertkd.models.distillable import IGNORED, DistillableModel
from assertkd.models.registry import build_model, parameter_count
from assertkd.prompts.prompt import Prompt
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import LossSettings, ModelSettings, TrainingSettings
from assertkd.settings.model import ScratchSettings
from assertkd.training.data import TrainingData
from assertkd.training.hooks.journal import Journal
from assertkd.training.train import train
from logit_step import examples_of, records_of, tokenizer_of
from loss_cost import wall_clock
from synthetic_teacher import synthetic_teacher

SIZES = {
    "demo": (
        ScratchSettings(d_model=64, d_ff=256, heads=4, encoder_layers=2, decoder_layers=2),
        ScratchSettings(d_model=128, d_ff=512, heads=4, encoder_layers=2, decoder_layers=2),
    ),
    "paper": (
        ScratchSettings(d_model=512, d_ff=2048, heads=8, encoder_layers=6, decoder_layers=6),
        ScratchSettings(d_model=768, d_ff=3072, heads=12, encoder_layers=12, decoder_layers=12),
    ),
    "large": (
        ScratchSettings(d_model=768, d_ff=3072, heads=12, encoder_layers=12, decoder_layers=12),
        ScratchSettings(d_model=1024, d_ff=4096, heads=16, encoder_layers=24, decoder_layers=24),
    ),
}
"""Student and teacher."""
BATCH, LR, TEMPERATURE, SEED = 16, 1e-4, 2.0, 0
OURS = ("ours, hidden", "ours, topk")
GOALS = {"dense, batch": 5.0, "dense, fixed": 5.0, "online teacher": 2.0, "plain ce": 0.9}
SYNTHETIC_ROWS = 512
PROVENANCE = Provenance(tokenizer="0" * 64, teacher="0" * 64, corpus="0" * 64)

Clock = Callable[[], float]

Turn = Callable[[], float]
"""Takes a turn's steps; returns examples a second."""


class SyntheticTeacher:
    """A teacher's head and hidden vectors, one of them for every target token."""

    def __init__(self, vocab_size: int, width: int) -> None:
        self.head, self.hidden = synthetic_teacher("rogue", vocab_size, width, SYNTHETIC_ROWS)

    def vectors(self, number: int, tokens: int) -> Any:
        """Return the vectors of the example of this number, (tokens, d) float32."""
        return self.hidden[(np.arange(tokens) + 7 * number) % len(self.hidden)]


def stored(folder: Path, codec: Codec, teacher: SyntheticTeacher, examples: Sequence[Example]) -> StoreReader:
    """Write the cache that students train from; return it."""
    writer = StoreWriter(folder, codec, teacher.head, PROVENANCE)
    for number, example in enumerate(examples):
        writer.add(example.id, example.target_ids, teacher.vectors(number, len(example.target_ids)))
    writer.finish()
    return StoreReader(folder)


def ours(
    model: DistillableModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    store: StoreReader,
    work: Path,
    clock: Clock,
) -> Turn:
    plan = plan_loss(LossSettings(components=("kl",), temperature=TEMPERATURE))
    settings = TrainingSettings(
        epochs=1, batch_size=BATCH, lr=LR, warmup_steps=1, weight_decay=0.01, dropout_rate=0.0, device=str(model.device)
    )
    data = TrainingData(train=examples, validation=examples[:1], teacher=store, files=())

    def turn() -> float:
        ends: list[float] = []
        log_step = Journal.on_step_end

        def noted(journal: Journal, *arguments: Any) -> None:
            log_step(journal, *arguments)
            ends.append(clock())

        with tempfile.TemporaryDirectory(dir=work) as folder, seeded(), patch.object(Journal, "on_step_end", noted):
            train(model, tokenizer, data, plan, settings, SEED, Path(folder))
        return rate(ends)

    return turn


def rate(ends: Sequence[float]) -> float:
    """Return examples a second from when each step ended."""
    return BATCH * (len(ends) - 1) / (ends[-1] - ends[0])


@contextmanager
def seeded() -> Iterator[None]:
    """Seed and ask for deterministic algorithms, as a stage does; the baselines do without."""
    try:
        seed_everything(SEED)
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def dense(
    model: T5ForConditionalGeneration,
    examples: Sequence[Example],
    teacher: SyntheticTeacher,
    file: Path,
    fixed_length: int | None,
    clock: Clock,
) -> Turn:
    """The predecessor's way: every step reads its lines, unpacks base64 and LZ4, and compares whole distributions."""
    offsets = []
    with file.open("wb") as handle:
        for number, example in enumerate(examples):
            offsets.append(handle.tell())
            logits = teacher.vectors(number, fixed_length or len(example.target_ids)) @ teacher.head.T
            packed = base64.b64encode(lz4.frame.compress(logits.astype("<f2").tobytes())).decode("ascii")
            line = {
                "input_ids": list(example.input_ids),
                "labels": example.target_ids,
                "teacher_logits_compressed": packed,
            }
            handle.write(json.dumps(line).encode() + b"\n")
    pad = model.config.pad_token_id

    def batch(handle: Any, places: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        lines = []
        for place in places:
            handle.seek(place)
            lines.append(json.loads(handle.readline()))
        inputs = pad_sequence([torch.tensor(line["input_ids"]) for line in lines], True, pad)
        labels = [torch.tensor(line["labels"]) for line in lines]
        rows = [
            torch.from_numpy(
                np.frombuffer(lz4.frame.decompress(base64.b64decode(line["teacher_logits_compressed"])), "<f2")
                .reshape(-1, model.config.vocab_size)
                .astype(np.float32)
            )
            for line in lines
        ]
        if fixed_length is not None:
            labels = [functional.pad(each, (0, fixed_length - len(each)), value=IGNORED) for each in labels]
        arrays = inputs, inputs != pad, pad_sequence(labels, True, IGNORED), pad_sequence(rows, True, 0.0)
        return tuple(array.to(model.device) for array in arrays)  # type: ignore[return-value]

    def turn() -> float:
        optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.01)
        ends = []
        model.train()
        with file.open("rb") as handle:
            for start in range(0, len(examples), BATCH):
                inputs, mask, labels, logits = batch(handle, offsets[start : start + BATCH])
                student = model(input_ids=inputs, attention_mask=mask.long(), labels=labels).logits
                loss = functional.kl_div(
                    functional.log_softmax(student / TEMPERATURE, dim=-1),
                    functional.softmax(logits / TEMPERATURE, dim=-1),
                    reduction="none",
                ).sum(-1)
                is_target = labels != IGNORED
                loss = TEMPERATURE**2 * (loss * is_target).sum() / is_target.sum()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                ends.append(clock())
        return rate(ends)

    return turn


class OnlineTeacherTrainer(Seq2SeqTrainer):
    """The usual way to distil with transformers: the teacher's forward pass in every step."""

    teacher: T5ForConditionalGeneration

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(**inputs)
        with torch.no_grad():
            logits = self.teacher(**inputs).logits
        is_target = inputs["labels"] != IGNORED
        loss = TEMPERATURE**2 * functional.kl_div(
            functional.log_softmax(outputs.logits[is_target] / TEMPERATURE, dim=-1),
            functional.softmax(logits[is_target] / TEMPERATURE, dim=-1),
            reduction="batchmean",
        )
        return (loss, outputs) if return_outputs else loss


class Ends(TrainerCallback):
    """Notes when every step ended."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.times.append(self.clock())


def trainer(
    model: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    work: Path,
    teacher: T5ForConditionalGeneration | None,
    clock: Clock,
) -> Turn:
    rows = [
        {"input_ids": list(e.input_ids), "attention_mask": [1] * len(e.input_ids), "labels": e.target_ids}
        for e in examples
    ]
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(work / "trainer"),
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        learning_rate=LR,
        weight_decay=0.01,
        train_sampling_strategy="sequential",
        use_cpu=model.device.type == "cpu",
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )

    def turn() -> float:
        kind = Seq2SeqTrainer if teacher is None else OnlineTeacherTrainer
        ends = Ends(clock)
        made = kind(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
            callbacks=[ends],
        )
        if teacher is not None:
            made.teacher = teacher
        made.train()
        return rate(ends.times)

    return turn


def in_batches(examples: Sequence[Example]) -> list[Example]:
    """Return the examples in the order in which our loop's first epoch takes them, of which all batches are full."""
    lengths = [len(example.input_ids) + len(example.target_ids) for example in examples]
    return [examples[index] for batch in bucketed_batches(lengths, BATCH, SEED, 1) for index in batch]


def contenders(options: argparse.Namespace, work: Path) -> dict[str, Turn]:
    """Return all contenders by name."""
    count = BATCH * options.steps
    records = records_of(options.records, 4 * count)
    tokenizer = tokenizer_of(options.tokenizer, records, options.vocabulary)
    prompt = Prompt(tokenizer, options.max_input, options.max_output)
    drawn = [e for e in examples_of(records, prompt) if len(e.target_ids) <= options.max_output][:count]
    sizes = SIZES[options.size]
    clock = time.process_time if options.clock == "cpu" else wall_clock(options.device)
    student, teacher = (
        build_model(ModelSettings(name="scratch", scratch=each), tokenizer, 0.0).to(options.device) for each in sizes
    )
    vocab_size = student.vocab_size
    examples = in_batches(drawn)
    targets = sorted(len(example.target_ids) for example in examples)
    print(
        f"student of {parameter_count(student) / 1e6:.2f}M, teacher of {parameter_count(teacher) / 1e6:.2f}M "
        f"parameters, V = {vocab_size}, batch {BATCH}, {len(examples)} examples a turn, "
        f"targets of {targets[len(targets) // 2]} tokens (median; longest {targets[-1]}), {options.threads} threads"
    )
    synthetic = SyntheticTeacher(vocab_size, sizes[1].d_model)
    codecs: list[Codec] = [
        HiddenCodec(vocab_size, sizes[1].d_model),
        TopKCodec(vocab_size, sizes[1].d_model, temperatures=[TEMPERATURE]),
    ]
    stores = [stored(work / codec.name, codec, synthetic, examples) for codec in codecs]
    # The loop orders examples itself; it gets them as they were drawn, and so takes the others' batches.
    turns = {
        name: ours(student, tokenizer, drawn, store, work, clock) for name, store in zip(OURS, stores, strict=True)
    }
    # The baselines are written for transformers' own class.
    network, teacher_network = student.network, teacher.network.eval()
    turns["dense, batch"] = dense(network, examples, synthetic, work / "dense.jsonl", None, clock)
    turns["dense, fixed"] = dense(network, examples, synthetic, work / "fixed.jsonl", options.max_output, clock)
    turns["online teacher"] = trainer(network, tokenizer, examples, work, teacher_network, clock)
    turns["plain ce"] = trainer(network, tokenizer, examples, work, None, clock)
    return {name: turn for name, turn in turns.items() if options.only is None or name in options.only}


def spread(values: Sequence[float], form: str) -> str:
    low, middle, high = (format(value, form) for value in (min(values), median(values), max(values)))
    return f"{middle} ({low} to {high})"


def main() -> None:
    """Let everybody train in turns and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="demo")
    parser.add_argument("--records", type=Path, help="JSONL of real records; without it the generated corpus")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer; without it one is trained")
    parser.add_argument("--vocabulary", type=int, default=1024, help="entries of the tokenizer that is trained")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=21, help="optimizer steps of a turn, the untimed first included")
    parser.add_argument("--max-input", type=int, default=256)
    parser.add_argument("--max-output", type=int, default=48)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--only", nargs="+", help="only these contenders")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        turns = contenders(options, Path(folder))
        rates: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(options.rounds):
            # Another order every round: nobody always comes after the one that leaves the caches cold.
            for name in np.random.default_rng(number).permutation(list(turns)):
                rates[name].append(turns[name]())
                print(f"round {number + 1}: {name} {rates[name][-1]:.2f} examples/s", file=sys.stderr, flush=True)
    print(f"\n{'examples a second':<18}median (lowest to highest of {options.rounds} rounds)")
    for name, values in rates.items():
        print(f"{name:<18}{spread(values, '.2f')}")
    for baseline in (name for name in GOALS if name in rates):
        print(f"\nratio to {baseline}, goal {GOALS[baseline]:.1f}")
        for name in (name for name in OURS if name in rates):
            ratios = [mine / theirs for mine, theirs in zip(rates[name], rates[baseline], strict=True)]
            met = "met" if median(ratios) >= GOALS[baseline] else "missed"
            print(f"{name:<18}{spread(ratios, '.2f')}  {met}")


if __name__ == "__main__":
    main()
