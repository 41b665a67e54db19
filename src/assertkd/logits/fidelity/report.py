"""The fidelity report of a run's logit cache: the codec in use, the other codecs, and the baselines."""

from collections.abc import Mapping
from typing import Any

import torch

from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.fidelity.baselines import OriginalForm, RenormalisedTopK
from assertkd.logits.fidelity.measure import TEMPERATURES, Sample, measure

UNITS = {
    "bytes_per_token": "bytes that the codec writes for one target token; the head, stored once, not counted",
    "kl": "nats; KL(full || stored) of one position's distributions at a temperature, mean and 99th percentile over "
    "positions. full: the teacher's float32 logits, softmax in float64. stored: what a loss gets back; a tail's mass "
    "is spread evenly over the tokens outside the support. mean and p99 are null where the divergence is infinite: the "
    "stored form gives no probability to tokens that have some, mass_dropped of it on average. A temperature is null "
    "where the codec does not store it",
    "encode_mb_per_s": "10^6 bytes of float16 logits of the same tokens (2 V bytes each) per second, from hidden "
    "vectors to bytes",
    "decode_mb_per_s": "the same, from bytes to what a batch is made of",
    "rebuild_us_per_token": "microseconds a target token, from a batch to what the loss reads of the teacher "
    "(logits, or buckets)",
    "teacher_us_per_token": "microseconds a target token, the teacher's own forward pass on the sample, head excluded",
    "rebuild_share_of_teacher": "rebuild_us_per_token / teacher_us_per_token",
}
"""What the figures mean; stands in the file."""


def candidates(vocab_size: int, hidden_size: int, logit_cap: float | None = None) -> dict[str, Codec]:
    """Return what is measured: every codec at a few settings, and the baselines."""
    sizes = (vocab_size, hidden_size)
    cap: dict[str, Any] = {"logit_cap": logit_cap}
    # A group much wider than the vectors is the same as one as wide.
    groups = [size for size in (16, 64, 256) if size <= 64 or size < 2 * hidden_size]
    return {
        "original: float16, LZ4, base64": OriginalForm(*sizes, **cap),
        "dense": DenseCodec(*sizes, **cap),
        "hidden, float16": HiddenCodec(*sizes, dtype="float16", **cap),
        **{f"hidden, int8, groups of {size}": HiddenCodec(*sizes, group_size=size, **cap) for size in groups},
        **{
            f"topk, {price:.0e} nats a byte": TopKCodec(*sizes, temperatures=TEMPERATURES, tolerance=price, **cap)
            for price in (3e-3, 3e-4, 3e-5)
        },
        "top 128, renormalised": RenormalisedTopK(*sizes, **cap),
    }


def fidelity_report(sample: Sample, used: Codec, device: torch.device) -> dict[str, Any]:
    """Return what `fidelity.json` holds: `measure` of all candidates, and under `in_use` the name of `used` among them.

    `used` is the codec that the run's cache is written with; it joins the candidates if it is none of them.
    """
    vocab_size, hidden_size = sample.head.shape
    codecs = candidates(vocab_size, hidden_size, used.logit_cap)
    identity = used.name, used.parameters
    same = [name for name, codec in codecs.items() if (codec.name, codec.parameters) == identity]
    name = same[0] if same else f"{used.name}, as configured"
    return {"in_use": name, **measure(sample, codecs if same else codecs | {name: used}, device), "units": UNITS}


def format_fidelity(report: Mapping[str, Any]) -> list[str]:
    """Return one line of text for each codec of a report: its size, its mean KL at each temperature, its speed."""
    lines = []
    for line in report["codecs"]:
        if "refused" in line:
            lines.append(f"{line['name']:<32} refused: {line['refused']}")
            continue
        divergences = "  ".join(f"T={tau}: {_format_kl(kl):>9}" for tau, kl in line["kl"].items())
        lines.append(
            f"{line['name']:<32}{line['bytes_per_token']:>10,.1f} B/token   KL {divergences}   "
            f"encode {line['encode_mb_per_s']:>8,.0f} MB/s  decode {line['decode_mb_per_s']:>8,.0f} MB/s  "
            f"rebuild {line['rebuild_us_per_token']:>7,.1f} us/token"
        )
    return lines


def _format_kl(kl: Mapping[str, float | None] | None) -> str:
    if kl is None:
        return "unstored"
    return "infinite" if kl["mean"] is None else f"{kl['mean']:.2e}"
