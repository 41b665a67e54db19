"""What a student's step costs by the families and tokenizers of teacher and student, as a ratio to plain cross-entropy.

    python benchmarks/pairing_cost.py
    python benchmarks/pairing_cost.py --width 512 --layers 6 --vocab-size 32100

Students from scratch of both families and of equal width and layers, on the generated corpus. The teacher's
distributions are random hidden states of d = 768 whose logits are rebuilt in the step, as from the `hidden` cache.
Baseline: the same student's step with `ce` alone, in the same process, each round taking one step of every pairing in
turn. Printed: parameters, median seconds, the median over rounds of the ratios to that baseline and to the T5 student's
`ce`.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from assertkd.batching.collation import collate
from assertkd.batching.examples import Batch, Example, Payload, TeacherSource
from assertkd.logits.aligned_teacher import AlignedTeacher
from assertkd.logits.codecs.hidden import HiddenView
from assertkd.losses.loss_plan import plan_loss
from assertkd.models.distillable import DistillableModel
from assertkd.models.registry import build_model, parameter_count
from assertkd.prompts.prompt import Prompt
from assertkd.prompts.prompt_form import choose_form
from assertkd.records import Record
from assertkd.settings import LossSettings, ModelSettings
from assertkd.settings.model import ScratchSettings
from assertkd.synthetic import generate
from assertkd.training.optimizer import adamw
from assertkd.training.terms.token_term import TokenTerm
from logit_step import tokenizer_of
from loss_cost import HiddenRows, take

PAIRINGS = {
    "T5 -> T5": ("t5", "kl"),
    "decoder-only -> decoder-only": ("causal", "kl"),
    "decoder-only -> T5": ("t5", "kl"),
    "any -> T5 with its own tokenizer": ("t5 own", "uld"),
    "any -> decoder-only with its own tokenizer": ("causal own", "uld"),
}
"""Teacher and student to the student, and the loss that reads the teacher."""


class RandomStores:
    """A teacher's stores, of random hidden states for any target."""

    def __init__(self, vocabulary: int) -> None:
        self._rows, self.vocab_size = HiddenRows(vocabulary, 768), vocabulary

    def read(self, example_id: str, target_ids: Sequence[int]) -> Payload:
        return {"tokens": np.array([len(target_ids)])}

    def read_example(self, example: Example) -> Payload:
        return self.read(example.id, example.target_ids)

    def collate_views(self, payloads: Sequence[Payload]) -> HiddenView:
        return self._rows.view(sum(int(payload["tokens"][0]) for payload in payloads))


@dataclass(frozen=True)
class Student:
    """A student, what it learns, and the teacher as it sees it."""

    model: DistillableModel
    optimizer: torch.optim.Optimizer
    examples: list[Example]
    teacher: TeacherSource

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Return examples with the teacher's distributions."""
        return collate([self.examples[number] for number in numbers], self.model.pad_token_id, self.teacher)


def student(name: str, records: list[Record], options: argparse.Namespace) -> Student:
    """Return an untrained student of a family, with the teacher's tokenizer or one of half its entries."""
    family, _, own = name.partition(" ")
    of_teacher = tokenizer_of(None, records, options.vocab_size)
    tokenizer = tokenizer_of(None, records, options.vocab_size // 2) if own else of_teacher
    if family == "causal":
        choose_form(tokenizer, None)
    sizes = ScratchSettings(
        family=family,
        d_model=options.width,
        d_ff=4 * options.width,
        heads=8,
        encoder_layers=options.layers,
        decoder_layers=options.layers,
    )
    model = build_model(ModelSettings(name="scratch", scratch=sizes), tokenizer, dropout=0.0).train()
    prompt, stores = Prompt(tokenizer, options.max_input, 128), RandomStores(len(of_teacher))
    examples = [
        Example(r.id, prompt.encode_record(r).ids, prompt.encode_target(r.assertion), r.assertion) for r in records
    ]
    aligned = AlignedTeacher(stores, Prompt(of_teacher, options.max_input, 128), prompt, model.vocab_size)
    return Student(model, adamw(model, 1e-3, 0.01), examples, aligned if own else stores)


def main() -> None:
    """Time every pairing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--vocab-size", type=int, default=2048)
    parser.add_argument("--max-input", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor-time", action="store_true", help="for a busy machine, with --threads 1")
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    records = list(generate(600, 42, None))
    students = {name: student(name, records, options) for name in ("t5", "causal", "t5 own", "causal own")}
    plans = {
        name: plan_loss(LossSettings(components=names, weights=(1.0,) * len(names)))
        for name, names in {"ce": ("ce",), "kl": ("ce", "kl"), "uld": ("ce", "uld")}.items()
    }
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    steps = [*((name, "ce") for name in students), *dict.fromkeys(PAIRINGS.values())]
    for step in range(options.rounds + 2):
        numbers = [(step * options.batch + place) % len(records) for place in range(options.batch)]
        for name, loss in steps:
            one, plan = students[name], plans[loss]
            batch = one.batch(numbers)
            started = clock()
            take(plan.weights(0.0), [TokenTerm(plan)], one.model, one.optimizer, batch, 1, 10)
            if step >= 2:
                seconds[name, loss].append(clock() - started)
    t5 = np.array(seconds["t5", "ce"])
    print(
        f"width {options.width}, {options.layers} layers, V = {students['t5'].model.vocab_size}, batch {options.batch}"
    )
    print(f"{'':<44}{'parameters':>12}{'seconds':>9}{'to its ce':>11}{'to T5 ce':>10}")
    rows = [("T5, ce alone", ("t5", "ce")), ("decoder-only, ce alone", ("causal", "ce")), *PAIRINGS.items()]
    for title, (name, loss) in rows:
        taken, own = np.array(seconds[name, loss]), np.array(seconds[name, "ce"])
        print(
            f"{title:<44}{parameter_count(students[name].model) / 1e6:>10.2f} M{median(taken):>9.3f}"
            f"{median(taken / own):>11.2f}{median(taken / t5):>10.2f}"
        )


if __name__ == "__main__":
    main()
