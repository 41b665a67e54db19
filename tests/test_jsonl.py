"""JSONL: what is written is read again, in order or by id, and every fault names its line."""

import gzip
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assertkd import jsonl
from assertkd.errors import UserError
from assertkd.jsonl import (
    LineError,
    LineIndex,
    numbered_lines,
    numbered_objects,
    parse_object,
    read_lines,
    write_lines,
)

LINES = [{"id": f"r{n}", "text": "grüße\n" * n, "split": "train" if n % 3 else "test"} for n in range(7)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES), encoding="utf-8")
    return path


def test_lines_are_read_in_any_order(path: Path) -> None:
    index = LineIndex(path, "prepare_corpus")
    assert index.ids == [line["id"] for line in LINES]
    assert len(index) == 7
    assert list(index.lines(["r5", "r0", "r6", "r5"])) == [LINES[5], LINES[0], LINES[6], LINES[5]]


def test_only_wanted_lines_count(path: Path) -> None:
    index = LineIndex(path, "prepare_corpus", lambda line: line["split"] == "train")
    assert index.ids == ["r1", "r2", "r4", "r5"]
    assert "r4" in index
    assert "r3" not in index
    assert list(index.lines(["r4"])) == [LINES[4]]


@pytest.mark.parametrize("bad", ["not json", "[1]", '{"text": ""}', '{"id": "r3"}'])
def test_a_bad_line_is_named(path: Path, bad: str) -> None:
    with path.open("a", encoding="utf-8") as handle:
        handle.write(bad + "\n")
    with pytest.raises(UserError, match=r"lines\.jsonl:8: ") as caught:
        LineIndex(path, "prepare_corpus")
    assert "rerun `prepare_corpus`" in caught.value.remedy


def test_a_file_that_changed_is_noticed(path: Path) -> None:
    index = LineIndex(path, "prepare_corpus")
    path.write_text("\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UserError, match="has changed since training began"):
        list(index.lines(["r5"]))


def test_a_missing_file_names_its_rule(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file") as caught:
        LineIndex(tmp_path / "none.jsonl", "compress_logits")
    assert caught.value.remedy == "Run `compress_logits` first."


def read_all(path: Path) -> list[dict[str, object]]:
    return list(read_lines(path, lambda line: {"id": line["id"], **line}, what="a record", rule="prepare_corpus"))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new/lines.jsonl"
    assert write_lines(path, iter(LINES)) == 7
    assert read_all(path) == LINES
    assert path.read_bytes().count(b"\n") == 7
    assert "grüße" in path.read_text(encoding="utf-8"), "text is stored as such"
    assert write_lines(path, ()) == 0
    assert read_all(path) == []


def test_a_fault_while_writing_leaves_the_former_file(path: Path) -> None:
    def faulty() -> Iterator[dict[str, int]]:
        yield {"id": 1}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_lines(path, faulty())
    assert read_all(path) == LINES
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "nested deeper than 100"),
        (b"\xff", "not UTF-8"),
        (b"[1]", "not a JSON object"),
        (b'{"text": ""}', "KeyError('id')"),
    ],
)
def test_a_bad_line_of_a_stage_names_its_place_and_rule(path: Path, bad: bytes, reason: str) -> None:
    path.write_bytes(path.read_bytes() + bad + b"\n")
    lines = read_lines(path, lambda line: line["id"], what="a record", rule="prepare_corpus")
    assert [next(lines) for _ in LINES] == [line["id"] for line in LINES], "the lines before it are read"
    with pytest.raises(UserError) as caught:
        next(lines)
    assert caught.value.problem.startswith(f"{path}:8: not a record (")
    assert reason in caught.value.problem
    assert caught.value.remedy == "Move the file away and rerun `prepare_corpus`."


def test_the_words_of_a_line_error_stand_behind_the_place(path: Path) -> None:
    def refuse(line: dict[str, object]) -> None:
        raise LineError(f"{line['id']} is not welcome")

    with pytest.raises(UserError) as caught:
        list(read_lines(path, refuse, what="a record", rule="prepare_corpus"))
    assert caught.value.problem == f"{path}:1: r0 is not welcome"


def test_a_missing_file_has_the_callers_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file") as caught:
        list(numbered_lines(tmp_path / "none.jsonl", "Name another file."))
    assert caught.value.remedy == "Name another file."


def test_lines_are_numbered_from_one_blank_ones_included(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\n\nb")
    assert list(numbered_lines(tmp_path / "file", "")) == [(1, b"a\n"), (2, b"\n"), (3, b"b")]


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_object(b'\xef\xbb\xbf{"id": "\xc3\xbc"}\r\n') == {"id": "ü"}


def test_a_line_longer_than_is_read_is_named_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 1024**2)
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"id": "a"}\n{"id": "' + b"b" * (5 * 1024**2) + b'"}\n{"id": "c"}\n')
    (_, first), (number, long), (_, last) = numbered_lines(path, "")
    assert (first, number, last) == (b'{"id": "a"}\n', 2, b'{"id": "c"}\n')
    assert len(long) == 1024**2 + 1, "no more than that is in memory"
    with pytest.raises(ValueError, match="longer than 1 MiB"):
        parse_object(long)
    with pytest.raises(UserError, match=r"lines\.jsonl:2: .*longer than 1 MiB"):
        LineIndex(path, "prepare_corpus")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"id": 1}\n'.encode("utf-16"), "is UTF-16"),
        ('{"id": 1}\n'.encode("utf-32"), "is UTF-32"),
        (gzip.compress(b'{"id": 1}\n', mtime=0), "is compressed (gzip)"),
        (b"PK\x03\x04rest", "is a ZIP archive"),
    ],
)
def test_a_file_that_is_no_text_in_utf_8_says_what_it_is(path: Path, content: bytes, what: str) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{path}: {what}, not text in UTF-8")):
        list(numbered_lines(path, ""))


@pytest.mark.parametrize("content", [b'[{"id": 1}]', b'\n \n[\n  {"id": 1}\n]\n', b'\xef\xbb\xbf[{"id": 1}]'])
def test_a_json_array_is_refused_as_a_whole(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"lines\.jsonl:\d: holds a JSON array") as caught:
        list(numbered_objects(path, ""))
    assert "jq -c '.[]'" in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": NaN}', "holds NaN"),
        (b'{"id": {"a": 1, "b": 2, "a": 3}}', "the key 'a' comes twice"),
        (b'{"id": ' + b"1" * 5000 + b"}", "more digits"),
        (b'{"id": ' + b'{"a": ' * 100 + b"1" + b"}" * 101, "nested deeper than 100"),
    ],
)
def test_what_json_readers_take_differently_is_refused(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_object(line)


def test_a_key_that_comes_twice_among_many_is_found_at_once() -> None:
    many = ", ".join(f'"{number}": 1' for number in range(60_000))
    start = time.process_time()
    with pytest.raises(ValueError, match="the key '59999' comes twice"):
        parse_object(f'{{{many}, "59999": 1}}'.encode())
    assert time.process_time() - start < 5, "looking at all keys before each takes a minute"


def test_what_is_nested_less_deep_is_read() -> None:
    assert parse_object(b'{"id": ' + b"[" * 99 + b"]" * 99 + b"}")
    assert parse_object(b'\xef\xbb\xbf{"id": 1}\r\n') == {"id": 1}


def test_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_lines(tmp_path / "lines.jsonl", [{"id": float("nan")}])
