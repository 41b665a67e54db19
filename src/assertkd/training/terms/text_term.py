"""Loss components over text: predictions are sampled and decoded, and their probabilities moved by their risks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from assertkd.losses.expected_risk import leave_one_out, logit_gradient_norms, policy_loss, sequence_log_probs
from assertkd.losses.loss_plan import ComponentPlan, LossPlan, SamplingPlan
from assertkd.losses.registry import TextComponent
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.models.decoding import evaluation_mode, sample_texts
from assertkd.models.distillable import IGNORED
from assertkd.models.encoders import TextEncoder, hit_rate
from assertkd.training.loss_term import LossTerm, StepContext, TermValues
from assertkd.training.terms.sampling import Outputs, sample_outputs, seeds_of_step


@dataclass(frozen=True, slots=True)
class _Samples:
    """Sampled predictions of this process's examples.

    Attributes:
        outputs: as tokens.
        batch: as text.
        share: of all processes' sampled examples, 0 to 1.
        mean_length: of all processes' samples, in tokens.
    """

    outputs: Outputs
    batch: TextBatch
    share: float
    mean_length: Tensor


class TextTerm(LossTerm):
    """The text components of a loss plan, as expected risks of what the student writes.

    Args:
        plan: has at least one text component.
        encoders: component name to the encoder that it embeds with.
        max_new_tokens: longest prediction, in tokens.
        sequences_per_pass: sequences in one scoring pass.
        seed: of the choice of examples and of the samples.
    """

    columns = ("ast_invalid_rate", "cache_hit_rate")

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
        if texts:
            invalid_rate = samples.share * sum(1.0 - syntax_validity(text, "") for text in texts) / len(texts)
            values = self._values(context, samples, active)
        else:
            invalid_rate = 0.0
            values = TermValues(zero, equal_risks=frozenset(self.names))
        of_processes = context.processes.gathered([invalid_rate, sorted(values.equal_risks)])
        values.equal_risks = frozenset.intersection(*(frozenset(names) for _, names in of_processes))
        values.columns = {
            "ast_invalid_rate": sum(rate for rate, _ in of_processes),
            "cache_hit_rate": hit_rate(self._encoders.values()),
        }
        return values

    def _values(
        self, context: StepContext, samples: _Samples, active: Sequence[tuple[ComponentPlan, TextComponent]]
    ) -> TermValues:
        """Compute the risks of this process's samples and add their gradient."""
        risks = {plan.name: component.compute(samples.batch, **plan.options) for plan, component in active}
        advantages = {name: leave_one_out(risk).flatten() for name, risk in risks.items()}
        factors = {plan.name: context.weights[plan.name] * plan.scale for plan, _ in active}
        device = context.device
        combined = sum((factors[name] * each for name, each in advantages.items()), torch.zeros(())).to(device)
        squared_norms = dict.fromkeys(risks, torch.zeros((), device=device)) if context.with_norms else {}
        if combined.any() or context.with_norms:
            on_device = {name: each.to(device) for name, each in advantages.items()}
            self._score(context, samples, combined, on_device, squared_norms)
        raw = {name: samples.share * risk.mean().to(device) for name, risk in risks.items()}
        return TermValues(
            total=sum((factors[name] * value for name, value in raw.items()), torch.zeros((), device=device)),
            raw=raw,
            squared_norms=squared_norms,
            equal_risks=frozenset(name for name, each in advantages.items() if not each.any()),
        )

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
        sums = torch.stack([lengths.sum().float(), lengths.new_tensor(lengths.numel()).float()])
        tokens, sequences = context.processes.sum(sums)
        return _Samples(
            outputs,
            TextBatch(texts, targets, references, self._encoders),
            len(chosen) / all_examples,
            tokens / sequences,
        )

    def _score(
        self,
        context: StepContext,
        samples: _Samples,
        combined: Tensor,
        advantages: Mapping[str, Tensor],
        squared_norms: dict[str, Tensor],
    ) -> None:
        """Pass the samples through the model, teacher-forced, and move their probabilities; adds to `squared_norms`."""
        outputs = samples.outputs
        count, per_input, longest = outputs.tokens.shape
        inputs_per_pass = max(1, self._sequences_per_pass // per_input)
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
                    log_probs = sequence_log_probs(logits, labels, lengths)
                    context.backward(share * policy_loss(combined[rows], log_probs, samples.mean_length))
