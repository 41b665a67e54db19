"""A teacher's stored distributions for a student with another tokenizer."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from assertkd.batching.aligned_distribution import AlignedDistribution, TokenProjection
from assertkd.batching.examples import Example, Payload
from assertkd.logits.store.reader import JoinedStores
from assertkd.models.token_alignment import TokenBytes, aligned_spans, first_tokens
from assertkd.prompts.prompt import Prompt

LABELS, ROWS, TEACHER_SPANS, STUDENT_SPANS = "aligned labels", "aligned rows", "teacher spans", "student spans"
ALIGNMENT = (LABELS, ROWS, TEACHER_SPANS, STUDENT_SPANS)
"""What a payload has beside the codec's arrays: fields of `AlignedDistribution`, counted within the example."""


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
        self._teacher_bytes, self._student_bytes = TokenBytes(teacher.tokenizer), TokenBytes(student.tokenizer)
        tokens = first_tokens(teacher.tokenizer, student.tokenizer, stores.vocab_size, student_entries)
        self._projection = TokenProjection.of(tokens)

    def read_example(self, example: Example) -> Payload:
        """Return the arrays of an example's text, and the alignment of its tokens.

        Raises:
            UserError: the stores hold none for this text, or they are damaged.
        """
        teacher_ids = self._prompt.encode_target(example.target)
        return {**self._stores.read(example.id, teacher_ids), **self._alignment(teacher_ids, example)}

    def aligned_share(self, examples: Iterable[Example]) -> float:
        """Return the share of the student's target tokens that lie in some span, from 0 to 1."""
        covered = total = 0
        for example in examples:
            alignment = self._alignment(self._prompt.encode_target(example.target), example)
            covered += int(((alignment[ROWS] >= 0) | (alignment[STUDENT_SPANS] >= 0)).sum())
            total += len(example.target_ids)
        return covered / max(total, 1)

    def collate_views(self, payloads: Sequence[Payload]) -> AlignedDistribution:
        """Return one view over the payloads, in their order."""
        parts: dict[str, list[torch.Tensor]] = {name: [] for name in ALIGNMENT}
        tokens = spans = 0
        for payload in payloads:
            own = {name: torch.from_numpy(payload[name]) for name in ALIGNMENT}
            for name, before in ((LABELS, 0), (ROWS, tokens), (TEACHER_SPANS, spans), (STUDENT_SPANS, spans)):
                parts[name].append(torch.where(own[name] < 0, own[name], own[name] + before))
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
            self._projection,
            self._student_entries,
        )

    def _alignment(self, teacher_ids: Sequence[int], example: Example) -> Payload:
        student_ids, target = example.target_ids, example.target
        rows, teacher, student = (np.full(len(ids), -1) for ids in (student_ids, teacher_ids, student_ids))
        spans = 0
        for span in aligned_spans(
            self._teacher_bytes.ends(teacher_ids, target), self._student_bytes.ends(student_ids, target)
        ):
            one, other = span.teacher.start, span.student.start
            is_single = len(span.teacher) == len(span.student) == 1
            # A blank that one of them puts before the text makes another token of the first.
            if is_single and self._projection.student_token[teacher_ids[one]] == student_ids[other]:
                rows[other] = one
            else:
                teacher[list(span.teacher)] = student[list(span.student)] = spans
                spans += 1
        return {LABELS: np.array(teacher_ids), ROWS: rows, TEACHER_SPANS: teacher, STUDENT_SPANS: student}
