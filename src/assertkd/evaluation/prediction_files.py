"""Predictions and references that come in files: JSONL by record id, or text with one assertion a line."""

import codecs
import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from assertkd.errors import UserError
from assertkd.evaluation.score import count_of
from assertkd.jsonl import LineError, check_length, encoded, numbered_lines, numbered_objects, parse_object
from assertkd.predictions import PASSED_THROUGH, Prediction
from assertkd.records import as_statement

PREDICTION, TEACHER_PREDICTION, REFERENCE = "prediction", "teacher_prediction", "reference"
"""Fields of a line of JSONL."""

log = logging.getLogger(__name__)


def with_predictions(
    examples: Sequence[Prediction], path: Path, limit: int | None = None, fields: Sequence[str] = (PREDICTION,)
) -> list[Prediction]:
    """Return the first `limit` examples with the predictions of a file.

    In JSONL a line has the example's `id`; lines of other ids are passed over. In text the lines are those of all
    examples, in their order; see `read_assertions`.

    Args:
        examples: in their order; only their `prediction` is replaced.
        path: JSONL if its name ends in `.jsonl` or its first line is a JSON object, otherwise text.
        limit: None for all.
        fields: of JSONL; the first that a line has is its prediction.

    Raises:
        UserError: the file is missing or empty, a line is bad, an example has no prediction, or the number of lines is
            not that of the examples.
    """
    wanted = list(examples[:limit])
    if not is_jsonl(path):
        texts = read_assertions(path)
        if len(texts) != len(examples):
            raise UserError(
                f"{path}: {_counted(len(texts), 'line')} for {_counted(len(examples), 'example')}",
                "Give one prediction a line, in the order of the records, or JSONL with the id of each.",
            )
        return [replace(one, prediction=text) for one, text in zip(wanted, texts, strict=False)]
    lines = read_json_lines(path, fields)
    if missing := [one.id for one in wanted if one.id not in lines]:
        raise UserError(
            f"{path}: has no prediction for {count_of(missing)}", "Give every record a line with its id and prediction."
        )
    if others := len(lines.keys() - {one.id for one in examples}):
        log.warning("%s: %s of other records are passed over", path, _counted(others, "prediction"))
    return [replace(one, prediction=lines[one.id].prediction) for one in wanted]


def check_predictions_file(path: Path, fields: Sequence[str] = (PREDICTION,)) -> None:
    """Refuse a file that holds no predictions, whatever they are on.

    Raises:
        UserError: as `with_predictions`.
    """
    if is_jsonl(path):
        read_json_lines(path, fields)
    else:
        read_assertions(path)


def read_references(path: Path) -> list[Prediction]:
    """Return an example for each line of a text file of references; its id is the line's number.

    Raises:
        UserError: the file is missing, empty or JSONL, or a line is blank or not UTF-8.
    """
    if is_jsonl(path):
        raise UserError(f"{path}: holds JSON", "References are text, one a line; JSONL is for --records.")
    references = read_assertions(path)
    if (blank := next((number for number, text in enumerate(references, start=1) if not text), None)) is not None:
        raise UserError(f"{path}:{blank}: no reference", "Give every line an assertion, here and in the predictions.")
    return [Prediction(str(number), "", text) for number, text in enumerate(references, start=1)]


def read_own_references(path: Path) -> list[Prediction]:
    """Return the predictions of a JSONL file whose lines have `reference` too.

    Raises:
        UserError: the file is missing or empty, or a line is bad.
    """
    if not is_jsonl(path):
        raise UserError(
            f"{path}: text has no references", "Name them with --references, or the records with --records."
        )
    examples = list(read_json_lines(path, [PREDICTION]).values())
    if without := [one.id for one in examples if not one.reference]:
        raise UserError(
            f"{path}: has no reference for {count_of(without)}",
            "Give every line a reference, or name the records with --records.",
        )
    return examples


def is_jsonl(path: Path) -> bool:
    """Return whether a file holds JSONL: by its name, or else by its first line.

    Raises:
        UserError: there is no such file, or it is empty.
    """
    first = next(numbered_lines(path, "Name an existing file."), None)
    if first is None:
        raise UserError(f"{path}: is empty", "Give one prediction a line.")
    if path.suffix == ".jsonl":
        return True
    try:
        parse_object(first[1])
    except ValueError:
        # An array is JSON too, and refused where its lines are read.
        line = first[1].removeprefix(codecs.BOM_UTF8).strip()
        return re.match(rb"\[\s*(\{|$)", line) is not None or _is_array(line)
    return True


def _is_array(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return False


def read_json_lines(path: Path, fields: Sequence[str]) -> dict[str, Prediction]:
    """Return the lines of a JSONL file by id; blank lines are passed over, and a line without reference has "".

    Raises:
        UserError: a line is no JSON object with `id` and one of the fields, or an id comes twice.
    """
    found: dict[str, Prediction] = {}
    for number, raw in numbered_objects(path, "Name an existing file."):
        try:
            line = parse_object(raw)
            encoded(json.dumps(line, ensure_ascii=False))
            if line.get("id") is None:
                raise ValueError("id is missing")
            texts = [line[name] for name in fields if line.get(name) is not None]
            if not texts:
                raise ValueError(f"{' or '.join(fields)} is missing")
            reference = line.get(REFERENCE) or ""
            if not (isinstance(texts[0], str) and isinstance(reference, str)):
                raise ValueError(f"{' or '.join([*fields, REFERENCE])} is not a text")
            if str(line["id"]) in found:
                raise ValueError(f"the id {line['id']!r} comes a second time")
        except ValueError as fault:
            raise UserError(
                f"{path}:{number}: {fault}", f'Give one JSON object a line: {{"id": …, "{fields[0]}": …}}.'
            ) from None
        about = {name: line[name] for name in PASSED_THROUGH if line.get(name) is not None}
        found[str(line["id"])] = Prediction(str(line["id"]), texts[0], reference, about)
    if not found:
        raise UserError(f"{path}: holds no predictions", "Give one JSON object a line.")
    return found


def read_assertions(path: Path) -> list[str]:
    """Return the lines of a text file, blank ones too, each as a statement.

    Such files have an assertion without its semicolon on each line, as tokens with blanks between them. A line that
    ends in neither `;` nor `}` gets its semicolon, without which it is no Java.

    Raises:
        UserError: the file is missing, or a line is not UTF-8.
    """
    return list(map(as_statement, _decoded(path)))


def _decoded(path: Path) -> Iterable[str]:
    for number, raw in numbered_lines(path, "Name an existing file."):
        try:
            check_length(raw)
            if b"\0" in raw:
                raise UserError(f"{path}:{number}: holds the character NUL", "Remove it, or save the file as UTF-8.")
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except LineError as fault:
            raise UserError(f"{path}:{number}: {fault}", "Name another file.") from None
        except UnicodeDecodeError:
            raise UserError(f"{path}:{number}: not UTF-8", "Save the file as UTF-8.") from None


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
