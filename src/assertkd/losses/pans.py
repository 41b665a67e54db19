"""`pans`: how little a prediction's n-grams, and their places, agree with the gold text's."""

from torch import Tensor

from assertkd.losses.metric_risk import metric_risk
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.pans import pans as similarity


def pans(batch: TextBatch) -> Tensor:
    """Return 1 - PANS(prediction, gold) of every sampled prediction: (B, K) float32 on the CPU, in [0, 1]."""
    return metric_risk(batch, similarity)
