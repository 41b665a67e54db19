"""How much of a teacher a codec keeps, at what size and speed, measured on a sample of real positions."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.logits.codec import Codec
from assertkd.logits.head import HEAD_FILE, Float32, StoredHead, balance_head, head_bytes
from assertkd.logits.view import FullDistribution

TEMPERATURES = (1.0, 2.0, 4.0)
"""Those at which the divergence is reported."""

CHUNK_NUMBERS = 1 << 21
"""Logits measured at once: 16 MiB in float64, so that the temporaries of a large vocabulary stay small."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Positions of a teacher.

    Attributes:
        head: (V, d), its LM head.
        hidden: per example (T, d) float32, the vectors that enter the head at its target tokens.
        seconds: of the teacher's pass over them.
    """

    head: Float32
    hidden: Sequence[Float32]
    seconds: float

    @property
    def positions(self) -> int:
        """Target tokens in all examples."""
        return sum(map(len, self.hidden))


def draw_sample(lengths: Sequence[int], positions: int, seed: int) -> list[int]:
    """Return the numbers of random examples, in increasing order, that together have `positions` target tokens.

    The last example drawn may take the sum beyond it; all are returned where they have fewer together.

    Args:
        lengths: target tokens of every example.
        positions: how many are wanted.
        seed: of the drawing.
    """
    order = np.random.default_rng(seed).permutation(len(lengths))
    before = np.cumsum([0, *(lengths[number] for number in order)])[:-1]
    return sorted(int(number) for number in order[before < positions])


def measure(sample: Sample, codecs: Mapping[str, Codec], device: torch.device) -> dict[str, Any]:
    """Return the size, divergence and speed of every codec on the sample, as JSON values.

    `fidelity_report.UNITS` says what each figure is.
    A codec that refuses the teacher's vectors is listed with `refused`, its own words, in place of figures.

    Args:
        sample: the positions.
        codecs: by the names that they are to be listed under.
        device: where distributions are rebuilt and compared.
    """
    tallies = {name: _Tally(codec, codec.encoder(sample.head)) for name, codec in codecs.items()}
    with _stored(sample.head) as head, torch.inference_mode():
        weight = torch.from_numpy(sample.head).to(device)
        entropies = []
        for part in _chunks(sample.hidden, CHUNK_NUMBERS // len(sample.head)):
            logits = torch.from_numpy(np.concatenate(part)).to(device) @ weight.T
            full = {tau: torch.log_softmax(logits.double() / tau, dim=-1) for tau in TEMPERATURES}
            entropies.append(-(full[1.0].exp() * full[1.0]).sum(dim=-1))
            for tally in tallies.values():
                tally.add(part, full, head, device)
    teacher = 1e6 * sample.seconds / sample.positions
    return {
        "sample": {
            "positions": sample.positions,
            "examples": len(sample.hidden),
            "vocab_size": sample.head.shape[0],
            "hidden_size": sample.head.shape[1],
            "mean_entropy_nats": float(torch.cat(entropies).mean()),
        },
        "device": str(device),
        "threads": torch.get_num_threads(),
        "teacher_us_per_token": teacher,
        "codecs": [{"name": name, **tally.figures(sample, teacher)} for name, tally in tallies.items()],
    }


def divergence(log_p: torch.Tensor, log_q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return KL(p ‖ q) of every row and the mass that p has where q has none, both (n,), in nats and as a share.

    Args:
        log_p: (n, V) float64 log-probabilities.
        log_q: (n, V) the same; minus infinity where q is 0.
    """
    p = log_p.exp()
    dropped = torch.where(log_q.isneginf(), p, 0.0).sum(dim=-1)
    # 0 · log 0 is 0. Rounding may leave equal distributions a hair below zero.
    terms = torch.where(p > 0, p * (log_p - log_q), 0.0)
    return terms.sum(dim=-1).clamp_min(0.0), dropped


