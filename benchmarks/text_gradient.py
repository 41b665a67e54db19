"""Which way of sampling gives the text components' gradient the most signal in a second.

    python benchmarks/text_gradient.py

A student takes some hundred steps of cross-entropy. On a fixed population of examples every scheme then draws gradients
over all the student's parameters, each with a seed of its own for the choice of examples and for the samples. `4x4` is
4 examples with 4 samples each, the defaults of `loss.text` at a batch of 16, and the baseline.

    policy gradient    risk minus the mean risk of the example's other samples
    greedy             risk minus the risk of the greedy text
    candidates         minimum risk over a fixed list (Shen et al. 2016, sharpness 0.005): gold and 7 samples of the
                       student after half of its steps, scored once for all

Printed per scheme: signal to noise of a draw, ||mean||² over the trace of the covariance, both without bias; the same
per second, as a ratio to the baseline; the cosine of its mean with the gradient of the expected risk; seconds of a
draw. All schemes but `candidates` estimate that one gradient, so their ||mean||² is taken from all their draws together
and their cosine is 1. Errors are the jackknife's standard errors. Schemes take turns. Seconds are the processor time of
one thread, which other processes hardly change. About five minutes.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.examples import Batch
from assertkd.losses.expected_risk import leave_one_out, policy_loss, sequence_log_probs
from assertkd.losses.registry import TextComponent, component_of
from assertkd.losses.text_batch import TextBatch
from assertkd.models.decoding import pad_sequences, sample_texts
from assertkd.models.distillable import IGNORED, DistillableModel
from assertkd.models.embedding_file import pin_targets
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.training.loss_term import BatchTotals, StepContext
from assertkd.training.optimizer import adamw
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.sampling import MAX_LENGTH_RATIO, Outputs, sample_outputs
from assertkd.training.terms.token_term import TokenTerm
from loss_cost import SIZES, HiddenRows, make_batches, plans, student_and_examples, take

CANDIDATES = 8
SHARPNESS = 0.005
MAX_NEW_TOKENS = 128


@dataclass(frozen=True)
class Scheme:
    """How a draw gets its gradient: from how many examples, and how many texts of each."""

    examples: int
    texts: int
    estimator: Literal["policy gradient", "greedy", "candidates"] = "policy gradient"


BASELINE = "4x4"
SCHEMES = {
    "4x4": Scheme(4, 4),
    "8x2": Scheme(8, 2),
    "2x8": Scheme(2, 8),
    "8x4": Scheme(8, 4),
    "16x4": Scheme(16, 4),
    "4x4 greedy": Scheme(4, 4, "greedy"),
    "4x8 candidates": Scheme(4, CANDIDATES, "candidates"),
}


class Population:
    """Fixed examples, and the student that writes for them."""

    def __init__(
        self, model: DistillableModel, tokenizer: PreTrainedTokenizerFast, batch: Batch, encoder: TextEncoder
    ) -> None:
        self.model, self.batch = model, batch
        self._tokenizer, self._encoder = tokenizer, encoder
        self._context = StepContext(model, [batch], {}, 0, BatchTotals.count([batch], ProcessGroup()))

    def sampled(self, rows: Sequence[int], count: int, seed: int) -> Outputs:
        return sample_outputs(self._context, [(self.batch, row) for row in rows], count, MAX_NEW_TOKENS, seed)

    def risks(self, name: str, rows: Sequence[int], tokens: Tensor) -> Tensor:
        """Return the risks of the texts of `tokens` (B, K, T), (B, K)."""
        component = component_of(name)
        assert isinstance(component, TextComponent)
        references = [self.batch.targets[row] for row in rows]
        texts = sample_texts(self._tokenizer, tokens)
        return component.compute(TextBatch(texts, references, references, {name: self._encoder}))

    def greedy(self, rows: Sequence[int], outputs: Outputs) -> Tensor:
        longest = max(int((self.batch.labels[row] != IGNORED).sum()) for row in rows)
        limit = min(MAX_NEW_TOKENS, MAX_LENGTH_RATIO * longest)
        return self.model.generate(outputs.input_ids, outputs.attention_mask, limit)[:, None]

    def log_probs(self, outputs: Outputs) -> Tensor:
        """Return the log-probabilities of the outputs, (B, K), with gradient."""
        tokens, lengths = outputs.tokens.flatten(0, 1), outputs.lengths.flatten()
        is_target = torch.arange(tokens.shape[1]) < lengths[:, None]
        labels = tokens.masked_fill(~is_target, IGNORED)
        logits = self.model(
            outputs.input_ids, outputs.attention_mask, labels, targets_per_input=outputs.lengths.shape[1]
        ).logits
        return sequence_log_probs(logits, tokens[is_target], lengths).view_as(outputs.lengths)


class Candidates:
    """A fixed list of candidates of each example of a population, gold first, with their risks."""

    def __init__(self, population: Population, seed: int) -> None:
        batch, every = population.batch, range(len(population.batch.ids))
        samples = population.sampled(every, CANDIDATES - 1, seed)
        lists = [
            [
                labels[labels != IGNORED].tolist(),
                *(row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)),
            ]
            for labels, tokens, lengths in zip(batch.labels, samples.tokens, samples.lengths, strict=True)
        ]
        flat, is_token = pad_sequences([text for texts in lists for text in texts], population.model.pad_token_id)
        self._population = population
        self._tokens = flat.view(len(lists), CANDIDATES, -1)
        self._lengths = is_token.sum(1).view(len(lists), CANDIDATES)
        self._repeated = torch.tensor([[text in texts[:i] for i, text in enumerate(texts)] for texts in lists])
        self._risks: dict[str, Tensor] = {}

    def score(self, name: str) -> None:
        self._risks[name] = self._population.risks(name, range(len(self._tokens)), self._tokens)

    def expected_risk(self, name: str, rows: Sequence[int]) -> Tensor:
        """Return the mean over examples of the risk under the student's distribution over each list, a scalar."""
        batch, lengths = self._population.batch, self._lengths[rows]
        width = int(batch.attention_mask[rows].sum(1).max())
        tokens = self._tokens[rows][..., : int(lengths.max())]
        outputs = Outputs(batch.input_ids[rows, :width], batch.attention_mask[rows, :width], tokens, lengths)
        scores = SHARPNESS * self._population.log_probs(outputs)
        shares = scores.masked_fill(self._repeated[rows], -math.inf).softmax(dim=1)
        return (shares * self._risks[name][rows]).sum(dim=1).mean()


