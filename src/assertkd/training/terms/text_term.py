"""Loss components over text: predictions are sampled and decoded, and their probabilities moved by their risks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from assertkd.losses.expected_risk import leave_one_out, logit_gradient_norms, policy_loss, sequence_log_probs
from assertkd.losses.loss_plan import ComponentPlan, LossPlan, SamplingPlan
from assertkd.losses.registry import TextComponent
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.models.decoding import evaluation_mode, output_lengths, pad_sequences, sample_texts
from assertkd.models.distillable import IGNORED
from assertkd.models.encoders import TextEncoder, hit_rate
from assertkd.training.loss_term import StepContext, TermValues

MAX_LENGTH_RATIO = 2
"""Longest sample, as a multiple of the longest target among its examples."""


@dataclass(frozen=True, slots=True)
class _Samples:
    """Sampled predictions of B examples, K each, as tokens (B, K, T) and as text."""

    input_ids: Tensor
    attention_mask: Tensor
    tokens: Tensor
    lengths: Tensor
    batch: TextBatch


@dataclass(frozen=True, slots=True)
class _Scaling:
    """This process's share of all sampled examples, and the mean length of all samples in tokens."""

    share: float
    mean_length: Tensor


class TextTerm:
    """The text components of a loss plan, as expected risks of what the student writes.

    Args:
        plan: the loss; it has at least one text component.
        sampling: number of predictions and share of the examples.
        tokenizer: decodes predictions.
        encoders: component name to the encoder that it embeds with.
        max_new_tokens: longest prediction, in tokens.
        sequences_per_pass: sequences in one scoring pass.
        seed: of the choice of examples and of the samples.
    """

    fixed_weights: Mapping[str, float] = MappingProxyType({})
    no_gradient_remedy = "Leave the component out, or look at these examples."

    def __init__(
        self,
        plan: LossPlan,
        sampling: SamplingPlan,
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
        self.columns: tuple[str, ...] = ("ast_invalid_rate", "cache_hit_rate")

    def prepare(self, device: torch.device) -> None:
        """Nothing to move: encoders are loaded where they compute."""

    def accumulate(self, context: StepContext) -> TermValues:
        """Add the components' gradient; see `LossTerm`.

        Examples and samples follow from the seed and the step, and from the process.
        """
        active = [(plan, component) for plan, component in self._components if context.weights[plan.name]]
        zero = torch.zeros((), device=context.device)
        zeros = {plan.name: zero for plan, _ in active}
        if not active:
            return TermValues(zero, columns={"cache_hit_rate": hit_rate(self._encoders.values())})
        references = [
            reference
            for texts in context.processes.gathered([text for b in context.micro_batches for text in b.targets])
            for reference in texts
        ]
        samples = self._sample(context, references)
        scaling = self._scaling(context, samples)
        if samples is None:
            invalid_rate = 0.0
            values = TermValues(
                zero, zeros, dict(zeros) if context.with_norms else {}, equal_risks=frozenset(self.names)
            )
        else:
            texts, _ = samples.batch.pairs()
            invalid_rate = scaling.share * sum(1.0 - syntax_validity(text, "") for text in texts) / len(texts)
            values = self._values(context, samples, scaling, active)
        of_processes = context.processes.gathered([invalid_rate, sorted(values.equal_risks)])
        values.equal_risks = frozenset.intersection(*(frozenset(names) for _, names in of_processes))
        values.columns = {
            "ast_invalid_rate": sum(rate for rate, _ in of_processes),
            "cache_hit_rate": hit_rate(self._encoders.values()),
        }
        return values

    def _values(
        self,
        context: StepContext,
        samples: _Samples,
        scaling: _Scaling,
        active: Sequence[tuple[ComponentPlan, TextComponent]],
    ) -> TermValues:
        """Compute the risks of this process's samples and add their gradient."""
        risks = {plan.name: component(samples.batch, plan.options) for plan, component in active}
        advantages = {name: leave_one_out(risk).flatten() for name, risk in risks.items()}
        factors = {plan.name: context.weights[plan.name] * plan.scale for plan, _ in active}
        device = context.device
        combined = sum((factors[name] * each for name, each in advantages.items()), torch.zeros(())).to(device)
        squared_norms = dict.fromkeys(risks, torch.zeros((), device=device)) if context.with_norms else {}
        if combined.any() or context.with_norms:
            on_device = {name: each.to(device) for name, each in advantages.items()}
            self._score(context, samples, scaling, combined, on_device, squared_norms)
        raw = {name: scaling.share * risk.mean().to(device) for name, risk in risks.items()}
        return TermValues(
            total=sum((factors[name] * value for name, value in raw.items()), torch.zeros((), device=device)),
            raw=raw,
            squared_norms=squared_norms,
            equal_risks=frozenset(name for name, each in advantages.items() if not each.any()),
        )

    @staticmethod
    def _scaling(context: StepContext, samples: _Samples | None) -> _Scaling:
        examples = 0 if samples is None else len(samples.tokens)
        (all_examples,) = context.processes.sums(examples)
        if samples is None:
            sums = torch.zeros(2, device=context.device)
        else:
            lengths = samples.lengths
            sums = torch.stack([lengths.sum().float(), lengths.new_tensor(lengths.numel()).float()])
        tokens, sequences = context.processes.sum(sums)
        return _Scaling(examples / all_examples, tokens / sequences)

    @torch.no_grad()
    def _sample(self, context: StepContext, references: Sequence[str]) -> _Samples | None:
        """Return samples for some of this process's examples; None where it has none."""
        rows = [(batch, row) for batch in context.micro_batches for row in range(len(batch.ids))]
        if not rows:
            return None
        # Process 0 samples what a process alone would.
        rank = [context.processes.rank] if context.processes.rank else []
        entropy = np.random.SeedSequence([self._seed, context.step, *rank]).generate_state(2, np.uint64)
        count = max(1, round(self._sampling.share * len(rows)))
        chosen = [rows[i] for i in sorted(np.random.default_rng(entropy[0]).choice(len(rows), count, replace=False))]
        inputs = [batch.input_ids[row][batch.attention_mask[row].bool()].tolist() for batch, row in chosen]
        model, device = context.model, context.device
        input_ids, attention_mask = (each.to(device) for each in pad_sequences(inputs, model.pad_token_id))
        longest = max(int((batch.labels[row] != IGNORED).sum()) for batch, row in chosen)
        limit = min(self._max_new_tokens, MAX_LENGTH_RATIO * longest)
        generator = torch.Generator().manual_seed(int(entropy[1] >> np.uint64(1)))
        tokens = model.sample(input_ids, attention_mask, self._sampling.samples, limit, generator=generator)
        texts = sample_texts(self._tokenizer, tokens)
        targets = [batch.targets[row] for batch, row in chosen]
        batch = TextBatch(texts, targets, references, self._encoders)
        return _Samples(input_ids, attention_mask, tokens, output_lengths(tokens, model.end_token_ids), batch)

    def _score(
        self,
        context: StepContext,
        samples: _Samples,
        scaling: _Scaling,
        combined: Tensor,
        advantages: Mapping[str, Tensor],
        squared_norms: dict[str, Tensor],
    ) -> None:
        """Pass the samples through the model, teacher-forced, and move their probabilities; adds to `squared_norms`."""
        count, per_input, longest = samples.tokens.shape
        inputs_per_pass = max(1, self._sequences_per_pass // per_input)
        # With dropout, the model that is scored would not be the one that was sampled from.
        with evaluation_mode(context.model), torch.set_grad_enabled(context.backward is not None):
            for start in range(0, count, inputs_per_pass):
                part = slice(start, min(start + inputs_per_pass, count))
                tokens, lengths = samples.tokens[part].flatten(0, 1), samples.lengths[part].flatten()
                is_target = torch.arange(longest, device=tokens.device) < lengths[:, None]
                logits = context.model(
                    samples.input_ids[part],
                    samples.attention_mask[part],
                    tokens.masked_fill(~is_target, IGNORED),
                    targets_per_input=per_input,
                ).logits
                labels = tokens[is_target]
                share = scaling.share * (part.stop - part.start) / count
                rows = slice(part.start * per_input, part.stop * per_input)
                if squared_norms:
                    of_part = {name: values[rows] for name, values in advantages.items()}
                    norms = logit_gradient_norms(of_part, logits.detach(), labels, lengths, scaling.mean_length)
                    for name, norm in norms.items():
                        squared_norms[name] = squared_norms[name] + (share * norm).square()
                if context.backward is not None:
                    log_probs = sequence_log_probs(logits, labels, lengths)
                    context.backward(share * policy_loss(combined[rows], log_probs, scaling.mean_length))
