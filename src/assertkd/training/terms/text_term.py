"""Loss components over text: predictions are sampled and decoded, and their probabilities moved by their risks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from assertkd.losses.combine import with_gradients
from assertkd.losses.expected_risk import leave_one_out, logit_gradient_norms, policy_loss, sequence_log_probs
from assertkd.losses.loss_plan import LossPlan
from assertkd.losses.running_mean import RunningMeans
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.models.decoding import evaluation_mode, sample_texts
from assertkd.models.distillable import IGNORED
from assertkd.models.encoders import TextEncoder, hit_rate
from assertkd.settings.loss import TextLossSettings
from assertkd.training.loss_term import LossTerm, StepContext, TermValues
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.sampling import Outputs, sample_outputs, seeds_of_step

LENGTH = "length"
"""Name of the running mean of the samples' length."""


@dataclass(frozen=True, slots=True)
class _Samples:
    """Sampled predictions of this process's examples.

    Attributes:
        outputs: as tokens.
        batch: as text.
        share: of all processes' sampled examples, 0 to 1.
        mean_length: of earlier steps' samples, in tokens; the policy gradient is divided by it. The mean of the samples
            themselves would bias it, by 13 % with two samples of one example.
    """

    outputs: Outputs
    batch: TextBatch
    share: float
    mean_length: float


