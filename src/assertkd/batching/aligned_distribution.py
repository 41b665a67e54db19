"""The teacher's distributions at a student's target tokens, where the two have different tokenizers."""

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from assertkd.batching.distributions import BucketedDistribution, Buckets, FullDistribution, TeacherView
from assertkd.errors import UserError

CHUNK_ROWS = 64
"""Target tokens whose logits are looked at together."""


@dataclass(frozen=True, slots=True)
class AlignedDistribution(BucketedDistribution):
    """Buckets over the student's vocabulary at its N target tokens, of a teacher with M target tokens of its own.

    Where one token of each covers the same part of the target, both predict what follows the same text. The mass of
    each of the teacher's tokens is then that of the student's token that it begins with. Elsewhere there is one bucket
    for everything, at which no divergence is above 0; such places belong to spans of several tokens, whose
    probabilities as wholes `span_log_p` gives.

    Attributes:
        view: the teacher at its own M target tokens.
        labels: (M,) these tokens.
        rows: (N,) the place among the M that predicts what a student's token does; -1 where there is none.
        teacher_spans: (M,) number of the span of several tokens that a token is of; -1 where it is of none.
        student_spans: (N,) the same of the student's tokens.
        spans: S, how many such spans there are.
        first: (V of the teacher,) the student's token that each entry begins with; -1 where there is none, and its mass
            counts as none where the teacher gives the whole vocabulary, else as the tail's.
        vocab_size: V of the student.
    """

    view: TeacherView
    labels: Tensor
    rows: Tensor
    teacher_spans: Tensor
    student_spans: Tensor
    spans: int
    first: Tensor
    # `field()`, since the property of the base class would pass for a default.
    vocab_size: int = field()

    @property
    def num_tokens(self) -> int:
        """N."""
        return len(self.rows)

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures that `buckets` can be asked for; any where there are none."""
        return self.view.temperatures if isinstance(self.view, BucketedDistribution) else ()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the view on `device`."""
        moved = {name: getattr(self, name).to(device, non_blocking=non_blocking) for name in self._tensors}
        return replace(self, view=self.view.to(device, non_blocking), **moved)

    def pin_memory(self) -> Self:
        """Return the view in page-locked memory."""
        return replace(
            self, view=self.view.pin_memory(), **{name: getattr(self, name).pin_memory() for name in self._tensors}
        )

    @property
    def _tensors(self) -> tuple[str, ...]:
        return "labels", "rows", "teacher_spans", "student_spans", "first"

    def buckets(self, rows: slice, temperature: float) -> Buckets:
        """Return some rows' buckets at a temperature."""
        places = self.rows[rows]
        known = places >= 0
        if not known.any():
            return self._without_support(len(places), 1)
        # A run of the student's tokens is one of the teacher's.
        first, last = int(places[known].min()), int(places.max()) + 1
        if isinstance(self.view, FullDistribution):
            found = self._of_logits(self.view.logits(slice(first, last)) / temperature)
        else:
            found = self._of_support(self._support(slice(first, last), temperature))
        result = self._without_support(len(places), found.ids.shape[1])
        chosen = places[known] - first
        result.ids[known], result.log_p[known] = found.ids[chosen], found.log_p[chosen]
        result.log_tail[known] = found.log_tail[chosen]
        return result

    def span_log_p(self, temperature: float) -> Tensor:
        """Return the log-probability of each span of several tokens, (S,): the sum over the teacher's tokens of it."""
        total = self.first.new_zeros(self.spans, dtype=torch.float32)
        for start in range(0, len(self.labels), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            is_of_span = self.teacher_spans[rows] >= 0
            log_p = self._labels_log_p(rows, temperature)[is_of_span]
            total.index_add_(0, self.teacher_spans[rows][is_of_span], log_p)
        return total

    def _labels_log_p(self, rows: slice, temperature: float) -> Tensor:
        """Return the log-probabilities of the teacher's own target tokens, (n,)."""
        labels = self.labels[rows, None]
        if isinstance(self.view, FullDistribution):
            return torch.log_softmax(self.view.logits(rows).float() / temperature, dim=-1).gather(1, labels)[:, 0]
        found = self._support(rows, temperature)
        is_kept = found.log_p > -torch.inf
        is_label = is_kept & (found.ids == labels)
        # As everywhere, the tail's mass is spread evenly over the tokens outside the support.
        outside = (self.view.vocab_size - is_kept.sum(dim=-1)).clamp(min=1)
        in_support = found.log_p.masked_fill(~is_label, -torch.inf).amax(dim=-1)
        return torch.where(is_label.any(dim=-1), in_support, found.log_tail - outside.log())

    def _support(self, rows: slice, temperature: float) -> Buckets:
        if not isinstance(self.view, BucketedDistribution):
            raise UserError(
                "The loss needs the teacher's logits, and the batch has none",
                "Run `compress_logits` first, and train from its store.",
            )
        return self.view.buckets(rows, temperature)

    def _of_logits(self, scaled: Tensor) -> Buckets:
        known = self.first >= 0
        ids, places = torch.unique(self.first[known], return_inverse=True)
        p = torch.softmax(scaled.float()[:, known], dim=-1)
        mass = p.new_zeros(len(p), len(ids)).index_add_(1, places, p)
        return Buckets(ids.expand(len(p), -1), mass.log(), mass.new_full((len(p),), -torch.inf))

    def _of_support(self, found: Buckets) -> Buckets:
        firsts, p = self.first[found.ids], found.log_p.exp()
        is_known = firsts >= 0
        mass = p.new_zeros(len(p), self.vocab_size).scatter_add_(1, firsts.clamp(min=0), p * is_known)
        kept, ids = mass.topk(min(found.ids.shape[1], self.vocab_size), dim=-1)
        others = (p * ~is_known).sum(dim=-1) + found.log_tail.exp()
        # What has no mass is padding, which repeats the row's first id.
        return Buckets(torch.where(kept > 0, ids, ids[:, :1]), kept.log(), others.log())

    def _without_support(self, rows: int, width: int) -> Buckets:
        return Buckets(
            self.first.new_zeros(rows, width),
            self.first.new_full((rows, width), -torch.inf, dtype=torch.float32),
            self.first.new_zeros(rows, dtype=torch.float32),
        )
