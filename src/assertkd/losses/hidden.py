"""`hidden`: how far the student's hidden states, each through a projection, are from the teacher's.

Sources: for `cosine`, Sun et al. 2019, Patient Knowledge Distillation for BERT Model Compression, who minimise the
squared distance of vectors of length 1, which is 2 (1 - cosine); for `mse` and the projection, Jiao et al. 2020,
TinyBERT: Distilling BERT for Natural Language Understanding, where all layers share one.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from assertkd.losses.target_batch import TargetBatch


def hidden(batch: TargetBatch, distance: Literal["cosine", "mse"]) -> Tensor:
    """Return the sum over positions of the mean over the pairs of layers of the distance of their vectors, a scalar."""
    own, taught = torch.stack(batch.features).float(), torch.stack(batch.teacher_features).float()
    if distance == "cosine":
        distances = 1.0 - functional.cosine_similarity(own, taught, dim=-1)
    else:
        distances = (own - taught).square().mean(-1)
    return distances.mean(0).sum()
