"""`kl`, `jsd` and its generalisation: how far the student is from the teacher, with the gradient written out.

They run over the logits in chunks of positions and keep nothing of their size but the gradient: autograd through two
log-softmaxes would keep several.

Of a teacher whose view holds buckets (a support of k tokens and one tail), they are the divergences of the k + 1
buckets, the student's tail being the mass that it gives to all tokens outside the support. Merging outcomes never
raises a divergence (log sum inequality; Cover and Thomas 2006, theorem 2.7.1), so on buckets all are lower bounds of
the divergences over the vocabulary: equal to them where the support is the whole vocabulary, or where student and
teacher spread the tail alike.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from assertkd.batching.distributions import BucketedDistribution, Buckets, FullDistribution
from assertkd.errors import UserError
from assertkd.losses.target_batch import TargetBatch

CHUNK_ELEMENTS = 1 << 22
"""Logits handled at once: 16 MiB in float32, so that a chunk's temporaries stay small."""

Kernel = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From student and teacher log-probabilities (n, outcomes), finite, in float32 or wider, to the summed divergence and
its gradient with respect to the student's logits (log-probabilities but for a constant) of these outcomes."""


def kl(batch: TargetBatch) -> Tensor:
    """Return the sum over positions of τ² KL(p_τ ‖ q_τ), a scalar of at least 0; 0 where both agree.

    Source: Hinton et al. 2015, Distilling the Knowledge in a Neural Network, section 2 (the factor τ² keeps the
    gradient's size). On buckets a lower bound of that.
    """
    return _divergence(batch, _kl)


def jsd(batch: TargetBatch) -> Tensor:
    """Return the sum over positions of τ² JSD(p_τ, q_τ), a scalar in [0, N τ² ln 2], symmetric in p and q.

    Source: Lin 1991, Divergence measures based on the Shannon entropy, equation 4.1 with equal weights. On buckets a
    lower bound of that.
    """
    return _divergence(batch, _jsd)


def generalised_jsd(batch: TargetBatch, beta: float) -> Tensor:
    """Return the sum over positions of τ² JSD_β(p_τ ‖ q_τ), a scalar of at least 0; 0 where both agree.

    JSD_β(p ‖ q) = β KL(p ‖ m) + (1 - β) KL(q ‖ m) with m = β p + (1 - β) q, p the teacher's distribution. At β = 0
    and 1, where that vanishes, its limits when divided by β and 1 - β: KL(p ‖ q) and KL(q ‖ p).

    Source: Agarwal et al. 2024, On-Policy Distillation of Language Models, section 2.

    Args:
        batch: student and teacher at the same positions.
        beta: weight of the teacher in the mixture, 0 to 1.
    """
    return _divergence(batch, partial(_generalised_jsd, beta))


def _generalised_jsd(beta: float, log_q: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    if beta == 0:
        return _kl(log_q, log_p)
    if beta == 1:
        return _reverse_kl(log_q, log_p)
    q, p = log_q.exp(), log_p.exp()
    log_m = torch.logaddexp(log_q + math.log1p(-beta), log_p + math.log(beta))
    ratio = log_q - log_m
    to_student = (q * ratio).sum(-1, keepdim=True)
    value = (1 - beta) * to_student.sum() + beta * (p * (log_p - log_m)).sum()
    # What the mixture's own derivative gives cancels.
    return value, (1 - beta) * q * (ratio - to_student)


def _reverse_kl(log_q: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    q, ratio = log_q.exp(), log_q - log_p
    value = (q * ratio).sum(-1, keepdim=True)
    return value.sum(), q * (ratio - value)


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
    if not isinstance(batch.teacher, FullDistribution | BucketedDistribution):
        raise UserError(
            "The loss needs the teacher's logits, and the batch has none",
            "Run `compress_logits` first, and train from its store.",
        )
    apply: Callable[..., Tensor] = _Divergence.apply
    return apply(batch.student_logits, batch.teacher, batch.temperature, kernel)


def _over_buckets(scaled: Tensor, buckets: Buckets, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Return the divergence of n positions' buckets and its gradient (n, V) at the student's scaled logits.

    The tail's logit is the log of the sum of its tokens' exponentials, whose gradient is the softmax within the tail:
    with g the gradient at the buckets, that at the logits is g of the token in the support, and the tail's g times
    the token's share of the student's tail outside.

    Args:
        scaled: (n, V) student logits / τ; overwritten.
        buckets: the teacher's at τ.
        kernel: the divergence.
    """
    padding = buckets.log_p == -torch.inf
    support = scaled.gather(1, buckets.ids).masked_fill(padding, -torch.inf)
    # Padding repeats an id of its row, so that masking it twice does no harm.
    outside = scaled.scatter_(1, buckets.ids, -torch.inf)
    tail = outside.logsumexp(dim=-1, keepdim=True)
    log_q = torch.log_softmax(torch.cat([support, tail], dim=-1), dim=-1)
    log_p = torch.cat([buckets.log_p, buckets.log_tail[:, None]], dim=-1).to(log_q.dtype)
    # Outcomes of no mass: finite, so that 0 · log 0 is 0 and not NaN.
    least = torch.finfo(torch.float32).min / 4
    value, slope = kernel(log_q.clamp_min(least), log_p.clamp_min(least))
    gradient = outside.sub_(tail.clamp_min(least)).exp_().mul_(slope[:, -1:])
    return value, gradient.scatter_add_(1, buckets.ids, slope[:, :-1].masked_fill(padding, 0.0))


class _Divergence(torch.autograd.Function):
    """A divergence whose gradient is computed with its value."""

    @staticmethod
    def forward(
        ctx: Any,
        student_logits: Tensor,
        teacher: FullDistribution | BucketedDistribution,
        temperature: float,
        kernel: Kernel,
    ) -> Tensor:
        positions, vocabulary = student_logits.shape
        gradient = torch.empty_like(student_logits)
        total = student_logits.new_zeros((), dtype=torch.promote_types(student_logits.dtype, torch.float32))
        chunk = max(1, CHUNK_ELEMENTS // vocabulary)
        for start in range(0, positions, chunk):
            rows = slice(start, min(start + chunk, positions))
            scaled = student_logits[rows].to(total.dtype) / temperature
            if isinstance(teacher, BucketedDistribution):
                value, slope = _over_buckets(scaled, teacher.buckets(rows, temperature), kernel)
            else:
                log_p = torch.log_softmax(teacher.logits(rows).to(total.dtype) / temperature, dim=-1)
                value, slope = kernel(torch.log_softmax(scaled, dim=-1), log_p)
            total += temperature**2 * value
            gradient[rows] = temperature * slope
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * above[0].to(gradient.dtype), None, None, None