def draw(population: Population, candidates: Candidates, scheme: Scheme, name: str, seed: int) -> Tensor:
    """Return one gradient over all parameters, (P,)."""
    generator = np.random.default_rng(seed)
    rows = sorted(int(row) for row in generator.choice(len(population.batch.ids), scheme.examples, replace=False))
    if scheme.estimator == "candidates":
        loss = candidates.expected_risk(name, rows)
    else:
        outputs = population.sampled(rows, scheme.texts, int(generator.integers(2**63)))
        risks = population.risks(name, rows, outputs.tokens)
        if scheme.estimator == "greedy":
            advantages = risks - population.risks(name, rows, population.greedy(rows, outputs))
        else:
            advantages = leave_one_out(risks)
        # A constant in place of the mean length: the ratio of signal to noise has no unit.
        loss = policy_loss(advantages.flatten(), population.log_probs(outputs).flatten(), 1.0)
    gradients = torch.autograd.grad(loss, list(population.model.parameters()), materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in gradients])


def figures(products: Tensor, seconds: Tensor) -> dict[str, Tensor]:
    """Return the columns of the table, each (S,), from N draws of S schemes.

    Args:
        products: (N, S, N, S) inner products of all draws.
        seconds: (N, S).
    """
    count = len(products)
    sums, squares = products.sum(dim=(0, 2)), torch.einsum("nsns->s", products)
    noise = (squares - sums.diagonal() / count) / (count - 1)
    # Between different draws the inner product is that of their means. All but one estimator have the same mean.
    signal = (sums.diagonal() - squares) / (count * (count - 1))
    same = torch.tensor([scheme.estimator != "candidates" for scheme in SCHEMES.values()])
    draws = count * int(same.sum())
    pooled = (sums[same][:, same].sum() - squares[same].sum()) / (draws * (draws - 1))
    cosine = sums[:, same].mean(dim=1) / count**2 / (signal * pooled).sqrt()
    ratio = torch.where(same, pooled, signal) / noise
    rate = ratio / seconds.mean(dim=0)
    return {
        "signal to noise of a draw": ratio,
        "per second, ratio to 4x4": rate / rate[list(SCHEMES).index(BASELINE)],
        "cosine": torch.where(same, 1.0, cosine),
    }


