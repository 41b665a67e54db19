"""Files are whole or absent."""

import hashlib
import math
from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.files import csv_cell, read_json, sha256_of_file, text_of_cell, write_json, write_text, written_whole


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/file.txt"
    with written_whole(path) as handle:
        handle.write("one\r\ntwo\nü")
        handle.flush()
        assert not path.exists()
    assert path.read_bytes() == "one\r\ntwo\nü".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_nothing_behind(tmp_path: Path, fault: type[BaseException]) -> None:
    path = tmp_path / "file.txt"
    with pytest.raises(fault), written_whole(path) as handle:
        handle.write("half")
        handle.flush()
        raise fault
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_raises_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with written_whole(path, "wb") as handle:
        handle.write(b"\x00old")
    with pytest.raises(ValueError, match="stop"), written_whole(path, "wb") as handle:
        handle.write(b"new")
        raise ValueError("stop")
    assert path.read_bytes() == b"\x00old"
    assert list(tmp_path.iterdir()) == [path]
    write_text(path, "new")
    assert path.read_bytes() == b"new"


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None, True], "a": "ü☕"}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "ü☕" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_json_has_no_nan(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "no such file"), (b"{", "not valid JSON"), (b"\xff", "not valid JSON")]
)
def test_json_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=problem) as caught:
        read_json(path)
    assert caught.value.problem.startswith(f"{path}: ")


def test_sha256(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "x").write_bytes(content)
    assert sha256_of_file(tmp_path / "x") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("'=1", "''=1"),
        ("'quoted'", "'quoted'"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula_and_its_text_comes_back(text: str, cell: str) -> None:
    assert csv_cell(text) == cell
    assert text_of_cell(cell) == text