class TextTerm(LossTerm):
    """The text components of a loss plan, as expected risks of what the student writes.

    Each component's advantages are divided by their root mean square, a running mean over the steps, so that weights
    compare risks of different size. Where they would make more than `max_share` of the gradient's norm at the logits,
    all are scaled down together.

    Args:
        plan: has at least one text component.
        encoders: component name to the encoder that it embeds with.
        max_new_tokens: longest prediction, in tokens.
        sequences_per_pass: sequences in one scoring pass.
        seed: of the choice of examples and of the samples.
    """

    columns = ("ast_invalid_rate", "text_gradient_share", "text_limit", "cache_hit_rate")

    def __init__(
        self,
        plan: LossPlan,
        sampling: TextLossSettings,
        tokenizer: PreTrainedTokenizerFast,
        encoders: Mapping[str, TextEncoder],
        max_new_tokens: int,
        sequences_per_pass: int,
        seed: int,
    ) -> None:
        self._components = plan.text_components
        self._sampling, self._tokenizer, self._encoders = sampling, tokenizer, encoders
        self._max_new_tokens, self._sequences_per_pass, self._seed = max_new_tokens, sequences_per_pass, seed
        self.names = tuple(component.name for component, _ in self._components)
        # Of the samples' length, under LENGTH, and of each component's squared advantages.
        self._means = RunningMeans({})

    def state(self) -> dict[str, Any]:
        """Return the running means, as JSON values."""
        return self._means.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._means.restore(state)

    def accumulate(self, context: StepContext) -> TermValues:
        """Add the components' gradient; see `LossTerm`.

        Examples and samples follow from the seed and the step, and from the process.
        """
        active = [(plan, component) for plan, component in self._components if context.weights[plan.name]]
        zero = torch.zeros((), device=context.device)
        if not active:
            return TermValues(zero, columns={"cache_hit_rate": hit_rate(self._encoders.values())})
        samples = self._sample(context)
        texts, _ = samples.batch.pairs()
        invalid = sum(1.0 - syntax_validity(text, "") for text in texts)
        risks = {
            plan.name: component.compute(samples.batch, **plan.options)
            if texts
            else torch.zeros(0, self._sampling.samples)
            for plan, component in active
        }
        advantages = self._standardised(
            {name: leave_one_out(risk).flatten() for name, risk in risks.items()}, context.processes
        )
        factors = {plan.name: context.weights[plan.name] * plan.scale for plan, _ in active}
        device = context.device
        raw = {name: samples.share * (risk.sum() / max(1, risk.numel())).to(device) for name, risk in risks.items()}
        squared_norms = dict.fromkeys(risks, zero) if context.with_norms else {}
        squared_norm, limit = self._score(context, samples, advantages, factors, squared_norms) if texts else (0.0, 0.0)
        of_processes = context.processes.gathered(
            [
                samples.share * invalid / max(1, len(texts)),
                squared_norm,
                limit,
                [name for name, each in advantages.items() if not each.any()],
            ]
        )
        rates, squares, limits, equal_risks = zip(*of_processes, strict=True)
        text_norm, token_norm = math.sqrt(sum(squares)), math.sqrt(float(context.squared_norm or 0.0))
        return TermValues(
            total=sum((factors[name] * value for name, value in raw.items()), zero),
            raw=raw,
            squared_norms=squared_norms,
            equal_risks=frozenset.intersection(*map(frozenset, equal_risks)),
            columns={
                "ast_invalid_rate": sum(rates),
                "text_gradient_share": text_norm / (text_norm + token_norm) if text_norm + token_norm else None,
                "text_limit": sum(limits),
                "cache_hit_rate": hit_rate(self._encoders.values()),
            },
        )

    def _standardised(self, advantages: dict[str, Tensor], processes: ProcessGroup) -> dict[str, Tensor]:
        """Return each component's advantages over their root mean square in earlier steps, or in this one if first."""
        *squares, count = processes.sums(
            *(float(each.square().sum()) for each in advantages.values()), len(next(iter(advantages.values())))
        )
        standardised = {}
        for (name, each), square in zip(advantages.items(), squares, strict=True):
            mean = self._means.means.get(name, square / count)
            standardised[name] = each / math.sqrt(mean) if mean else each
            self._means.update({name: square / count})
        return standardised

    def _sample(self, context: StepContext) -> _Samples:
        """Return samples for some of this process's examples; it may have none."""
        references = context.processes.joined([text for batch in context.micro_batches for text in batch.targets])
        rows = [(batch, row) for batch in context.micro_batches for row in range(len(batch.ids))]
        choice_seed, sample_seed = seeds_of_step(context, self._seed)
        count = max(1, round(self._sampling.share * len(rows))) if rows else 0
        chosen = [rows[i] for i in sorted(np.random.default_rng(choice_seed).choice(len(rows), count, replace=False))]
        outputs = sample_outputs(context, chosen, self._sampling.samples, self._max_new_tokens, sample_seed)
        lengths, targets = outputs.lengths, [batch.targets[row] for batch, row in chosen]
        texts = sample_texts(self._tokenizer, outputs.tokens)
        (all_examples,) = context.processes.sums(len(chosen))
        tokens, sequences = context.processes.sums(int(lengths.sum()), lengths.numel())
        mean_length = self._means.means.get(LENGTH, tokens / sequences)
        self._means.update({LENGTH: tokens / sequences})
        batch = TextBatch(texts, targets, references, self._encoders)
        return _Samples(outputs, batch, len(chosen) / all_examples, mean_length)

    def _score(
        self,
        context: StepContext,
        samples: _Samples,
        advantages: Mapping[str, Tensor],
        factors: Mapping[str, float],
        squared_norms: dict[str, Tensor],
    ) -> tuple[float, float]:
        """Pass the samples through the model, teacher-forced, and move their probabilities.

        The components' squared norms, before the limit, are added to `squared_norms`.

        Returns:
            The squared norm of the gradient at the logits, after the limit; and the limit's factor, the mean over the
            passes times this process's share of the sampled examples.
        """
        device = context.device
        combined = sum((factors[name] * each for name, each in advantages.items()), torch.zeros(())).to(device)
        if not combined.any() and not squared_norms:
            return 0.0, samples.share
        advantages = {name: each.to(device) for name, each in advantages.items()}
        squared_norm = limit = torch.zeros((), device=device)
        outputs = samples.outputs
        count, per_input, longest = outputs.tokens.shape
        inputs_per_pass = max(1, self._sequences_per_pass // per_input)
        factor: Tensor | float = 1.0
        # With dropout, the model that is scored would not be the one that was sampled from.
        with evaluation_mode(context.model), torch.set_grad_enabled(context.backward is not None):
            for start in range(0, count, inputs_per_pass):
                part = slice(start, min(start + inputs_per_pass, count))
                tokens, lengths = outputs.tokens[part].flatten(0, 1), outputs.lengths[part].flatten()
                is_target = torch.arange(longest, device=tokens.device) < lengths[:, None]
                logits = context.model(
                    outputs.input_ids[part],
                    outputs.attention_mask[part],
                    tokens.masked_fill(~is_target, IGNORED),
                    targets_per_input=per_input,
                ).logits
                labels = tokens[is_target]
                share = samples.share * (part.stop - part.start) / count
                rows = slice(part.start * per_input, part.stop * per_input)
                if squared_norms:
                    of_part = {name: values[rows] for name, values in advantages.items()}
                    norms = logit_gradient_norms(of_part, logits.detach(), labels, lengths, samples.mean_length)
                    for name, norm in norms.items():
                        squared_norms[name] = squared_norms[name] + (share * norm).square()
                if context.backward is not None:
                    leaf = logits.detach().requires_grad_()
                    log_probs = sequence_log_probs(leaf, labels, lengths)
                    value = share * policy_loss(combined[rows], log_probs, samples.mean_length)
                    (gradient,) = torch.autograd.grad(value, leaf)
                    factor = self._limit(gradient, context.squared_norm, share)
                    context.backward(with_gradients(value.detach(), [logits], [factor * gradient]))
                    squared_norm = squared_norm + (factor * gradient).float().square().sum()
                limit = limit + share * factor
        return float(squared_norm), float(limit)

    def _limit(self, gradient: Tensor, token_squared_norm: Tensor | None, share: float) -> Tensor | float:
        """Return the factor, at most 1, that holds a pass's gradient at the logits to `max_share`.

        The squared norms of all passes add up; each pass may have its share of the square that is allowed.
        """
        if token_squared_norm is None or self._sampling.max_share == 1:
            return 1.0
        ratio = self._sampling.max_share / (1.0 - self._sampling.max_share)
        allowed = ratio * math.sqrt(share) * token_squared_norm.sqrt()
        norm = gradient.float().norm()
        return torch.where(norm > allowed, allowed / norm, 1.0)
