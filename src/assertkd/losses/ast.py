"""`ast`: whether a prediction is Java at all."""

from torch import Tensor

from assertkd.losses.metric_risk import metric_risk
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.syntax_validity import syntax_validity


def ast(batch: TextBatch) -> Tensor:
    """Return 0 where a sampled prediction is exactly one parsable statement, else 1: (B, K) float32 on the CPU.

    The rule is that of `syntax_validity`. The references play no part.
    """
    return metric_risk(batch, syntax_validity)
