"""How much of a teacher a codec keeps, at what size and speed, measured on a sample of real positions."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assertkd.batching.distributions import BucketedDistribution, Buckets, FullDistribution, TeacherView
from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.head import HEAD_FILE, Float32, StoredHead, balance_head, head_bytes
from assertkd.models.distillable import capped
from assertkd.runtime.progress import Progress

TEMPERATURES = (1.0, 2.0, 4.0)
"""Those at which the divergence is reported."""

CHUNK_ELEMENTS = 1 << 21
"""Logits rebuilt at once, about as many as a loss does: 8 MiB in float32 for each codec."""
BLOCK_ELEMENTS = 1 << 18
"""Logits compared at once: 2 MiB in float64, so that the many temporaries stay in the cache."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Positions of a teacher.

    Attributes:
        head: (V, d), its LM head.
        hidden: per example (T, d) float32, the vectors that enter the head at its target tokens.
        seconds: of the teacher's pass over them; None where no teacher ran.
        logit_cap: the teacher's cap of its logits.
    """

    head: Float32
    hidden: Sequence[Float32]
    seconds: float | None
    logit_cap: float | None = None

    @property
    def positions(self) -> int:
        """Target tokens in all examples."""
        return sum(map(len, self.hidden))


def draw_sample(lengths: Sequence[int], positions: int, seed: int) -> list[int]:
    """Return the numbers of random examples, in increasing order, that together have `positions` target tokens.

    The last example drawn may take the sum beyond it; all are returned where they have fewer together. `lengths` are
    the target tokens of every example.
    """
    order = np.random.default_rng(seed).permutation(len(lengths))
    before = np.cumsum([0, *(lengths[number] for number in order)])[:-1]
    return sorted(int(number) for number in order[before < positions])


def measure(sample: Sample, codecs: Mapping[str, Codec], device: torch.device) -> dict[str, Any]:
    """Return the size, divergence and speed of every codec on the sample, as JSON values (`report.UNITS`).

    They are listed under the names in `codecs`; a codec that refuses the teacher's vectors with `refused`, its own
    words, in place of figures. Distributions are rebuilt and compared on `device`.
    """
    measurements = {name: _Measurement(codec, sample, device) for name, codec in codecs.items()}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        file = Path(folder) / HEAD_FILE
        file.write_bytes(head_bytes(balance_head(sample.head)))
        head = StoredHead(file, sha256_of_file(file), *sample.head.shape)
        weight = torch.from_numpy(sample.head).to(device)
        entropy, done, progress = 0.0, 0, Progress("positions measured", sample.positions)
        for part in _chunks(sample.hidden, CHUNK_ELEMENTS // len(sample.head)):
            logits = capped(torch.from_numpy(np.concatenate(part)).to(device) @ weight.T, sample.logit_cap)
            for measurement in measurements.values():
                measurement.take(part, head)
            step = max(1, BLOCK_ELEMENTS // len(weight))
            for start in range(0, len(logits), step):
                rows = slice(start, min(start + step, len(logits)))
                for temperature in TEMPERATURES:
                    log_p = torch.log_softmax(logits[rows].double() / temperature, dim=-1)
                    if temperature == 1:
                        entropy -= float((log_p.exp() * log_p).sum())
                    for measurement in measurements.values():
                        measurement.compare(temperature, rows, done, log_p)
            done += len(logits)
            progress.at(done)
    teacher = None if sample.seconds is None else 1e6 * sample.seconds / sample.positions
    return {
        "sample": {
            "positions": sample.positions,
            "examples": len(sample.hidden),
            "vocab_size": sample.head.shape[0],
            "hidden_size": sample.head.shape[1],
            "mean_entropy_nats": entropy / sample.positions,
        },
        "device": str(device),
        "threads": torch.get_num_threads(),
        "teacher_us_per_token": teacher,
        "codecs": [
            {"name": name, **measurement.figures(sample, teacher)} for name, measurement in measurements.items()
        ],
    }


def divergence(log_p: torch.Tensor, log_q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return KL(p ‖ q) of every row and the mass that p has where q has none, both (n,), in nats and as a share.

    Both take (n, V) float64 log-probabilities, minus infinity where there is no mass.
    """
    p = log_p.exp()
    dropped = torch.where(log_q.isneginf(), p, 0.0).sum(dim=-1)
    # 0 · log 0 is 0. Rounding may leave equal distributions a hair below zero.
    terms = torch.where(p > 0, p * (log_p - log_q), 0.0)
    return terms.sum(dim=-1).clamp_min(0.0), dropped