def report(name: str, gradients: Sequence[Tensor], seconds: Sequence[float]) -> None:
    schemes = len(SCHEMES)
    rows = torch.stack(list(gradients))
    products = (rows @ rows.T).double().view(-1, schemes, len(rows) // schemes, schemes)
    times = torch.tensor(seconds).view(-1, schemes)
    count = len(times)
    without_one = [figures(products[kept][:, :, kept], times[kept]) for kept in ~torch.eye(count, dtype=torch.bool)]
    columns = {}
    for column, values in figures(products, times).items():
        errors = torch.stack([each[column] for each in without_one]).std(dim=0, correction=0) * (count - 1) ** 0.5
        columns[column] = [f"{value:.3g} ± {error:.2g}" for value, error in zip(values, errors, strict=True)]
    columns["seconds"] = [f"{value:.3f}" for value in times.mean(dim=0)]
    print(f"\n{name}, {count} draws of each scheme\n\n| scheme | {' | '.join(columns)} |")
    print(f"| --- |{' ---: |' * len(columns)}")
    for scheme, *cells in zip(SCHEMES, *columns.values(), strict=True):
        print(f"| {scheme} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Warm the student, draw, and print a table for each component."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--components", nargs="+", default=["semantic", "pans"])
    parser.add_argument("--size", choices=list(SIZES), default="demo", help="60M needs 240 MB of memory a draw")
    parser.add_argument("--warm-steps", type=int, default=400)
    parser.add_argument("--population", type=int, default=64, help="examples, 16 at least")
    parser.add_argument("--draws", type=int, default=40, help="of every scheme")
    parser.add_argument(
        "--seconds", type=float, default=130.0, help="processor time of one component; cuts the draws short"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, tokenizer, examples = student_and_examples(arguments.size, None, None, 256)
    encoder = TextEncoder(PACKAGED)
    chosen = examples[:: len(examples) // arguments.population][: arguments.population]
    pin_targets(encoder, (), [example.target for example in chosen])
    nothing_cached = encoder.cache_state()
    population = Population(model, tokenizer, collate(chosen, model.pad_token_id, None), encoder)
    batches = make_batches(examples, 16, model, HiddenRows(model.vocab_size, 8))
    optimizer = adamw(model, 1e-3, 0.01)
    ce = plans()["ce"]
    model.train()
    for step in range(arguments.warm_steps):
        if step == arguments.warm_steps // 2:
            candidates = Candidates(population, seed=0)
        take(ce.weights(0.0), [TokenTerm(ce)], model, optimizer, next(batches), step, log_every=arguments.warm_steps)
    model.eval()
    for name in arguments.components:
        candidates.score(name)
        gradients: list[Tensor] = []
        seconds: list[float] = []
        while len(seconds) < arguments.draws * len(SCHEMES) and sum(seconds) < arguments.seconds:
            for scheme in SCHEMES.values():
                # Every draw pays for its texts' embeddings.
                encoder.restore_cache(*nothing_cached)
                started = time.process_time()
                gradients.append(draw(population, candidates, scheme, name, seed=len(seconds)))
                seconds.append(time.process_time() - started)
        report(name, gradients, seconds)


if __name__ == "__main__":
    main()
