"""How the tokens of two tokenizers go together: what each begins with in the other, and which cover the same text."""

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

WORD_START = "▁"
"""What SentencePiece writes for a blank."""
BYTE = re.compile(r"<0x([0-9A-F]{2})>")
"""A token for a byte that no other token spells."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text that no token of either tokenizer reaches across.

    Attributes:
        teacher: the tokens of the teacher's tokenizer that cover it, by their places.
        student: those of the student's.
    """

    teacher: range
    student: range

    @property
    def is_one_to_one(self) -> bool:
        """Whether it is one token of each."""
        return len(self.teacher) == len(self.student) == 1


class TokenBytes:
    """What the tokens of a tokenizer spell, in UTF-8."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._end = int(tokenizer.eos_token_id)
        special = {*tokenizer.all_special_ids}
        is_byte_level = '"ByteLevel"' in json.dumps(json.loads(tokenizer.backend_tokenizer.to_str())["decoder"])
        characters = {character: byte for byte, character in bytes_to_unicode().items()} if is_byte_level else {}
        # Entries between those of the vocabulary have no token.
        self.spelt: list[bytes | None] = [None] * (max(tokenizer.get_vocab().values()) + 1)
        for token, number in tokenizer.get_vocab().items():
            if number not in special:
                self.spelt[number] = _spelt(token, characters)

    def ends(self, ids: Sequence[int], text: str) -> list[int]:
        """Return where each token of a text ends, in bytes; an end token ends behind the text.

        A token that does not spell its part of the text is left out, with all behind it.
        """
        whole, ends = text.encode(), list[int]()
        spelt = [self.spelt[number] or b"" for number in ids]
        # Some tokenizers put a blank before a text.
        blank = 1 if b"".join(spelt).startswith(b" ") and not whole.startswith(b" ") else 0
        for number, part, end in zip(ids, spelt, accumulate(map(len, spelt), initial=-blank), strict=False):
            if number == self._end and end == len(whole):
                ends.append(end + 1)
                break
            if not part or whole[max(end, 0) : end + len(part)] != part[max(-end, 0) :]:
                break
            ends.append(end + len(part))
        return ends


def aligned_spans(teacher_ends: Sequence[int], student_ends: Sequence[int]) -> list[Span]:
    """Return the shortest spans that two lists of ends of tokens, ascending, cut one text into.

    What stands behind the last common end is in no span.
    """
    spans, teacher, student = list[Span](), 0, 0
    for end in sorted({*teacher_ends} & {*student_ends}):
        after = bisect_right(teacher_ends, end), bisect_right(student_ends, end)
        spans.append(Span(range(teacher, after[0]), range(student, after[1])))
        teacher, student = after
    return spans


def first_tokens(
    teacher: PreTrainedTokenizerFast, student: PreTrainedTokenizerFast, teacher_entries: int, student_entries: int
) -> Tensor:
    """Return the student's token that each entry of the teacher's vocabulary begins with, (V of the teacher,).

    The longest that it begins with, hence the same token where the student has it; -1 where there is none. Special
    tokens are those of the same role or name.

    Args:
        teacher: tokenizer.
        student: tokenizer.
        teacher_entries: V of the teacher, padding included.
        student_entries: V of the student, padding included.
    """
    own, others = TokenBytes(teacher).spelt[:teacher_entries], TokenBytes(student).spelt[:student_entries]
    first, vocabulary = torch.full((teacher_entries,), -1, dtype=torch.long), student.get_vocab()
    numbers = {spelt: number for number, spelt in reversed([*enumerate(others)]) if spelt}
    for number, spelt in enumerate(own):
        if spelt:
            begun = (numbers.get(spelt[:length], -1) for length in range(len(spelt), 0, -1))
            first[number] = next((found for found in begun if found >= 0), -1)
    for token, number in teacher.get_vocab().items():
        # Several may spell the same, as one and that for its byte: those of one name go together.
        other = vocabulary.get(token, student_entries)
        if number < teacher_entries and other < student_entries and own[number] == others[other]:
            first[number] = other
    for role in ("eos_token_id", "pad_token_id", "unk_token_id", "bos_token_id"):
        numbers_of_role = getattr(teacher, role), getattr(student, role)
        if None not in numbers_of_role:
            first[numbers_of_role[0]] = numbers_of_role[1]
    return first


def _spelt(token: str, characters: dict[str, int]) -> bytes | None:
    """Return what a token spells; None where it is of no known form."""
    if characters:
        return bytes(characters[one] for one in token) if {*token} <= characters.keys() else None
    if match := BYTE.fullmatch(token):
        return bytes([int(match[1], 16)])
    return token.replace(WORD_START, " ").encode()
