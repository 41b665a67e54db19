"""`semantic`: how far a prediction's meaning is from the gold text's, by a frozen encoder."""

import torch
from torch import Tensor

from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.semantic_similarity import cosines


def semantic(batch: TextBatch) -> Tensor:
    """Return 1 - cos(E(prediction), E(gold)) of every sampled prediction: (B, K) float32 on the CPU, in [0, 2].

    This is one minus the metric `semantic_similarity` wherever the cosine is not negative; below, the metric is 0 and
    the risk still tells bad from worse. A blank prediction's risk is 1. The encoder is `batch.encoders["semantic"]`.
    """
    values = cosines(batch.encoders["semantic"], *batch.pairs())
    return batch.by_example(torch.from_numpy(1.0 - values))
