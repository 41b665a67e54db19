"""What a loss costs: the time of an optimizer step of each component and preset, as a ratio to plain cross-entropy.

    python benchmarks/loss_cost.py --records data.jsonl --tokenizer codet5-tokenizer/     60M parameters, V = 32,100
    python benchmarks/loss_cost.py --size demo                                            the demo's student

Baseline: the step with `ce` alone, in the same process, each round taking one step of every loss in turn, so that a
drifting machine slows all alike. A loss with text components has two kinds of step: before `loss.text.start` it samples
nothing, after it does. Printed per loss: median seconds of both, the median over rounds of their ratios to `ce` in that
round and of the ratio averaged over a whole training, its goal where there is one, and where the text components' time
goes in a step that samples. The student first takes a few steps of cross-entropy, so that its samples have an end as
real ones have; no step finds another's texts in the encoder's cache. Teacher logits are rebuilt from hidden states
(d = 768) in the step, as from the `hidden` cache.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.examples import Batch, Example
from assertkd.logits.codecs.hidden import HiddenView
from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.models.distillable import DistillableModel
from assertkd.models.embedding_file import pin_targets
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.models.registry import build_model, parameter_count
from assertkd.prompts.prompt import Prompt
from assertkd.settings import LossSettings, ModelSettings
from assertkd.settings.loss import ContrastiveSettings, SemanticSettings
from assertkd.settings.model import ScratchSettings
from assertkd.training.loss_term import BatchTotals, LossTerm, StepContext
from assertkd.training.objective import accumulate
from assertkd.training.optimizer import adamw
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.text_term import TextTerm
from assertkd.training.terms.token_term import TokenTerm
from logit_step import records_of, tokenizer_of

SIZES = {
    "220M": ScratchSettings(d_model=768, d_ff=3072, heads=12, encoder_layers=12, decoder_layers=12),
    "60M": ScratchSettings(d_model=512, d_ff=2048, heads=8, encoder_layers=6, decoder_layers=6),
    "demo": ScratchSettings(d_model=64, d_ff=256, heads=4, encoder_layers=2, decoder_layers=2),
}
WARM_STEPS = {"220M": 60, "60M": 60, "demo": 1000}
"""Until what a model samples has an end."""

LOSSES: dict[str, tuple[tuple[str, ...], float | None]] = {
    "ce": (("ce",), None),
    "focal": (("focal",), 1.06),
    "kl": (("kl",), 1.06),
    "jsd": (("jsd",), 1.06),
    "traditional": (("ce", "kl"), None),
    "ce + semantic": (("ce", "semantic"), None),
    "ce + contrastive": (("ce", "contrastive"), None),
    "ce + pans": (("ce", "pans"), None),
    "ce + ast": (("ce", "ast"), None),
    "enhanced": (("ce", "kl", "pans"), None),
    "ast_enhanced": (("ce", "kl", "ast"), None),
    "trident": (("focal", "jsd", "semantic"), 1.5),
    "all eight": (("ce", "focal", "kl", "jsd", "semantic", "contrastive", "pans", "ast"), 1.8),
}
"""Loss to its components, and the goal for its ratio averaged over a training at 60M parameters."""


class HiddenRows:
    """A teacher of random hidden states, whose logits are rebuilt at every use as the `hidden` cache does."""

    def __init__(self, vocabulary: int, width: int) -> None:
        self.head = torch.randn(vocabulary, width, generator=torch.Generator().manual_seed(0)) * 0.05
        self.width = width

    def view(self, tokens: int) -> HiddenView:
        hidden = torch.randn(tokens, self.width, generator=torch.Generator().manual_seed(tokens))
        return HiddenView(hidden, self)  # type: ignore[arg-type]

    @property
    def vocab_size(self) -> int:
        return self.head.shape[0]

    def weight(self, device: torch.device) -> torch.Tensor:
        self.head = self.head.to(device)
        return self.head


@contextmanager
def timed(times: dict[str, float], family: type[DistillableModel], clock: Callable[[], float]) -> Iterator[None]:
    """Add up the seconds spent in each part of the text components."""

    def wrap(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **named: object) -> object:
            started = clock()
            try:
                return function(*arguments, **named)
            finally:
                times[name] += clock() - started

        return wrapped

    with (
        patch.object(family, "sample", wrap("sampling", family.sample)),
        patch.object(TextTerm, "_score", wrap("scoring", TextTerm._score)),
        patch.object(TextEncoder, "embed", wrap("embedding", TextEncoder.embed)),
    ):
        yield


def student_and_examples(
    size: str, records_path: Path | None, tokenizer_path: Path | None, max_input: int
) -> tuple[DistillableModel, PreTrainedTokenizerFast, list[Example]]:
    """Return an untrained student, its tokenizer, and what it learns from."""
    records = records_of(records_path, 2000)
    tokenizer = tokenizer_of(tokenizer_path, records)
    model = build_model(ModelSettings(name="scratch", scratch=SIZES[size]), tokenizer, dropout=0.0)
    prompt = Prompt(tokenizer, max_input, 128)
    examples = [
        Example(r.id, prompt.encode_record(r).ids, prompt.encode_target(r.assertion), r.assertion) for r in records
    ]
    return model, tokenizer, examples


def plans() -> dict[str, LossPlan]:
    base = LossSettings(
        temperature=2.0,
        semantic=SemanticSettings(encoder=PACKAGED),
        contrastive=ContrastiveSettings(encoder=PACKAGED),
    )
    return {
        name: plan_loss(base.model_copy(update={"components": names, "weights": tuple(1.0 for _ in names)}))
        for name, (names, _) in LOSSES.items()
    }


def main() -> None:
    """Time every loss and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="60M")
    parser.add_argument("--records", type=Path, help="JSONL of real records; without it the generated corpus")
    parser.add_argument(
        "--tokenizer", type=Path, help="folder of a tokenizer; without it one is trained on the records"
    )
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), default=list(LOSSES), help="beside `ce`")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--examples", type=int, default=2000, help="that steps draw from, more than 8 batches")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--max-input", type=int, default=256)
    parser.add_argument("--warm-steps", type=int, help="steps of cross-entropy before timing (60M: 60, demo: 1000)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--log-every", type=int, default=10, help="one step in so many also logs gradient norms")
    parser.add_argument("--processor-time", action="store_true", help="for a busy machine, with --threads 1")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor_time else wall_clock(arguments.device)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model, tokenizer, examples = student_and_examples(
        arguments.size, arguments.records, arguments.tokenizer, arguments.max_input
    )
    examples = examples[: arguments.examples]
    model.to(arguments.device)
    teacher = HiddenRows(model.vocab_size, 768)
    batches = make_batches(examples, arguments.batch, model, teacher)
    encoder = TextEncoder(PACKAGED, arguments.device)
    pin_targets(encoder, (), [example.target for example in examples])
    optimizer = adamw(model, 1e-3, 0.01)
    nothing_cached = encoder.cache_state()
    objectives = {
        name: (plan, terms_of(plan, tokenizer, encoder, arguments.batch))
        for name, plan in plans().items()
        if name == "ce" or name in arguments.losses
    }
    print(f"{parameter_count(model) / 1e6:.1f}M parameters, V = {model.vocab_size}, batch {arguments.batch}")
    model.train()
    ce, ce_terms = objectives["ce"]
    for step in range(arguments.warm_steps or WARM_STEPS[arguments.size]):
        take(ce.weights(0.0), ce_terms, model, optimizer, next(batches), step, arguments.log_every)
    before: dict[str, list[float]] = defaultdict(list)
    after: dict[str, list[float]] = defaultdict(list)
    parts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    for step in range(arguments.rounds):
        batch = next(batches)
        for name, (plan, terms) in objectives.items():
            for progress, seconds in ((0.0, before), (1.0, after)) if start_of(plan) else ((1.0, after),):
                model.load_state_dict(weights)
                encoder.restore_cache(*nothing_cached)
                started = clock()
                with timed(parts[name], type(model), clock):
                    take(plan.weights(progress), terms, model, optimizer, batch, step + 1, arguments.log_every)
                seconds[name].append(clock() - started)
    baseline = np.array(after["ce"])
    print(f"{'':<18} {'seconds before, after start':>28}   {'ratio before':>12} {'after':>6} {'averaged':>9}")
    for name, (plan, _) in objectives.items():
        start, late = start_of(plan), np.array(after[name])
        early = np.array(before[name]) if start else late
        mean = median((start * early + (1 - start) * late) / baseline)
        goal = LOSSES[name][1] if arguments.size == "60M" else None
        verdict = "" if goal is None else f"  goal {goal:.2f} {'met' if mean <= goal else 'missed'}"
        where = ", ".join(f"{part} {total / late.sum():.0%}" for part, total in parts[name].items())
        print(
            f"{name:<18} {median(early):20.3f} {median(late):7.3f}   "
            f"{median(early / baseline):12.2f} {median(late / baseline):6.2f} {mean:9.2f}{verdict}   {where}"
        )


