"""The interchange form of a teacher's logits: JSONL, one example a line, as other pipelines read and write it.

A line is the record's own fields and

    teacher_logits_compressed   base64 of one LZ4 frame that holds the logits: float16, little-endian, row by row (T, V)
    teacher_logits_shape        [T, V]
    teacher_logits_dtype        "float16"
    target_ids                  the T token ids that the teacher was fed, the end of sequence last
    teacher_logprobs            in place of all logits, log-probabilities of the likeliest tokens (`answer_forms.py`)
    teacher_prediction          what the teacher writes itself

Of these only `teacher_logits_compressed` or `teacher_logprobs` is needed. A line without shape and `target_ids` holds
what is along its `assertion`: T is the number of its tokens, and V follows from the size.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import numpy.typing as npt

from assertkd.errors import UserError
from assertkd.jsonl import numbered_objects, parse_object
from assertkd.logits.codecs.head import Float32
from assertkd.logits.codecs.support import TopLogprobs
from assertkd.logits.interchange.logprobs import read_top_logprobs
from assertkd.logits.interchange.token_names import TokenNames
from assertkd.records import LOGPROBS, line_id

DTYPE = "float16"
STORED = np.dtype("<f2")

LARGEST_RATIO = 256
"""More than LZ4 can compress by (255), so a declared size beyond it is false."""

LARGEST_SURPLUS = 1.5
"""Models pad their vocabulary to a round size. Where V follows from the size alone and is larger than the tokenizer's
entries by more than this factor, the rows are not what they are taken for (float32, or rows of padding)."""

LARGEST_PADDING = 4096
"""Entries by which a vocabulary may be padded where that factor allows less; more is taken for a false size."""

Float16 = npt.NDArray[np.float16]


def pack_logits(logits: Float16) -> str:
    """Return logits (T, V) as text. The frame declares its size and has a checksum."""
    frame = lz4.frame.compress(logits.astype(STORED).tobytes(), content_checksum=True, store_size=True)
    return base64.b64encode(frame).decode("ascii")


@dataclass(frozen=True, slots=True)
class InterchangeLine:
    """One line; the logits are still packed.

    Attributes:
        where: its file and line, for messages.
        id: its own, or one made of the file's name and the line's number.
        assertion: the gold assertion; None where there is none, or no text.
        prediction: the teacher's, or None.
        target_ids: of the logits' rows, or None.
        packed: the logits, from `pack_logits` or another program, or None.
        shape: (T, V) as declared, or None.
        logprobs: of the likeliest tokens, as a server answered, or None.
    """

    where: str
    id: str
    assertion: str | None
    prediction: str | None
    target_ids: list[int] | None
    packed: str | None
    shape: list[int] | None
    logprobs: Any = None

    def distributions(
        self, target_ids: Sequence[int], names: TokenNames, vocab_size: int | None = None
    ) -> Float32 | TopLogprobs:
        """Return what the line holds along its target: the logits (T, V), or what is given of the likeliest tokens.

        Args:
            target_ids: the T target tokens.
            names: those of the tokenizer; V is at least their number, and is that where no logits say more.
            vocab_size: V of the lines before; None for the first.

        Raises:
            UserError: nothing is there, or not what it should be (file:line is named).
        """
        if self.logprobs is None:
            return self.logits(len(target_ids), names.entries, vocab_size).astype(np.float32)
        if self.packed is not None:
            raise UserError(f"{self.where}: both teacher_logits_compressed and {LOGPROBS}", "Leave one of them out.")
        return read_top_logprobs(self.logprobs, self.where, target_ids, names, vocab_size or names.entries)

    def logits(self, tokens: int, entries: int, vocab_size: int | None = None) -> Float16:
        """Return the logits, (T, V) float16, finite; no memory is taken for a size that was not checked first.

        Args:
            tokens: T, the number of target tokens that there have to be rows for.
            entries: entries of the tokenizer; V is at least this.
            vocab_size: V of the lines before; None for the first.

        Raises:
            UserError: they are missing, damaged, of another shape or not finite (file:line is named).
        """
        if self.packed is None:
            raise UserError(
                f"{self.where}: teacher_logits_compressed is missing",
                "Give the teacher's logits in every line, or name the file as data.train_file and train a teacher.",
            )
        try:
            frame = base64.b64decode(self.packed, validate=True)
        except ValueError as fault:
            raise self._damaged(f"not base64 ({fault})") from None
        if self.shape is not None:
            rows, columns = self.shape
            if rows != tokens:
                raise UserError(
                    f"{self.where}: logits for {rows} target tokens, but the target has {tokens}",
                    "Name the tokenizer and the longest target (max_output_len) that the teacher had.",
                )
            self._check_vocabulary(columns, entries, vocab_size)
            largest = STORED.itemsize * tokens * columns
        else:
            largest = int(STORED.itemsize * tokens * (vocab_size or LARGEST_SURPLUS * entries))
        content = self._decompressed(frame, largest, tokens)
        columns, rest = divmod(len(content), STORED.itemsize * tokens)
        if rest or (self.shape is not None and columns != self.shape[1]):
            rows_of = "whole rows" if self.shape is None else f"rows of {self.shape[1]}"
            raise UserError(
                f"{self.where}: {len(content)} bytes are no {rows_of} of float16 logits for {tokens} target tokens",
                "Name the tokenizer and the longest target (max_output_len) that the teacher had.",
            )
        self._check_vocabulary(columns, entries, vocab_size)
        logits = np.frombuffer(content, STORED).reshape(tokens, columns)
        if not np.isfinite(logits).all():
            raise UserError(
                f"{self.where}: the logits hold NaN or infinity",
                "Run the teacher in float32 or bfloat16 (float16 overflows in T5) and write the file again.",
            )
        return logits

    def _check_vocabulary(self, columns: int, entries: int, vocab_size: int | None) -> None:
        if columns > max(LARGEST_SURPLUS * entries, entries + LARGEST_PADDING):
            raise UserError(
                f"{self.where}: {columns} logits for each target token, and the tokenizer has {entries} entries only",
                "Name the tokenizer that the teacher had, and store rows without padding.",
            )
        if columns < entries:
            raise UserError(
                f"{self.where}: {columns} logits for each target token, but the tokenizer has {entries} entries",
                "Name the tokenizer and the longest target (max_output_len) that the teacher had.",
            )
        if vocab_size is not None and columns != vocab_size:
            raise UserError(
                f"{self.where}: {columns} logits for each target token, but the lines before have {vocab_size}",
                "All lines have to come from one teacher.",
            )

    def _decompressed(self, frame: bytes, largest: int, tokens: int) -> bytes:
        """Return what the frame holds, which may be `largest` bytes at most."""
        try:
            declared = lz4.frame.get_frame_info(frame)["content_size"]
            if declared > LARGEST_RATIO * len(frame):
                raise self._damaged(f"declares {declared} bytes in a frame of {len(frame)}")
            if declared > largest:
                raise self._too_large(f"{declared} bytes", largest, tokens)
            decompressor = lz4.frame.LZ4FrameDecompressor()
            # A frame need not declare its size, hence the bound here too.
            content = bytes(decompressor.decompress(frame, max_length=min(largest, LARGEST_RATIO * len(frame))))
        except RuntimeError as fault:
            raise self._damaged(f"not a sound LZ4 frame ({fault})") from None
        if not decompressor.eof and not decompressor.needs_input:
            raise self._too_large("more", largest, tokens)
        if not decompressor.eof or decompressor.unused_data:
            raise self._damaged("the LZ4 frame is cut short, or something stands behind it")
        return content

    def _too_large(self, held: str, largest: int, tokens: int) -> UserError:
        return UserError(
            f"{self.where}: holds {held}, where float16 logits of {tokens} target tokens take {largest} bytes at most",
            "Store float16 without rows of padding, or name the tokenizer and the max_output_len that the teacher had.",
        )

    def _damaged(self, what: str) -> UserError:
        return UserError(f"{self.where}: teacher_logits_compressed: {what}", "Write the file again.")


def read_interchange(path: Path, *, strict: bool = True) -> Iterator[InterchangeLine]:
    """Yield the lines of an interchange file, one in memory at a time; blank lines are passed over.

    Args:
        path: the file.
        strict: refuse a line that is no JSON object; otherwise pass over it.

    Raises:
        UserError: the file is missing, or a line or a field of it is not of its form (file:line is named).
    """
    for number, raw in numbered_objects(path, "Name an existing JSONL file of teacher logits."):
        where = f"{path}:{number}"
        try:
            line = parse_object(raw)
        except ValueError as fault:
            if strict:
                raise UserError(
                    f"{where}: not a JSON object in UTF-8 ({fault})", "Give one JSON object a line."
                ) from None
            continue
        yield _parsed(line, where, line_id(line, path, number))


def _parsed(line: dict[str, Any], where: str, identity: str) -> InterchangeLine:
    assertion = line.get("assertion")
    dtype = line.get("teacher_logits_dtype", DTYPE)
    if dtype != DTYPE:
        raise UserError(f"{where}: teacher_logits_dtype is {dtype!r}, not {DTYPE!r}", "Store the logits as float16.")
    ids, shape = (_integers(line, name, where) for name in ("target_ids", "teacher_logits_shape"))
    if shape is not None and (len(shape) != 2 or min(shape) < 1):
        raise UserError(
            f"{where}: teacher_logits_shape is {shape}", "Give two numbers above 0: target tokens and vocabulary."
        )
    return InterchangeLine(
        where=where,
        id=identity,
        assertion=assertion if isinstance(assertion, str) else None,
        prediction=_text(line, "teacher_prediction", where),
        target_ids=ids,
        packed=_text(line, "teacher_logits_compressed", where),
        shape=shape,
        logprobs=line.get(LOGPROBS),
    )


def _text(line: dict[str, Any], name: str, where: str) -> str | None:
    value = line.get(name)
    if value is not None and not isinstance(value, str):
        raise UserError(f"{where}: {name} is not a string", "Correct the line.")
    try:
        # JSON can spell half of a surrogate pair, which has no UTF-8 form and could not be written again.
        _ = value is None or value.isascii() or value.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: {name} holds half of a surrogate pair", "Correct the line.") from None
    return value


def _integers(line: dict[str, Any], name: str, where: str) -> list[int] | None:
    value = line.get(name)
    if value is None:
        return None
    # JSON's true is an int to Python.
    if not (isinstance(value, list) and value and all(type(item) is int and 0 <= item < 2**31 for item in value)):
        raise UserError(f"{where}: {name} is not a list of whole numbers", "Correct the line.")
    return value