class _Measurement:
    """Size, speed and divergence of one codec, over the chunks of a sample."""

    def __init__(self, codec: Codec, sample: Sample, device: torch.device) -> None:
        self._codec, self._device = codec, device
        self._encode = codec.encoder(sample.head)
        self._bytes = 0
        self._seconds = {"encode": 0.0, "decode": 0.0, "rebuild": 0.0}
        # Why the codec cannot store the teacher; None while it can.
        self._refused: str | None = None
        # What is stored of the chunk: a view, and its logits where it has them.
        self._view: TeacherView | None = None
        self._logits: torch.Tensor | None = None
        self._measured: set[float] = set()
        # Made at once: small results kept between large temporaries would scatter the heap, by hundreds of megabytes.
        self._divergences = torch.zeros(len(TEMPERATURES), 2, sample.positions, dtype=torch.float64, device=device)

    def take(self, part: Sequence[Float32], head: StoredHead) -> None:
        """Take a chunk of examples through the codec and measure the time of each step."""
        if self._refused is not None:
            return
        try:
            with self._timed("encode"):
                encoded = [self._encode(hidden) for hidden in part]
        except UserError as fault:
            self._refused, self._view, self._logits = fault.problem, None, None
            return
        self._bytes += sum(array.nbytes for arrays in encoded for array in arrays.values())
        with self._timed("decode"):
            view = self._codec.collate(encoded, head if self._codec.keeps_head else None)
        self._view = view.to(self._device)
        if not self._seconds["rebuild"]:
            # The head is loaded at the first use, once a process: no cost of a batch.
            _rebuild(self._view, slice(0, 1))
        with self._timed("rebuild"):
            self._logits = _rebuild(self._view, slice(0, view.num_tokens))

    def compare(self, temperature: float, rows: slice, offset: int, log_p: torch.Tensor) -> None:
        """Record the divergences of some rows of the chunk, which begins at position `offset` of the sample."""
        if self._logits is not None:
            log_q = torch.log_softmax(self._logits[rows].double() / temperature, dim=-1)
        elif isinstance(self._view, BucketedDistribution) and temperature in self._view.temperatures:
            log_q = whole_distribution(self._view.buckets(rows, temperature), self._view.vocab_size)
        else:
            return
        self._measured.add(temperature)
        kl, dropped = self._divergences[TEMPERATURES.index(temperature)]
        places = slice(offset + rows.start, offset + rows.stop)
        kl[places], dropped[places] = divergence(log_p, log_q)

    def figures(self, sample: Sample, teacher: float | None) -> dict[str, Any]:
        """Return the codec's line of the report."""
        parameters = {"codec": self._codec.name, "parameters": self._codec.parameters}
        if self._refused is not None:
            return parameters | {"refused": self._refused}
        megabytes = 2e-6 * sample.positions * len(sample.head)
        rebuild = 1e6 * self._seconds["rebuild"] / sample.positions
        return parameters | {
            "bytes_per_token": self._bytes / sample.positions,
            "kl": {f"{temperature:g}": self._kl(temperature) for temperature in TEMPERATURES},
            "encode_mb_per_s": megabytes / self._seconds["encode"],
            "decode_mb_per_s": megabytes / self._seconds["decode"],
            "rebuild_us_per_token": rebuild,
            "rebuild_share_of_teacher": None if teacher is None else rebuild / teacher,
        }

    def _kl(self, temperature: float) -> dict[str, float | None] | None:
        if temperature not in self._measured:
            return None
        kl, dropped = self._divergences[TEMPERATURES.index(temperature)]
        finite = bool(kl.isfinite().all())
        return {
            "mean": float(kl.mean()) if finite else None,
            "p99": float(kl.quantile(0.99)) if finite else None,
            "mass_dropped": float(dropped.mean()),
        }

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        self._synchronise()
        started = time.perf_counter()
        yield
        self._synchronise()
        self._seconds[step] += time.perf_counter() - started

    def _synchronise(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def _rebuild(view: TeacherView, rows: slice) -> torch.Tensor | None:
    """Ask a view what a loss asks; return its logits (n, V) where it has them."""
    if isinstance(view, FullDistribution):
        return view.logits(rows)
    assert isinstance(view, BucketedDistribution)
    view.buckets(rows, view.temperatures[0])
    return None


def whole_distribution(buckets: Buckets, vocab_size: int) -> torch.Tensor:
    """Return the distributions over the whole vocabulary that buckets mean, (n, V) float64 log-probabilities.

    The tail's mass lies evenly on the tokens outside the support: nothing more is known of it.
    """
    kept = buckets.log_p.isfinite()
    outside = (vocab_size - kept.sum(dim=-1)).clamp_min(1)
    log_q = (buckets.log_tail.double() - outside.double().log())[:, None].repeat(1, vocab_size)
    rows, _ = kept.nonzero(as_tuple=True)
    log_q[rows, buckets.ids[kept]] = buckets.log_p[kept].double()
    return log_q


def _chunks(hidden: Sequence[Float32], rows: int) -> Iterator[list[Float32]]:
    """Yield consecutive examples of about `rows` positions together, one example at least."""
    part: list[Float32] = []
    for one in hidden:
        part.append(one)
        if sum(map(len, part)) >= rows:
            yield part
            part = []
    if part:
        yield part
