"""Records without an assertion: cleaned, and kept apart from the splits."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assertkd.corpus.params import PrepareCorpusParams, PrepareUnlabelledParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.corpus.prepare_unlabelled import prepare_unlabelled
from assertkd.errors import UserError
from assertkd.records import MARKER, read_records, write_records
from assertkd.settings import DataSettings, TokenizerSettings, load_run

LIMITS: dict[str, Any] = {"on_bad_record": "reject", "max_characters": 1000, "max_input_len": 64, "max_output_len": 16}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus of six projects, split by project."""
    lines = [
        {
            "id": f"r{n}",
            "focal_method": f"int f{n}() {{ return a{n}; }}",
            "test_method": f"void t{n}() {{ f{n}(); {MARKER}\n}}",
            "assertion": f"assertEquals(a{n}, f{n}());",
            "project": f"p{n % 6}",
        }
        for n in range(48)
    ]
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = DataSettings(
        source="files", train_file=str(tmp_path / "records.jsonl"), test_share=0.2, validation_share=0.2
    )
    tokenizer = TokenizerSettings(vocab_size=300)
    prepare_corpus(PrepareCorpusParams(data=data, tokenizer=tokenizer, teacher="scratch"), tmp_path / "corpus")
    return tmp_path / "corpus"


def write(corpus: Path, *lines: dict[str, Any] | str) -> Path:
    path = corpus.parent / "more.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def fresh(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "focal_method": f"long g{number}() {{ return {number}; }}",
        "test_method": f"void u{number}() {{ }}",
    } | fields


def kept(corpus: Path, path: Path, *apart: str, **changes: Any) -> list[str]:
    prepare_unlabelled(PrepareUnlabelledParams(projects_apart=apart, **LIMITS | changes), path, corpus)
    return [record.id for record in read_records(corpus / "unlabelled.jsonl")]


def reasons(corpus: Path) -> dict[str, int]:
    quality = json.loads((corpus / "unlabelled_quality.json").read_text())
    return {reason: entry["count"] for reason, entry in quality["rejected"].items()}


def test_records_need_no_assertion_and_lose_one(corpus: Path) -> None:
    path = write(corpus, fresh(0), fresh(1, assertion="assertTrue(secret);", id="named"))
    assert kept(corpus, path) == ["more:1", "named"]
    records = list(read_records(corpus / "unlabelled.jsonl"))
    assert [record.assertion for record in records] == ["", ""]
    assert all(record.test_method.count(MARKER) == 1 for record in records)
    assert "secret" not in (corpus / "unlabelled.jsonl").read_text()
    quality = json.loads((corpus / "unlabelled_quality.json").read_text())
    assert (quality["read"], quality["kept"], quality["rejected"]) == ({str(path): 2}, 2, {})
    assert quality["input_tokens"]["max"] <= 64


def test_bad_records_are_rejected_with_their_place(corpus: Path) -> None:
    path = write(corpus, "not json", fresh(0), {"focal_method": "int f()"}, fresh(1, test_method=" "))
    assert kept(corpus, path) == ["more:2"]
    rejected = [json.loads(line) for line in (corpus / "unlabelled_rejected.jsonl").read_text().splitlines()]
    assert [(one["file"], one["line"], one["reason"]) for one in rejected] == [
        (str(path), 1, "not JSON"),
        (str(path), 3, "test_method is missing"),
        (str(path), 4, "test_method is blank"),
    ]
    with pytest.raises(UserError, match=r"more\.jsonl:1: not JSON"):
        kept(corpus, path, on_bad_record="error")


def test_what_stands_in_a_split_goes(corpus: Path) -> None:
    splits = {name: next(read_records(corpus / f"{name}.jsonl")) for name in ("train", "validation", "test")}
    lines = [
        fresh(0),
        fresh(0, id="again"),
        # The same method up to literals and layout, under another test.
        fresh(1, focal_method=splits["test"].focal_method + "  // seen"),
        fresh(2, focal_method=splits["validation"].focal_method.replace(" ", "\n")),
        # A training record's method may be tested otherwise, but not the same.
        fresh(3, focal_method=splits["train"].focal_method, id="other test"),
        {"focal_method": splits["train"].focal_method, "test_method": splits["train"].test_method},
    ]
    assert kept(corpus, write(corpus, *lines)) == ["more:1", "other test"]
    assert reasons(corpus) == {
        "duplicate of an earlier record": 1,
        "same focal method up to literals as in test": 1,
        "same focal method up to literals as in validation": 1,
        "same focal method and test as in train": 1,
    }


def test_projects_that_were_split_off_stay_apart(corpus: Path) -> None:
    projects = {name: next(read_records(corpus / f"{name}.jsonl")).project for name in ("train", "validation", "test")}
    path = write(corpus, *(fresh(n, id=name, project=project) for n, (name, project) in enumerate(projects.items())))
    assert kept(corpus, path, "test", "validation") == ["train"]
    assert reasons(corpus) == {"same project as in test": 1, "same project as in validation": 1}
    assert kept(corpus, path, "test") == ["train", "validation"]
    assert kept(corpus, path) == ["train", "validation", "test"]


def test_ids_stay_unique_within_the_run(corpus: Path) -> None:
    taken = next(read_records(corpus / "train.jsonl")).id
    assert kept(corpus, write(corpus, fresh(0, id=taken), fresh(1, id="free"))) == [f"{taken}@more:1", "free"]
    assert json.loads((corpus / "unlabelled_quality.json").read_text())["renamed_ids"] == 1


def test_a_file_of_which_nothing_is_left_is_refused(corpus: Path) -> None:
    record = next(read_records(corpus / "test.jsonl"))
    path = write(corpus, fresh(0, focal_method=record.focal_method))
    with pytest.raises(UserError, match="no unlabelled record is left; rejected: 1 same focal method"):
        kept(corpus, path)
    with pytest.raises(UserError, match=r"none\.jsonl: no such file"):
        kept(corpus, corpus / "none.jsonl")


def test_nothing_of_a_test_class_of_the_test_is_used_where_the_corpus_was_split_by_it(corpus: Path) -> None:
    test = next(read_records(corpus / "test.jsonl"))
    records = list(read_records(corpus / "test.jsonl"))
    write_records(corpus / "test.jsonl", [replace(record, extra={"test_file": "ATest.java"}) for record in records])
    same = fresh(1, project=test.project, test_file="ATest.java")
    other = fresh(2, project=test.project, test_file="BTest.java")
    unnamed = fresh(3, project=test.project)
    path = write(corpus, same, other, unnamed)
    assert len(kept(corpus, path, test_classes_apart=("test",))) == 2
    assert reasons(corpus) == {"same test class as in test": 1}
    with pytest.raises(UserError, match="3 same project as in test"):
        kept(corpus, path, "test")


@pytest.mark.parametrize(
    ("split_by", "projects", "classes"),
    [("auto", ("test", "validation"), ()), ("test_class", (), ("test", "validation")), ("record", (), ())],
)
def test_what_is_kept_apart_is_what_the_corpus_was_split_by(
    split_by: str, projects: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    run = load_run({"run": "r", "runs": {"r": {"data": {"split_by": split_by}}}, "variants": {}})
    params = PrepareUnlabelledParams.from_run(run)
    assert (params.projects_apart, params.test_classes_apart) == (projects, classes)
