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

from assertkd.batching.distributions import BucketedDistribution, Buckets, FullDistribution, TeacherView
from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.head import HEAD_FILE, Float32, StoredHead, balance_head, head_bytes

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
    """

    head: Float32
    hidden: Sequence[Float32]
    seconds: float | None

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
    tallies = {
        name: _Tally(codec, codec.encoder(sample.head), sample.positions, device) for name, codec in codecs.items()
    }
    with _stored(sample.head) as head, torch.inference_mode():
        weight = torch.from_numpy(sample.head).to(device)
        entropy, done = 0.0, 0
        for part in _chunks(sample.hidden, CHUNK_ELEMENTS // len(sample.head)):
            logits = torch.from_numpy(np.concatenate(part)).to(device) @ weight.T
            stored = {name: tally.take(part, head, device) for name, tally in tallies.items()}
            step = max(1, BLOCK_ELEMENTS // len(weight))
            for start in range(0, len(logits), step):
                block = slice(start, min(start + step, len(logits)))
                for tau in TEMPERATURES:
                    log_p = torch.log_softmax(logits[block].double() / tau, dim=-1)
                    if tau == 1:
                        entropy -= float((log_p.exp() * log_p).sum())
                    for name, one in stored.items():
                        log_q = None if one is None else one.log_probabilities(block, tau)
                        if log_q is not None:
                            tallies[name].compare(tau, done + start, log_p, log_q)
            done += len(logits)
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


def spread(buckets: Buckets, vocab_size: int) -> torch.Tensor:
    """Return the distributions over the whole vocabulary that buckets stand for, (n, V) float64 log-probabilities.

    The tail's mass is spread evenly over the tokens outside the support, which is all that is known of it.
    """
    kept = buckets.log_p.isfinite()
    outside = (vocab_size - kept.sum(dim=-1)).clamp_min(1)
    log_q = (buckets.log_tail.double() - outside.double().log())[:, None].repeat(1, vocab_size)
    rows, _ = kept.nonzero(as_tuple=True)
    log_q[rows, buckets.ids[kept]] = buckets.log_p[kept].double()
    return log_q


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a codec gives back of some positions: a view, and its logits (N, V) where it has them."""

    view: TeacherView
    logits: torch.Tensor | None

    def log_probabilities(self, rows: slice, temperature: float) -> torch.Tensor | None:
        """Return the distributions of some rows, (n, V) float64; None at a temperature that is not stored."""
        if self.logits is not None:
            return torch.log_softmax(self.logits[rows].double() / temperature, dim=-1)
        if isinstance(self.view, BucketedDistribution) and temperature in self.view.temperatures:
            return spread(self.view.buckets(rows, temperature), self.view.vocab_size)
        return None


def _rebuild(view: TeacherView, rows: slice) -> torch.Tensor | None:
    """Do what a loss asks of a view; return its logits (n, V) where it has them."""
    if isinstance(view, FullDistribution):
        return view.logits(rows)
    if isinstance(view, BucketedDistribution):
        view.buckets(rows, view.temperatures[0])
        return None
    raise TypeError(f"{type(view).__name__} gives no distribution over the vocabulary")


@dataclass
class _Tally:
    """What one codec took and cost so far."""

    codec: Codec
    encode: Callable[[Float32], bytes]
    positions: int
    device: torch.device
    stored: set[float] = field(default_factory=set)
    size: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("encode", "decode", "rebuild"), 0.0))
    refused: str | None = None
    kl: dict[float, torch.Tensor] = field(init=False)
    dropped: dict[float, torch.Tensor] = field(init=False)

    def __post_init__(self) -> None:
        # Made at once: small results kept between large temporaries would scatter the heap, by hundreds of megabytes.
        made = [torch.zeros(len(TEMPERATURES), self.positions, dtype=torch.float64, device=self.device) for _ in "ab"]
        self.kl, self.dropped = (dict(zip(TEMPERATURES, rows, strict=True)) for rows in made)

    def take(self, part: Sequence[Float32], head: StoredHead, device: torch.device) -> _Stored | None:
        """Take examples through the codec, by the clock; return what comes back, None from where it refuses."""
        if self.refused is not None:
            return None
        try:
            with self._timed("encode", device):
                written = [self.encode(hidden) for hidden in part]
        except UserError as fault:
            self.refused = fault.problem
            return None
        self.size += sum(map(len, written))
        with self._timed("decode", device):
            payloads = [self.codec.decode(data, len(hidden)) for data, hidden in zip(written, part, strict=True)]
        view = self.codec.collate(payloads, head if self.codec.keeps_head else None).to(device)
        if not self.seconds["rebuild"]:
            # The head is loaded at the first use, once a process: no cost of a batch.
            _rebuild(view, slice(0, 1))
        with self._timed("rebuild", device):
            logits = _rebuild(view, slice(0, view.num_tokens))
        return _Stored(view, logits)

    def compare(self, temperature: float, start: int, log_p: torch.Tensor, log_q: torch.Tensor) -> None:
        """Write down the divergences of the positions from `start` on."""
        self.stored.add(temperature)
        rows = slice(start, start + len(log_p))
        self.kl[temperature][rows], self.dropped[temperature][rows] = divergence(log_p, log_q)

    def figures(self, sample: Sample, teacher: float | None) -> dict[str, Any]:
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
            "rebuild_share_of_teacher": None if teacher is None else rebuild / teacher,
        }

    def _kl(self, temperature: float) -> dict[str, float | None] | None:
        if temperature not in self.stored:
            return None
        kl = self.kl[temperature]
        finite = bool(kl.isfinite().all())
        return {
            "mean": float(kl.mean()) if finite else None,
            "p99": float(kl.quantile(0.99)) if finite else None,
            "mass_dropped": float(self.dropped[temperature].mean()),
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
