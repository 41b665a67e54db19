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
class TokenProjection:
    """Which of the student's tokens the mass of each of the teacher's goes to.

    Attributes:
        student_token: (V of the teacher,) the student's token that an entry begins with; -1 where there is none.
        kept: the entries that begin with one, ascending.
        ids: (U,) the student's tokens that an entry begins with, each once, ascending.
        places: where among `ids` the token of each of `kept` is.
    """

    student_token: Tensor
    kept: Tensor
    ids: Tensor
    places: Tensor

    @classmethod
    def of(cls, student_token: Tensor) -> Self:
        """Return the projection of `token_alignment.first_tokens`."""
        kept = (student_token >= 0).nonzero()[:, 0]
        ids, places = torch.unique(student_token[kept], return_inverse=True)
        return cls(student_token, kept, ids, places)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the projection on `device`."""
        parts = (self.student_token, self.kept, self.ids, self.places)
        return type(self)(*(part.to(device, non_blocking=non_blocking) for part in parts))


@dataclass(frozen=True, slots=True)
class AlignedDistribution(BucketedDistribution):
    """The teacher's M target tokens seen from the student's N: buckets at single tokens, probabilities of spans.

    A student that writes `assertTrue` `(` `x` where the teacher writes `assert` `True(` `x` shares the token `x` and a
    span of two tokens each. At `x` both predict what follows `…True(`: the buckets there are the student's tokens, each
    with the mass of all of the teacher's tokens that begin with it. At the span's tokens there is a single bucket, of
    probability 1, so that no divergence is above 0; `span_log_p` gives the span's probability as a whole.

    Attributes:
        view: the teacher at its own M target tokens.
        labels: (M,) these tokens.
        rows: (N,) the place among the M that predicts what a student's token does; -1 where there is none.
        teacher_spans: (M,) number of the span of several tokens that a token is of; -1 where it is of none.
        student_spans: (N,) the same of the student's tokens.
        spans: S, how many such spans there are.
        projection: from the teacher's vocabulary to the student's. The mass of an entry without a token goes to the
            tail; where the view gives the whole vocabulary it is left out.
        vocab_size: V of the student.

    `rows` and the spans' numbers stay on the CPU, so that to choose rows waits for no device.
    """

    view: TeacherView
    labels: Tensor
    rows: Tensor
    teacher_spans: Tensor
    student_spans: Tensor
    spans: int
    projection: TokenProjection
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
        return replace(
            self,
            view=self.view.to(device, non_blocking),
            labels=self.labels.to(device, non_blocking=non_blocking),
            projection=self.projection.to(device, non_blocking),
        )

    def pin_memory(self) -> Self:
        """Return the view with the teacher's own in page-locked memory."""
        return replace(self, view=self.view.pin_memory(), labels=self.labels.pin_memory())

    def buckets(self, rows: slice, temperature: float) -> Buckets:
        """Return some rows' buckets at a temperature."""
        rows_of_teacher = self.rows[rows]
        known = (rows_of_teacher >= 0).nonzero()[:, 0]
        if not len(known):
            return self._without_support(len(rows_of_teacher), 1)
        chosen = rows_of_teacher[known]
        # What is a run of the student's tokens is one of the teacher's.
        run = slice(int(chosen[0]), int(chosen[-1]) + 1)
        if isinstance(self.view, FullDistribution):
            found = self._of_logits(self.view.logits(run) / temperature)
        else:
            found = self._of_support(self._support(run, temperature))
        result = self._without_support(len(rows_of_teacher), found.ids.shape[1])
        known, chosen = (index.to(self.labels.device) for index in (known, chosen - run.start))
        result.ids[known], result.log_p[known] = found.ids[chosen], found.log_p[chosen]
        result.log_tail[known] = found.log_tail[chosen]
        return result

    def span_log_p(self, temperature: float) -> Tensor:
        """Return the log-probability of each span of several tokens, (S,): the sum over the teacher's tokens of it."""
        total = self.labels.new_zeros(self.spans, dtype=torch.float32)
        for start in range(0, len(self.labels), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            of_span = (self.teacher_spans[rows] >= 0).nonzero()[:, 0]
            if len(of_span):
                numbers = self.teacher_spans[rows][of_span].to(total.device)
                log_p = self._labels_log_p(rows, temperature)
                total.index_add_(0, numbers, log_p[of_span.to(total.device)])
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
        ids, places = self.projection.ids, self.projection.places
        p = torch.softmax(scaled.float()[:, self.projection.kept], dim=-1)
        mass = p.new_zeros(len(p), len(ids)).index_add_(1, places, p)
        return Buckets(ids.expand(len(p), -1), mass.log(), mass.new_full((len(p),), -torch.inf))

    def _of_support(self, found: Buckets) -> Buckets:
        tokens, p = self.projection.student_token[found.ids], found.log_p.exp()
        has_token = tokens >= 0
        mass = p.new_zeros(len(p), self.vocab_size).scatter_add_(1, tokens.clamp(min=0), p * has_token)
        kept, ids = mass.topk(min(found.ids.shape[1], self.vocab_size), dim=-1)
        others = (p * ~has_token).sum(dim=-1) + found.log_tail.exp()
        # What has no mass is padding, which repeats the row's first id.
        return Buckets(torch.where(kept > 0, ids, ids[:, :1]), kept.log(), others.log())

    def _without_support(self, rows: int, width: int) -> Buckets:
        return Buckets(
            self.labels.new_zeros(rows, width),
            self.labels.new_full((rows, width), -torch.inf, dtype=torch.float32),
            self.labels.new_zeros(rows, dtype=torch.float32),
        )
