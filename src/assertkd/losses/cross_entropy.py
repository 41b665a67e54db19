"""`ce`: cross-entropy with the gold tokens."""

from torch import Tensor
from torch.nn import functional

from assertkd.losses.batch import TargetBatch


def cross_entropy(batch: TargetBatch) -> Tensor:
    """Return the sum over positions of -log q[y], a scalar; 0 where the gold token has probability 1."""
    return functional.cross_entropy(batch.student_logits.float(), batch.labels, reduction="sum")
