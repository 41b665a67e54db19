"""What `precision: bf16` changes on this machine, as ratios to fp32: a training step, predictions, the teacher's pass.

    python benchmarks/precision.py                                              a T5 of CodeT5-small's sizes
    python benchmarks/precision.py --model results/smollm/teacher/final_model

Baseline: the same model in fp32, in the same process, each round taking one turn of either. Printed: median seconds of
a batch, and the median over rounds of the ratios (lowest to highest). With `--model`, how far the distributions at the
targets in bf16 are from those in fp32 (KL divergence in nats), and the share of equal predictions. Memory holds four
copies of the model, and the optimizer's state of two.
"""

import argparse
import copy
import time
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from assertkd.batching.collation import collate
from assertkd.batching.examples import Batch
from assertkd.models.distillable import IGNORED, DistillableModel, capped
from assertkd.models.network import round_weights
from assertkd.models.registry import build_model, load_model, parameter_count
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.settings import ModelSettings
from assertkd.settings.model import SCRATCH
from assertkd.training.optimizer import AUTOCAST, adamw, use_autocast
from logit_step import STUDENT, examples_of, records_of, tokenizer_of

PRECISIONS = ("fp32", "bf16")


class Contender:
    """One model in one precision: rounded weights for predictions and the pass, autocast for training, as in a run."""

    def __init__(self, model: DistillableModel, precision: str) -> None:
        self.teacher, self.student = copy.deepcopy(model).eval(), copy.deepcopy(model).train()
        if precision != "fp32":
            round_weights(self.teacher)
            use_autocast(self.student, AUTOCAST[precision])
        self._optimizer = adamw(self.student, 1e-5, 0.0)

    def train(self, batch: Batch) -> None:
        logits = self.student(batch.input_ids, batch.attention_mask, batch.labels).logits
        functional.cross_entropy(logits, batch.labels[batch.labels != IGNORED]).backward()
        self._optimizer.step()
        self._optimizer.zero_grad()

    @torch.inference_mode()
    def predict(self, batch: Batch) -> Tensor:
        """Return the tokens (B, T) that the model writes."""
        return self.teacher.generate(batch.input_ids, batch.attention_mask, batch.labels.shape[1])

    @torch.inference_mode()
    def compress(self, batch: Batch) -> Tensor:
        """Return the vectors (N, d) that enter the head at the targets."""
        return self.teacher.head_inputs(batch.input_ids, batch.attention_mask, batch.labels)

    def log_probabilities(self, vectors: Tensor) -> Tensor:
        """Return those (N, V) that a store of these vectors gives back."""
        logits = capped(vectors.float() @ self.teacher.head_weight.float().T, self.teacher.logit_cap)
        return torch.log_softmax(logits, dim=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a trained model; without it one is built")
    parser.add_argument("--records", type=Path, help="JSONL of real records; without it the generated corpus")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--max-input", type=int, default=320)
    parser.add_argument("--max-output", type=int, default=48)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    records = records_of(options.records, 2 * options.batch * (options.rounds + 1))
    if options.model is None:
        tokenizer = tokenizer_of(None, records)
        model = build_model(ModelSettings(name=SCRATCH, scratch=STUDENT), tokenizer, 0.0)
    else:
        tokenizer = load_tokenizer(options.model)
        model = load_model(options.model, tokenizer=tokenizer)
    examples = examples_of(records, Prompt(tokenizer, options.max_input, options.max_output))
    examples = [example for example in examples if len(example.target_ids) <= options.max_output]
    starts = range(0, options.batch * (options.rounds + 1), options.batch)
    batches = [examples[start : start + options.batch] for start in starts]
    print(f"{parameter_count(model) / 1e6:.1f}M parameters, batches of {options.batch}, {options.threads} threads")

    contenders = {precision: Contender(model, precision) for precision in PRECISIONS}
    seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    divergences, same_texts = list[float](), list[float]()
    for number, chosen in enumerate(batches):
        batch = collate(chosen, model.pad_token_id, None)
        distributions, texts = dict[str, Tensor](), dict[str, list[str]]()
        for precision in sorted(PRECISIONS, reverse=bool(number % 2)):
            contender = contenders[precision]
            results: dict[str, Any] = {}
            for turn in (contender.compress, contender.predict, contender.train):
                started = time.perf_counter()
                results[turn.__name__] = turn(batch)
                seconds[turn.__name__][precision].append(time.perf_counter() - started)
            if options.model is not None:
                distributions[precision] = contender.log_probabilities(results["compress"])
                texts[precision] = tokenizer.batch_decode(results["predict"], skip_special_tokens=True)
        if options.model is not None:
            exact, coarse = (distributions[precision] for precision in PRECISIONS)
            divergences.append(float((exact.exp() * (exact - coarse)).sum(dim=-1).mean()))
            same_texts += [float(one == other) for one, other in zip(*texts.values(), strict=True)]
    for name, times in seconds.items():
        # The first round warms up.
        fp32, bf16 = (times[precision][1:] for precision in PRECISIONS)
        ratios = [mine / theirs for mine, theirs in zip(bf16, fp32, strict=True)]
        print(
            f"{name:<9} fp32 {median(fp32):6.2f} s, bf16 {median(bf16):6.2f} s, "
            f"bf16 / fp32 {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    if divergences:
        print(f"KL {fmean(divergences):.1e} nats, {100 * fmean(same_texts):.0f} % of {len(same_texts)} texts the same")


if __name__ == "__main__":
    main()
