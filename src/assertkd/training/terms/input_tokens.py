"""The tokens of the input as further targets of a decoder-only student, in the pass that computes the target's.

Source: Radford et al. 2018, Improving Language Understanding by Generative Pre-Training, equation 5: language modelling
as an auxiliary objective of fine-tuning.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from assertkd.batching.examples import Batch
from assertkd.errors import UserError
from assertkd.losses.combine import CombinedLoss, combine
from assertkd.losses.loss_plan import hard_labels
from assertkd.losses.target_batch import TargetBatch
from assertkd.models.distillable import IGNORED, DistillableModel, TargetOutputs

INPUT = "input"
"""Name of the cross-entropy of the input's tokens."""


@dataclass(frozen=True, slots=True)
class InputOutputs:
    """What a model computes of the M tokens of a batch's inputs, the first of each left out, in batch order.

    Attributes:
        logits: (M, V), those that predict each token.
        tokens: (M,).
    """

    logits: Tensor
    tokens: Tensor

    def loss(self, weight: float, count: float, *, norms: bool) -> CombinedLoss:
        """Return the weighted cross-entropy as the batch's share of the mean over the `count` tokens of a step.

        `norms` as in `combine`.
        """
        batch = TargetBatch(self.logits, self.tokens, teacher=None, temperature=1.0)
        loss = combine(hard_labels(), batch, {"ce": weight}, count, count, norms=norms)
        squares = {INPUT: loss.squared_norms["ce"]} if norms else {}
        return replace(loss, parts={INPUT: loss.parts["ce"]}, squared_norms=squares)


def encoder_reads_inputs() -> UserError:
    """Return the fault of a student that has an encoder, so that it predicts no token of an input."""
    return UserError(
        "loss.input_weight: the student has an encoder, and predicts no token of its input",
        "Set loss.input_weight: 0, or choose a decoder-only student.",
    )


def input_token_count(batch: Batch) -> int:
    """Return M, how many tokens of a batch's inputs have a token before them."""
    return int(batch.attention_mask.sum()) - len(batch.ids)


def read_with_inputs(
    model: DistillableModel, batch: Batch, *, hidden_states: bool
) -> tuple[TargetOutputs, InputOutputs]:
    """Return what a decoder-only model computes at the target positions, and of the inputs' tokens, in one pass."""
    labels, mask = batch.labels, batch.attention_mask
    # Only the first token of an input is input here: what follows is target, and the real target comes behind it.
    places = mask.sum(dim=1, keepdim=True) - 1 + torch.arange(labels.shape[1], device=labels.device)
    of_input = batch.input_ids[:, 1:].masked_fill(mask[:, 1:] == 0, IGNORED)
    joined = torch.cat([of_input, torch.full_like(labels, IGNORED)], dim=1).scatter(1, places, labels)
    is_target = torch.zeros_like(joined, dtype=torch.bool).scatter(1, places, labels != IGNORED)[joined != IGNORED]
    outputs = model(batch.input_ids[:, :1], mask[:, :1], joined, hidden_states=hidden_states)
    states = tuple(state[is_target] for state in outputs.hidden_states)
    return (
        replace(outputs, logits=outputs.logits[is_target], hidden_states=states),
        InputOutputs(outputs.logits[~is_target], of_input[of_input != IGNORED]),
    )
