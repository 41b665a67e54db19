"""Records as JSONL: what is written is read again, and what cannot be read is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertkd.errors import UserError
from assertkd.records import MARKER, NAMED_FIELDS, Record, read_records, write_records

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EXTRA = st.dictionaries(
    TEXT.filter(lambda name: name not in NAMED_FIELDS), TEXT | st.integers() | st.lists(TEXT), max_size=3
)
RECORDS = st.lists(st.builds(Record, TEXT, TEXT, TEXT, TEXT, TEXT | st.none(), EXTRA), max_size=5)


@given(RECORDS)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> None:
    path = tmp_path_factory.getbasetemp() / "records.jsonl"
    assert write_records(path, records) == len(records)
    assert list(read_records(path)) == records
    assert path.read_bytes().count(b"\n") == len(records)


def test_a_record_is_one_flat_object() -> None:
    record = Record("i", "f", MARKER, "a", None, {"class_source": "c"})
    assert record.as_dict() == {
        "id": "i", "focal_method": "f", "test_method": MARKER, "assertion": "a", "class_source": "c",
    }  # fmt: skip
    assert Record("i", "f", "t", "a", "p").as_dict()["project"] == "p"


@pytest.mark.parametrize("bad", [b"{", b"[1, 2]", b"3", b'{"id": "x"}', b"", b"\xff"])
def test_a_bad_line_is_named(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "records.jsonl"
    write_records(path, [Record("a", "f", "t", "x"), Record("b", "f", "t", "x")])
    path.write_bytes(path.read_bytes() + bad + b"\n")
    records = read_records(path)
    assert [next(records).id, next(records).id] == ["a", "b"]
    with pytest.raises(UserError) as caught:
        next(records)
    assert caught.value.problem.startswith(f"{path}:3: not a record (")
    assert "prepare_corpus" in caught.value.remedy


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl: no such file"):
        next(read_records(tmp_path / "none.jsonl"))
