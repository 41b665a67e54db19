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
ROLES = ("bos_token_id", "unk_token_id", "pad_token_id", "eos_token_id")
"""Special tokens by what they are for. One that has several roles counts by the last, so that an end is an end."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text that no token of either tokenizer reaches across.

    Attributes:
        teacher: the tokens of the teacher's tokenizer that cover it, by their places.
        student: those of the student's.
    """

    teacher: range
    student: range


class TokenBytes:
    """What the tokens of a tokenizer spell, in UTF-8.

    Attributes:
        spelt: by a token's number; None for special tokens, and for numbers without a token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._end = int(tokenizer.eos_token_id)
        special, added = {*tokenizer.all_special_ids}, tokenizer.added_tokens_decoder
        is_byte_level = '"ByteLevel"' in json.dumps(json.loads(tokenizer.backend_tokenizer.to_str())["decoder"])
        characters = {character: byte for byte, character in bytes_to_unicode().items()} if is_byte_level else {}
        self.spelt: list[bytes | None] = [None] * (max(tokenizer.get_vocab().values()) + 1)
        for token, number in tokenizer.get_vocab().items():
            if number not in special:
                # Those that were added to the vocabulary, as runs of blanks, are written as they are.
                self.spelt[number] = token.encode() if number in added else _spelt(token, characters)

    def ends(self, ids: Sequence[int], text: str) -> list[int]:
        """Return where each token of a text ends, in bytes; an end token ends behind the text.

        A token that does not spell its part of the text is left out, with all behind it.
        """
        whole, ends = text.encode(), list[int]()
        spelt = [self.spelt[number] or b"" for number in ids]
        # Some tokenizers put a blank before a text.
        blank = 1 if b"".join(spelt).startswith(b" ") and not whole.startswith(b" ") else 0
        for number, part, start in zip(ids, spelt, accumulate(map(len, spelt), initial=-blank), strict=False):
            if number == self._end and start == len(whole):
                ends.append(start + 1)
                break
            if not part or whole[max(start, 0) : start + len(part)] != part[max(-start, 0) :]:
                break
            ends.append(start + len(part))
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
    teacher_bytes, student_bytes = TokenBytes(teacher).spelt[:teacher_entries], TokenBytes(student).spelt
    student_bytes, student_tokens = student_bytes[:student_entries], student.get_vocab()
    begins_with = torch.full((teacher_entries,), -1, dtype=torch.long)
    # Of several that spell the same, the first.
    numbers = {spelt: number for number, spelt in reversed([*enumerate(student_bytes)]) if spelt}
    for number, spelt in enumerate(teacher_bytes):
        for length in range(len(spelt or b""), 0, -1):
            if spelt is not None and (found := numbers.get(spelt[:length])) is not None:
                begins_with[number] = found
                break
    for token, number in teacher.get_vocab().items():
        # Several may spell the same, as one and that for its byte: those of one name go together.
        same = student_tokens.get(token, student_entries)
        if number < teacher_entries and same < student_entries and teacher_bytes[number] == student_bytes[same]:
            begins_with[number] = same
    for role in ROLES:
        of_teacher, of_student = getattr(teacher, role), getattr(student, role)
        if of_teacher is not None and of_student is not None:
            begins_with[of_teacher] = of_student
    return begins_with


def _spelt(token: str, characters: dict[str, int]) -> bytes | None:
    """Return what a token spells; None where it is of no known form."""
    if characters:
        return bytes(characters[one] for one in token) if {*token} <= characters.keys() else None
    if match := BYTE.fullmatch(token):
        return bytes([int(match[1], 16)])
    return token.replace(WORD_START, " ").encode()