@dataclass
class _Tally:
    """What one codec took and cost so far."""

    codec: Codec
    encode: Callable[[Float32], bytes]
    size: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("encode", "decode", "rebuild"), 0.0))
    kl: dict[float, list[torch.Tensor]] = field(default_factory=lambda: {tau: [] for tau in TEMPERATURES})
    dropped: dict[float, list[torch.Tensor]] = field(default_factory=lambda: {tau: [] for tau in TEMPERATURES})
    refused: str | None = None

    def add(
        self, part: Sequence[Float32], full: Mapping[float, torch.Tensor], head: StoredHead, device: torch.device
    ) -> None:
        """Take the examples of `part` through the codec and compare with `full`, by temperature (n, V)."""
        if self.refused is not None:
            return
        try:
            with self._timed("encode", device):
                written = [self.encode(hidden) for hidden in part]
        except UserError as fault:
            self.refused = fault.problem
            return
        self.size += sum(map(len, written))
        with self._timed("decode", device):
            payloads = [self.codec.decode(data, len(hidden)) for data, hidden in zip(written, part, strict=True)]
        view = self.codec.collate(payloads, head if self.codec.keeps_head else None).to(device)
        if not isinstance(view, FullDistribution):
            raise TypeError(f"{type(view).__name__} gives no distribution over the vocabulary")
        if not self.seconds["rebuild"]:
            # The head is loaded at the first use, once a process: no cost of a batch.
            view.logits(slice(0, 1))
        with self._timed("rebuild", device):
            logits = view.logits(slice(0, view.num_tokens))
        for tau, log_p in full.items():
            kl, dropped = divergence(log_p, torch.log_softmax(logits.double() / tau, dim=-1))
            self.kl[tau].append(kl)
            self.dropped[tau].append(dropped)

    def figures(self, sample: Sample, teacher: float) -> dict[str, Any]:
        """Return the codec's line of the report."""
        parameters = {"codec": self.codec.name, "parameters": self.codec.parameters}
        if self.refused is not None:
            return parameters | {"refused": self.refused}
        mega = 2e-6 * sample.positions * len(sample.head)
        rebuild = 1e6 * self.seconds["rebuild"] / sample.positions
        return parameters | {
            "bytes_per_token": self.size / sample.positions,
            "kl": {f"{tau:g}": self._kl(tau) for tau in TEMPERATURES},
            "encode_mb_per_s": mega / self.seconds["encode"],
            "decode_mb_per_s": mega / self.seconds["decode"],
            "rebuild_us_per_token": rebuild,
            "rebuild_share_of_teacher": rebuild / teacher,
        }

    def _kl(self, temperature: float) -> dict[str, float | None]:
        kl = torch.cat(self.kl[temperature])
        finite = bool(kl.isfinite().all())
        return {
            "mean": float(kl.mean()) if finite else None,
            "p99": float(kl.quantile(0.99)) if finite else None,
            "mass_dropped": float(torch.cat(self.dropped[temperature]).mean()),
        }

    @contextmanager
    def _timed(self, what: str, device: torch.device) -> Iterator[None]:
        synchronise(device)
        started = time.perf_counter()
        yield
        synchronise(device)
        self.seconds[what] += time.perf_counter() - started


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was given, so that a clock read next tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _chunks(hidden: Sequence[Float32], rows: int) -> Iterator[list[Float32]]:
    """Yield runs of examples of about `rows` positions together, one example at least."""
    part: list[Float32] = []
    for one in hidden:
        part.append(one)
        if sum(map(len, part)) >= rows:
            yield part
            part = []
    if part:
        yield part


@contextmanager
def _stored(head: Float32) -> Iterator[StoredHead]:
    """Give a handle on the head as a store keeps it, in a folder that lasts as long as the block."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / HEAD_FILE
        path.write_bytes(head_bytes(balance_head(head)))
        yield StoredHead(path, sha256_of_file(path), *head.shape)
