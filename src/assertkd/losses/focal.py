"""`focal`: cross-entropy that plays down tokens which are predicted well already."""

from torch import Tensor, finfo
from torch.nn import functional

from assertkd.losses.target_batch import TargetBatch


def focal(batch: TargetBatch, alpha: float, gamma: float) -> Tensor:
    """Return the sum over positions of -w alpha (1 - q[y])^gamma log q[y], a scalar of at least 0.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection, equation 5.

    Args:
        batch: N target positions.
        alpha: scale, above 0.
        gamma: focusing exponent, at least 0; 0 gives alpha times cross-entropy.
    """
    negative_log = functional.cross_entropy(batch.student_logits.float(), batch.labels, reduction="none")
    # 1 - exp(-x) loses all digits where x is small; expm1 keeps them, and with them the gradient.
    # Kept above 0, where a power below 1 has no finite slope.
    missing = (-(-negative_log).expm1()).clamp_min(finfo(negative_log.dtype).tiny)
    values = alpha * missing.pow(gamma) * negative_log
    return values.sum() if batch.weights is None else (batch.weights * values).sum()
