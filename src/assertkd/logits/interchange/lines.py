"""The interchange form of a teacher's logits: JSONL, one example a line, as other pipelines read and write it.

A line is the record's own fields and

    teacher_logits_compressed   base64 of one LZ4 frame that holds the logits: float16, little-endian, row by row (T, V)
    teacher_logits_shape        [T, V]
    teacher_logits_dtype        "float16"
    target_ids                  the T token ids that the teacher was fed, the end of sequence last
    teacher_prediction          what the teacher writes itself

Of these only `teacher_logits_compressed` is needed. A line without shape and `target_ids` holds the logits along its
`assertion`: T is the number of its tokens, and V follows from the size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.jsonl import numbered_lines, parse_object
from assertkd.logits.interchange.packed_logits import DTYPE, Float16, PackedLogits, pack_logits
from assertkd.records import Record, line_id


@dataclass(frozen=True, slots=True)
class InterchangeLine:
    """One line; the logits are still packed.

    Attributes:
        where: its file and line, for messages.
        id: its own, or one made of the file's name and the line's number.
        assertion: the gold assertion; None where there is none, or no text.
        prediction: the teacher's, or None.
        target_ids: of the logits' rows, or None.
        packed: the logits, or None.
    """

    where: str
    id: str
    assertion: str | None
    prediction: str | None
    target_ids: list[int] | None
    packed: PackedLogits | None

    def logits(self, tokens: int, entries: int, vocab_size: int | None = None) -> Float16:
        """Return the logits, (T, V) float16 (see `PackedLogits.unpacked`).

        Raises:
            UserError: they are missing, damaged or of another shape (file:line is named).
        """
        if self.packed is None:
            raise UserError(
                f"{self.where}: teacher_logits_compressed is missing",
                "Give the teacher's logits in every line, or name the file as data.train_file and train a teacher.",
            )
        return self.packed.unpacked(tokens, entries, vocab_size)


def interchange_line(
    record: Record, target_ids: Sequence[int], logits: Float16, prediction: str | None
) -> dict[str, Any]:
    """Return a record and what the teacher knew of it as one JSON object.

    Args:
        record: the record.
        target_ids: the T token ids of the target that the logits are for.
        logits: (T, V), finite.
        prediction: what the teacher writes itself; None leaves the field out.
    """
    line = record.as_dict() | {
        "teacher_logits_compressed": pack_logits(logits),
        "teacher_logits_shape": list(logits.shape),
        "teacher_logits_dtype": DTYPE,
        "target_ids": [int(token) for token in target_ids],
    }
    return line if prediction is None else line | {"teacher_prediction": prediction}


def read_interchange(path: Path, *, strict: bool = True) -> Iterator[InterchangeLine]:
    """Yield the lines of an interchange file, one in memory at a time; blank lines are passed over.

    Args:
        path: the file.
        strict: refuse a line that is no JSON object; otherwise pass over it.

    Raises:
        UserError: the file is missing, or a line or a field of it is not of its form (file:line is named).
    """
    for number, raw in numbered_lines(path, "Name an existing JSONL file of teacher logits."):
        if not raw.strip():
            continue
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
    packed = _text(line, "teacher_logits_compressed", where)
    return InterchangeLine(
        where=where,
        id=identity,
        assertion=assertion if isinstance(assertion, str) else None,
        prediction=_text(line, "teacher_prediction", where),
        target_ids=ids,
        packed=None if packed is None else PackedLogits(where, packed, None if shape is None else (shape[0], shape[1])),
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
