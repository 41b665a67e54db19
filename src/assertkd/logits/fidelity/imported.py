"""What a codec keeps of logits that came from files, without the teacher's head and without speeds."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from assertkd.batching.distributions import BucketedDistribution, FullDistribution
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.head import Float32
from assertkd.logits.codecs.support import TopLogprobs
from assertkd.logits.fidelity.measure import CHUNK_ELEMENTS, TEMPERATURES, divergence, whole_distribution


def imported_fidelity(
    distributions: Iterable[Float32 | TopLogprobs], codec: Codec, temperatures: Sequence[float]
) -> dict[str, Any]:
    """Return a fidelity report (`report.UNITS`) of one codec, in which speeds are missing.

    Where the likeliest tokens alone were given, only T = 1 has figures, against an even rest, and `given` says how far
    the teacher may be from that.

    Args:
        distributions: of each example of the sample, logits (T, V) or what is given of the likeliest tokens.
        codec: the one in use.
        temperatures: measured besides `measure.TEMPERATURES`; those that the codec does not store have no figure.
    """
    measured = sorted({*TEMPERATURES, *temperatures})
    found: dict[float, list[tuple[torch.Tensor, torch.Tensor]]] = {temperature: [] for temperature in measured}
    examples = positions = size = 0
    tails: list[npt.NDArray[np.float64]] = []
    for rows in distributions:
        encoded = codec.encode_top(rows) if isinstance(rows, TopLogprobs) else codec.encode_logits(rows)
        view = codec.collate([encoded], None)
        examples, positions = examples + 1, positions + len(rows)
        size += sum(array.nbytes for array in encoded.values())
        step, at = len(rows), measured
        if isinstance(rows, TopLogprobs):
            tails.append(np.stack([np.exp(rows.log_tail), np.log(np.maximum(rows.vocab_size - rows.held, 1))]))
            # A whole distribution is made of few positions at a time, since there may be many.
            step, at = max(1, CHUNK_ELEMENTS // rows.vocab_size), [1.0]
        for part in (slice(start, start + step) for start in range(0, len(rows), step)):
            logits = torch.from_numpy(rows.logits(part) if isinstance(rows, TopLogprobs) else rows[part]).double()
            for temperature in at:
                if isinstance(view, FullDistribution):
                    log_q = torch.log_softmax(view.logits(part).double() / temperature, dim=-1)
                elif isinstance(view, BucketedDistribution) and temperature in view.temperatures:
                    log_q = whole_distribution(view.buckets(part, temperature), view.vocab_size)
                else:
                    continue
                found[temperature].append(divergence(torch.log_softmax(logits / temperature, dim=-1), log_q))
    if tails:
        found = {1.0: found[1.0]}
    return {
        **_given(tails),
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


def _given(tails: Sequence[npt.NDArray[np.float64]]) -> dict[str, Any]:
    """Return what is said of tails that were not given: (mass, log of their tokens) by position."""
    if not tails:
        return {}
    mass, log_tokens = np.concatenate(tails, axis=1)
    return {
        "given": {
            "tail_mass": float(mass.mean()),
            "kl_bound": float((mass * log_tokens).mean()),
            "meaning": "the teacher's likeliest tokens were given. tail_mass: mean mass of all others at T = 1, which "
            "the store spreads evenly. kl_bound: nats, mean over positions; KL(teacher || given) at T = 1 is at most "
            "this, whatever the teacher's tail is. Not measured: the divergence itself, and that at any other "
            "temperature, whose tails follow from the even one",
        }
    }


def _summary(parts: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    kl, dropped = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return {"mean": float(kl.mean()), "p99": float(kl.quantile(0.99)), "mass_dropped": float(dropped.mean())}
