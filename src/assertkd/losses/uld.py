"""`uld`: how far the student is from a teacher with another tokenizer, over the parts of the text that both cut out."""

import torch
from torch import Tensor

from assertkd.batching.aligned_distribution import AlignedDistribution
from assertkd.losses.divergence import kl
from assertkd.losses.target_batch import TargetBatch


def uld(batch: TargetBatch) -> Tensor:
    """Return a sum of τ² KL over the spans of the targets, a scalar of at least 0; with one tokenizer, `kl`.

    At a span of one token each, Σ_v p(v) log (p(v) / q(v)) over the student's vocabulary, p(v) being the mass of the
    teacher's tokens that begin with v. At a span of several tokens, with P and Q the products of its tokens'
    probabilities, P log (P / Q) + (1 - P) log ((1 - P) / (1 - Q)). All probabilities are at τ.

    The first is exact where the student's tokens are the teacher's or parts of them. A token of the teacher's that is
    only a part of one of the student's leaves its mass with the part. See `AlignedDistribution` for an example.

    Sources: Boizard et al. 2024, Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss for LLMs
    (distillation across vocabularies; they compare sorted probabilities at equal places); Patiño et al. 2025, GOLD, in
    TRL (spans of equal text, products over the tokens of a span, equal tokens compared directly).
    """
    total, teacher = kl(batch), batch.teacher
    if not isinstance(teacher, AlignedDistribution) or not teacher.spans:
        return total
    of_span = (teacher.student_spans >= 0).nonzero()[:, 0]
    numbers, places = (index.to(batch.labels.device) for index in (teacher.student_spans[of_span], of_span))
    scaled = batch.student_logits[places].to(total.dtype) / batch.temperature
    log_q = torch.log_softmax(scaled, dim=-1).gather(1, batch.labels[places, None])[:, 0]
    spans_log_q = log_q.new_zeros(teacher.spans).index_add(0, numbers, log_q)
    return total + batch.temperature**2 * _two_outcomes(teacher.span_log_p(batch.temperature), spans_log_q).sum()


def _two_outcomes(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL of the outcomes of these log-probabilities and all others, each (S,)."""
    # Finite where a span is certain, so that 0 · log 0 is 0 and not NaN.
    tiny = torch.finfo(log_q.dtype).tiny
    log_rest_p, log_rest_q = (torch.log((-torch.expm1(one)).clamp_min(tiny)) for one in (log_p, log_q))
    p = log_p.exp()
    return p * (log_p - log_q) + (1 - p) * (log_rest_p - log_rest_q)
