"""`kl` and `jsd`: how far the student's distribution is from the teacher's, with the gradient written out.

Both run over the logits in chunks of positions and keep nothing of their size but the gradient: autograd through two
log-softmaxes would keep several.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from assertkd.errors import UserError
from assertkd.logits.view import FullDistribution
from assertkd.losses.batch import TargetBatch

CHUNK_NUMBERS = 1 << 22
"""Logits handled at once: 16 MiB in float32, so that a chunk's temporaries stay small."""

Kernel = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From student and teacher log-probabilities (n, V), in float32 or wider, to the summed divergence and its gradient
with respect to the student's logits at temperature 1."""


def kl(batch: TargetBatch) -> Tensor:
    """Return the sum over positions of τ² KL(p_τ ‖ q_τ), a scalar of at least 0; 0 where both agree.

    Source: Hinton et al. 2015, Distilling the Knowledge in a Neural Network, section 2 (the factor τ² keeps the
    gradient's size).
    """
    return _divergence(batch, _kl)


def jsd(batch: TargetBatch) -> Tensor:
    """Return the sum over positions of τ² JSD(p_τ, q_τ), a scalar in [0, N τ² ln 2], symmetric in p and q.

    Source: Lin 1991, Divergence measures based on the Shannon entropy, equation 4.1 with equal weights.
    """
    return _divergence(batch, _jsd)


def _kl(log_q: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    p = log_p.exp()
    return (p * (log_p - log_q)).sum(), log_q.exp() - p


def _jsd(log_q: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    q, p = log_q.exp(), log_p.exp()
    log_m = torch.logaddexp(log_q, log_p) - torch.log(log_q.new_tensor(2.0))
    ratio = log_q - log_m
    to_student = (q * ratio).sum(-1, keepdim=True)
    value = 0.5 * (to_student.sum() + (p * (log_p - log_m)).sum())
    return value, 0.5 * q * (ratio - to_student)


def _divergence(batch: TargetBatch, kernel: Kernel) -> Tensor:
    if not isinstance(batch.teacher, FullDistribution):
        raise UserError(
            "The loss needs the teacher's logits over the whole vocabulary, and the batch has none",
            "Set logits.codec to one that keeps them (hidden or dense).",
        )
    apply: Callable[..., Tensor] = _Divergence.apply
    return apply(batch.student_logits, batch.teacher, batch.temperature, kernel)


class _Divergence(torch.autograd.Function):
    """A divergence whose gradient is computed with its value."""

    @staticmethod
    def forward(
        ctx: Any,
        student_logits: Tensor,
        teacher: FullDistribution,
        temperature: float,
        kernel: Kernel,
    ) -> Tensor:
        positions, vocabulary = student_logits.shape
        gradient = torch.empty_like(student_logits)
        total = student_logits.new_zeros((), dtype=torch.promote_types(student_logits.dtype, torch.float32))
        chunk = max(1, CHUNK_NUMBERS // vocabulary)
        for start in range(0, positions, chunk):
            rows = slice(start, min(start + chunk, positions))
            log_q = torch.log_softmax(student_logits[rows].to(total.dtype) / temperature, dim=-1)
            log_p = torch.log_softmax(teacher.logits(rows).to(total.dtype) / temperature, dim=-1)
            value, slope = kernel(log_q, log_p)
            total += temperature**2 * value
            gradient[rows] = temperature * slope
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * above[0].to(gradient.dtype), None, None, None
