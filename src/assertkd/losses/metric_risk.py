"""`risk:<metric>`: one minus an evaluation metric, so that what is trained is what is measured."""

import torch
from torch import Tensor

from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.registry import PairMetric


def metric_risk(batch: TextBatch, metric: PairMetric) -> Tensor:
    """Return 1 - metric(prediction, gold) of every sampled prediction: (B, K) float32 on the CPU, in [0, 1].

    Args:
        batch: the sampled predictions.
        metric: takes a prediction and its reference; it is called once for every different pair.
    """
    pairs = list(zip(*batch.pairs(), strict=True))
    risks = {pair: 1.0 - metric(*pair) for pair in dict.fromkeys(pairs)}
    return batch.by_example(torch.tensor([risks[pair] for pair in pairs]))
