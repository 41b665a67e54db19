"""`ce`: cross-entropy with the target tokens."""

from torch import Tensor
from torch.nn import functional

from assertkd.losses.target_batch import TargetBatch


def cross_entropy(batch: TargetBatch) -> Tensor:
    """Return the sum over positions of -w log q[y], a scalar; 0 where every target token has probability 1."""
    logits = batch.student_logits.float()
    if batch.weights is None:
        return functional.cross_entropy(logits, batch.labels, reduction="sum")
    return (batch.weights * functional.cross_entropy(logits, batch.labels, reduction="none")).sum()