def wall_clock(device: str) -> Callable[[], float]:
    """Return a clock that waits for what the device has been given to do."""

    def now() -> float:
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def start_of(plan: LossPlan) -> float:
    """Return the share of a training's steps that come before the first that samples."""
    return plan.sampling.start if plan.sampling is not None else 0.0


def make_batches(examples: list[Example], size: int, model: DistillableModel, teacher: HiddenRows) -> Iterator[Batch]:
    start = 0
    while True:
        chosen = sorted(examples[start : start + size * 8], key=lambda e: len(e.input_ids))[::8][:size]
        start = (start + size * 8) % (len(examples) - size * 8)
        batch = collate(chosen, model.pad_token_id, None)
        yield replace(batch, teacher=teacher.view(batch.tokens))


def terms_of(
    plan: LossPlan, tokenizer: PreTrainedTokenizerFast, encoder: TextEncoder, sequences_per_pass: int
) -> Sequence[LossTerm]:
    terms: list[LossTerm] = [TokenTerm(plan)]
    if plan.sampling is not None:
        encoders = {"semantic": encoder, "contrastive": encoder}
        terms.append(TextTerm(plan, plan.sampling, tokenizer, encoders, 128, sequences_per_pass, 0))
    return terms


def take(
    weights: Mapping[str, float],
    terms: Sequence[LossTerm],
    model: DistillableModel,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    step: int,
    log_every: int,
) -> None:
    context = StepContext(
        model=model,
        micro_batches=[batch],
        weights=weights,
        step=step,
        totals=BatchTotals.count([batch], ProcessGroup()),
        backward=lambda loss: loss.backward(),
        with_norms=step % log_every == 0,
    )
    accumulate(terms, context)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


if __name__ == "__main__":
    main()
