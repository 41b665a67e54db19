"""What a codec keeps of logits that came from files, without the teacher's head and without speeds."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from assertkd.batching.distributions import BucketedDistribution, FullDistribution
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.head import Float32
from assertkd.logits.fidelity.measure import TEMPERATURES, divergence, whole_distribution


def imported_fidelity(logits: Iterable[Float32], codec: Codec, temperatures: Sequence[float]) -> dict[str, Any]:
    """Return a fidelity report (`report.UNITS`) of one codec, in which speeds are missing.

    Args:
        logits: of each example of the sample, (T, V).
        codec: the one in use.
        temperatures: measured besides `measure.TEMPERATURES`; those that the codec does not store have no figure.
    """
    measured = sorted({*TEMPERATURES, *temperatures})
    found: dict[float, list[tuple[torch.Tensor, torch.Tensor]]] = {temperature: [] for temperature in measured}
    examples = positions = size = 0
    for rows in logits:
        encoded = codec.encode_logits(rows)
        view, every = codec.collate([encoded], None), slice(0, len(rows))
        examples, positions = examples + 1, positions + len(rows)
        size += sum(array.nbytes for array in encoded.values())
        for temperature in measured:
            if isinstance(view, FullDistribution):
                log_q = torch.log_softmax(view.logits(every).double() / temperature, dim=-1)
            elif isinstance(view, BucketedDistribution) and temperature in view.temperatures:
                log_q = whole_distribution(view.buckets(every, temperature), view.vocab_size)
            else:
                continue
            log_p = torch.log_softmax(torch.from_numpy(rows).double() / temperature, dim=-1)
            found[temperature].append(divergence(log_p, log_q))
    return {
        "in_use": codec.name,
        "sample": {"positions": positions, "examples": examples, "vocab_size": codec.vocab_size},
        "codecs": [
            {
                "name": codec.name,
                "codec": codec.name,
                "parameters": codec.parameters,
                "bytes_per_token": size / positions,
                "kl": {f"{tau:g}": _summary(parts) if parts else None for tau, parts in found.items()},
            }
        ],
    }


def _summary(parts: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    kl, dropped = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return {"mean": float(kl.mean()), "p99": float(kl.quantile(0.99)), "mass_dropped": float(dropped.mean())}
