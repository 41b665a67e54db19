"""A teacher's stored distributions for a student with another tokenizer."""

from collections.abc import Sequence

import numpy as np
import torch

from assertkd.batching.aligned_distribution import AlignedDistribution
from assertkd.batching.examples import Example, Payload
from assertkd.logits.store.reader import JoinedStores
from assertkd.models.token_alignment import Span, TokenBytes, aligned_spans, first_tokens
from assertkd.prompts.prompt import Prompt

LABELS, ROWS, TEACHER_SPANS, STUDENT_SPANS = "aligned labels", "aligned rows", "teacher spans", "student spans"
ALIGNMENT = (LABELS, ROWS, TEACHER_SPANS, STUDENT_SPANS)
"""What a payload has beside the codec's arrays; see `AlignedDistribution`, the numbers being those of the example."""


class AlignedTeacher:
    """Reads what a teacher knew of the text that a student learns, and where their tokens of it go together.

    Args:
        stores: the teacher's.
        teacher: how it encoded targets.
        student: how the student does.
        student_entries: V of the student.
    """

    def __init__(self, stores: JoinedStores, teacher: Prompt, student: Prompt, student_entries: int) -> None:
        self._stores, self._prompt, self._student_entries = stores, teacher, student_entries
        one, other = teacher.tokenizer, student.tokenizer
        self._spelt = TokenBytes(one), TokenBytes(other)
        self._first = first_tokens(one, other, stores.vocab_size, student_entries)

    def read_example(self, example: Example) -> Payload:
        """Return the arrays of an example's text, and the alignment of its tokens.

        Raises:
            UserError: the stores hold none for this text, or they are damaged.
        """
        ids = self._prompt.encode_target(example.target)
        payload, targets = self._stores.read(example.id, ids), (ids, example.target_ids)
        ends = (spelt.ends(tokens, example.target) for spelt, tokens in zip(self._spelt, targets, strict=True))
        return {**payload, **_alignment(ids, example.target_ids, aligned_spans(*ends))}

    def collate_views(self, payloads: Sequence[Payload]) -> AlignedDistribution:
        """Return one view over the payloads, in their order."""
        parts: dict[str, list[torch.Tensor]] = {name: [] for name in ALIGNMENT}
        tokens = spans = 0
        for payload in payloads:
            own = {name: torch.from_numpy(payload[name]) for name in ALIGNMENT}
            for name, first in ((LABELS, 0), (ROWS, tokens), (TEACHER_SPANS, spans), (STUDENT_SPANS, spans)):
                parts[name].append(torch.where(own[name] < 0, own[name], own[name] + first))
            tokens += len(own[LABELS])
            spans += int(own[TEACHER_SPANS].max()) + 1
        stored = [{name: array for name, array in one.items() if name not in ALIGNMENT} for one in payloads]
        labels, rows, teacher_spans, student_spans = (torch.cat(parts[name]) for name in ALIGNMENT)
        return AlignedDistribution(
            self._stores.collate_views(stored),
            labels,
            rows,
            teacher_spans,
            student_spans,
            spans,
            self._first,
            self._student_entries,
        )


def _alignment(teacher_ids: Sequence[int], student_ids: Sequence[int], spans: Sequence[Span]) -> Payload:
    rows, teacher, student = (np.full(len(ids), -1) for ids in (student_ids, teacher_ids, student_ids))
    for span in spans:
        if span.is_one_to_one:
            rows[span.student.start] = span.teacher.start
    for number, span in enumerate(span for span in spans if not span.is_one_to_one):
        teacher[list(span.teacher)], student[list(span.student)] = number, number
    return {LABELS: np.array(teacher_ids), ROWS: rows, TEACHER_SPANS: teacher, STUDENT_SPANS: student}
