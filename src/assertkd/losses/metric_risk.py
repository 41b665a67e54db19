"""`risk:<metric>`: one minus an evaluation metric, so that what is trained is what is measured."""

import torch
from torch import Tensor

from assertkd.errors import UserError
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.registry import PairMetric, pair_metrics

PREFIX = "risk:"


def metric_risk(batch: TextBatch, metric: PairMetric) -> Tensor:
    """Return 1 - metric(prediction, gold) of every sampled prediction: (B, K) float32 on the CPU, in [0, 1].

    Args:
        batch: the sampled predictions.
        metric: takes a prediction and its reference; it is called once for every different pair.
    """
    pairs = list(zip(*batch.pairs(), strict=True))
    risks = {pair: 1.0 - metric(*pair) for pair in dict.fromkeys(pairs)}
    return batch.by_example(torch.tensor([risks[pair] for pair in pairs]))


def metric_of(component: str) -> PairMetric:
    """Return the metric that a component `risk:<metric>` names.

    Raises:
        UserError: there is no such metric.
    """
    name, metrics = component.removeprefix(PREFIX), pair_metrics()
    if name not in metrics:
        raise UserError(
            f"loss component {component!r}: there is no metric {name!r}; there are {', '.join(metrics)}",
            f"Name one of these after `{PREFIX}`.",
        )
    return metrics[name]
