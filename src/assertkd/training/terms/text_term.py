"""Text components in training: predictions are sampled, decoded and judged, and their probabilities moved."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from assertkd.batching.examples import IGNORED, Batch
from assertkd.losses.expected_risk import leave_one_out, logit_gradient_norms, policy_loss, sequence_log_probs
from assertkd.losses.loss_plan import ComponentPlan, LossPlan, SamplingPlan
from assertkd.losses.registry import TextComponent
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.models.encoders import TextEncoder
from assertkd.models.t5.generation import end_tokens, evaluating, padded, sample, sampled_texts, written_lengths
from assertkd.models.t5.model import TargetLogits, shift_right
from assertkd.training.parallel.process_group import ProcessGroup

MAX_LENGTH_RATIO = 2
"""Samples may be this many times as long as the longest target of their examples; what rambles on is cut off."""


@dataclass(slots=True)
class TextValues:
    """What the text components made of one optimizer step.

    Attributes:
        total: the sum of weight times scale times risk, of this process's samples as a share of all.
        raw: component name to its mean risk, likewise.
        squares: component name to its squared gradient norm at the logits, without weight and scale, if asked for;
            likewise.
        invalid_rate: share of all samples that are not one parsable statement, in [0, 1].
        agreeing: names of the components whose samples all have equal risk, so that they have no gradient.
    """

    total: Tensor
    raw: dict[str, Tensor]
    squares: dict[str, Tensor]
    invalid_rate: float
    agreeing: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Samples:
    """Sampled predictions of B examples, K each, as tokens and as text."""

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


class TextRisk:
    """The text components of a loss, for one training run.

    Args:
        plan: the loss; it has at least one text component.
        sampling: how many predictions of how many examples.
        tokenizer: decodes predictions.
        encoders: component name to the encoder that it embeds with.
        max_new_tokens: longest prediction, in tokens.
        sequences_at_once: sequences in one scoring pass.
        seed: of the choice of examples and of the samples.
        processes: those among which the effective batch is shared out; each samples for its own examples.
    """

    def __init__(
        self,
        plan: LossPlan,
        sampling: SamplingPlan,
        tokenizer: PreTrainedTokenizerFast,
        encoders: Mapping[str, TextEncoder],
        max_new_tokens: int,
        sequences_at_once: int,
        seed: int,
        processes: ProcessGroup | None = None,
    ) -> None:
        self.components = plan.text_components
        self.sampling = sampling
        self.tokenizer = tokenizer
        self.encoders = encoders
        self.max_new_tokens = max_new_tokens
        self.sequences_at_once = sequences_at_once
        self.seed = seed
        self.processes = processes or ProcessGroup()

    def accumulate(
        self,
        model: TargetLogits,
        group: Sequence[Batch],
        weights: Mapping[str, float],
        step: int,
        backward: Callable[[Tensor], None] | None,
        *,
        norms: bool,
    ) -> TextValues | None:
        """Add the text components' gradient for one effective batch; None where all their weights are 0.

        Args:
            model: the student, as it is trained.
            group: the micro-batches of the step.
            weights: component name to weight.
            step: optimizer step; with the seed it decides which examples are sampled and what is drawn.
            backward: takes the loss of a part of the samples; None to compute values alone.
            norms: whether to return gradient norms.
        """
        used = [(plan, component) for plan, component in self.components if weights[plan.name]]
        if not used:
            return None
        references = [
            gold for references in self.processes.gathered([t for b in group for t in b.targets]) for gold in references
        ]
        drawn = self._sample(model, group, references, step)
        scaling = self._scaling(drawn, model.model.device)
        if drawn is None:
            zero = torch.zeros((), device=model.model.device)
            zeros = {plan.name: zero for plan, _ in used}
            values = TextValues(zero, zeros, dict(zeros) if norms else {}, 0.0, frozenset(zeros))
        else:
            values = self._values(model, drawn, scaling, used, weights, backward, norms=norms)
        if self.processes.size > 1:
            everyones = self.processes.gathered([values.invalid_rate, sorted(values.agreeing)])
            values.invalid_rate = sum(rate for rate, _ in everyones)
            values.agreeing = frozenset.intersection(*(frozenset(names) for _, names in everyones))
        return values

    def _values(
        self,
        model: TargetLogits,
        drawn: _Samples,
        scaling: _Scaling,
        used: Sequence[tuple[ComponentPlan, TextComponent]],
        weights: Mapping[str, float],
        backward: Callable[[Tensor], None] | None,
        *,
        norms: bool,
    ) -> TextValues:
        """Judge this process's samples and add their gradient."""
        risks = {plan.name: component(drawn.batch, plan.options) for plan, component in used}
        advantages = {name: leave_one_out(risk).flatten() for name, risk in risks.items()}
        factors = {plan.name: weights[plan.name] * plan.scale for plan, _ in used}
        device = drawn.tokens.device
        combined = sum((factors[name] * each for name, each in advantages.items()), torch.zeros(())).to(device)
        squares = dict.fromkeys(risks, torch.zeros((), device=device)) if norms else {}
        if combined.any() or norms:
            on_device = {name: each.to(device) for name, each in advantages.items()}
            self._score(model, drawn, scaling, combined, on_device, backward, squares)
        raw = {name: scaling.share * risk.mean().to(device) for name, risk in risks.items()}
        texts, _ = drawn.batch.pairs()
        return TextValues(
            total=sum((factors[name] * value for name, value in raw.items()), torch.zeros((), device=device)),
            raw=raw,
            squares=squares,
            invalid_rate=scaling.share * sum(1.0 - syntax_validity(text, "") for text in texts) / len(texts),
            agreeing=frozenset(name for name, each in advantages.items() if not each.any()),
        )

    def _scaling(self, drawn: _Samples | None, device: torch.device) -> _Scaling:
        mine = 0 if drawn is None else len(drawn.tokens)
        (everyones,) = self.processes.sums(mine)
        if drawn is None:
            sums = torch.zeros(2, device=device)
        else:
            sums = torch.stack([drawn.lengths.sum().float(), drawn.lengths.new_tensor(drawn.lengths.numel()).float()])
        tokens, sequences = self.processes.sum(sums)
        return _Scaling(mine / everyones, tokens / sequences)

    def hit_rate(self) -> float | None:
        """Return the share of embeddings that came from the cache, in [0, 1]; None where nothing is embedded."""
        encoders = {id(encoder): encoder for encoder in self.encoders.values()}.values()
        asked = sum(encoder.hits + encoder.misses for encoder in encoders)
        return sum(encoder.hits for encoder in encoders) / asked if asked else None

    @torch.no_grad()
    def _sample(
        self, model: TargetLogits, group: Sequence[Batch], references: Sequence[str], step: int
    ) -> _Samples | None:
        """Return samples for some of this process's examples; None where it has none."""
        rows = [(batch, row) for batch in group for row in range(len(batch.ids))]
        if not rows:
            return None
        # Process 0 draws what a process alone would.
        of_process = [self.processes.rank] if self.processes.rank else []
        entropy = np.random.SeedSequence([self.seed, step, *of_process]).generate_state(2, np.uint64)
        count = max(1, round(self.sampling.share * len(rows)))
        chosen = [rows[i] for i in sorted(np.random.default_rng(entropy[0]).choice(len(rows), count, replace=False))]
        inputs = [batch.input_ids[row][batch.attention_mask[row].bool()].tolist() for batch, row in chosen]
        device = model.model.device
        input_ids, attention_mask = (each.to(device) for each in padded(inputs, model.model.config.pad_token_id))
        longest = max(int((batch.labels[row] != IGNORED).sum()) for batch, row in chosen)
        limit = min(self.max_new_tokens, MAX_LENGTH_RATIO * longest)
        generator = torch.Generator().manual_seed(int(entropy[1] >> np.uint64(1)))
        tokens = sample(model.model, input_ids, attention_mask, self.sampling.samples, limit, generator=generator)
        batch = TextBatch(
            predictions=sampled_texts(self.tokenizer, tokens),
            references=[one.targets[row] for one, row in chosen],
            batch_references=references,
            encoders=self.encoders,
        )
        return _Samples(input_ids, attention_mask, tokens, written_lengths(tokens, end_tokens(model.model)), batch)

    def _score(
        self,
        model: TargetLogits,
        drawn: _Samples,
        scaling: _Scaling,
        combined: Tensor,
        advantages: Mapping[str, Tensor],
        backward: Callable[[Tensor], None] | None,
        squares: dict[str, Tensor],
    ) -> None:
        """Pass the samples through the model, teacher-forced, and move their probabilities; adds to `squares`."""
        count, samples, longest = drawn.tokens.shape
        mean_length = scaling.mean_length
        at_once = max(1, self.sequences_at_once // samples)
        # With dropout, the model that is scored would not be the one that was sampled from.
        with evaluating(model.model), torch.set_grad_enabled(backward is not None):
            for start in range(0, count, at_once):
                part = slice(start, min(start + at_once, count))
                tokens = drawn.tokens[part].flatten(0, 1)
                lengths = drawn.lengths[part].flatten()
                is_target = torch.arange(longest, device=tokens.device) < lengths[:, None]
                config = model.model.config
                shifted = shift_right(tokens, config.decoder_start_token_id, config.pad_token_id)
                logits = model(drawn.input_ids[part], drawn.attention_mask[part], shifted, is_target, sequences=samples)
                labels = tokens[is_target]
                share = scaling.share * (part.stop - part.start) / count
                of_part = slice(part.start * samples, part.stop * samples)
                if squares:
                    each = {name: values[of_part] for name, values in advantages.items()}
                    found = logit_gradient_norms(each, logits.detach(), labels, lengths, mean_length)
                    for name, norm in found.items():
                        squares[name] = squares[name] + (share * norm).square()
                if backward is not None:
                    log_probs = sequence_log_probs(logits, labels, lengths)
                    backward(share * policy_loss(combined[of_part], log_probs, mean_length))
