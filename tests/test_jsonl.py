"""Lines of a JSONL file, read from their places."""

import json
from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.jsonl import LineIndex

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
