"""`contrastive`: whether a prediction is nearer to its own gold text than the other references of the batch are."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from assertkd.losses.text_batch import TextBatch
from assertkd.models.encoders import TextEncoder


def contrastive(batch: TextBatch, temperature: float) -> Tensor:
    """Return the InfoNCE risk of every sampled prediction: (B, K) float32 on the CPU, above 0.

    With anchor g (the gold text), positive x (the prediction) and negatives h (the references of the batch whose
    text is not the anchor's, as often as they occur), s the cosine of centred embeddings over the temperature, it is
    -log( exp s(g, x) / (exp s(g, x) + Σ_h exp s(g, h)) ), but at most log(1 + number of negatives), what a guess among
    them would earn: without a bound, one sample far off outweighs all others. It is smallest, though not 0, at x = g,
    and 0 for all where there is no negative. Embeddings are centred by the corpus mean, since some encoders put all
    code into one narrow cone. A blank prediction counts as one that has cosine 0 with everything.

    Source: van den Oord et al. 2018, Representation Learning with Contrastive Predictive Coding, equation 4.

    Args:
        batch: the sampled predictions; the encoder is `encoders["contrastive"]`, the corpus pinned in it.
        temperature: above 0.

    Raises:
        ValueError: no corpus is pinned in the encoder.
    """
    encoder = batch.encoders["contrastive"]
    predictions, references = batch.pairs()
    anchors = centred(encoder, references, counted=False)
    positive = (anchors * centred(encoder, predictions)).sum(dim=1)
    to_others = anchors @ centred(encoder, batch.batch_references, counted=False).T
    is_anchor = torch.tensor(
        [[reference.strip() == other.strip() for other in batch.batch_references] for reference in references]
    )
    negative = (to_others / temperature).masked_fill(is_anchor, -torch.inf).logsumexp(dim=1)
    risk = functional.softplus(negative - positive / temperature)
    by_chance = (~is_anchor).sum(dim=1).add(1.0).log()
    return batch.by_example(torch.minimum(risk, by_chance))


def centred(encoder: TextEncoder, texts: Sequence[str], counted: bool = True) -> Tensor:
    """Return the embeddings of `texts` less the corpus mean, of length 1 again: (n, d) float64; 0 for blank texts.

    Raises:
        ValueError: no corpus is pinned in the encoder.
    """
    if encoder.mean is None:
        raise ValueError(f"{encoder.name}: no corpus is pinned, so there is no mean to centre by")
    vectors = encoder.embed(texts, counted).double()
    is_blank = ~vectors.any(dim=1, keepdim=True)
    return functional.normalize(vectors - encoder.mean.double(), dim=1).masked_fill(is_blank, 0.0)
