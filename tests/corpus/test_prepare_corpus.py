"""The corpus stage: what becomes of every record, and that it comes out the same twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from assertkd.corpus.params import PrepareCorpusParams, Reading
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.corpus.record_audit import RecordAudit
from assertkd.errors import UserError
from assertkd.records import MARKER, Record, read_records
from assertkd.settings import DataSettings, TokenizerSettings
from assertkd.settings.data import EmbeddedCorpusSettings

SPLITS = ("train", "validation", "test")
SCRATCH_TOKENIZER: dict[str, Any] = {"tokenizer": TokenizerSettings(vocab_size=300), "teacher": "scratch"}


def line(number: int, **fields: Any) -> dict[str, Any]:
    """Return a raw line with a focal method of its own."""
    return {
        "id": f"i{number}",
        "focal_method": f"int f{number}() {{ return x{number}; }}",
        "test_method": f"void t() {{ {MARKER} }}",
        "assertion": f"assertEquals({number}, f{number}());",
    } | fields


def written(path: Path, lines: list[Any]) -> str:
    """Write lines, bytes as they are and others as JSON; return the path as the config gives it."""
    raw = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in lines]
    path.write_bytes(b"".join(item + b"\n" for item in raw))
    return str(path)


def scratch(data: DataSettings) -> PrepareCorpusParams:
    """Return params with a small tokenizer trained on the records."""
    return PrepareCorpusParams(data=data, tokenizer=TokenizerSettings(vocab_size=300), teacher="scratch")


def prepared(folder: Path, data: DataSettings) -> tuple[dict[str, Any], dict[str, list[Record]]]:
    """Return the account and the records of each split that were written to `folder`."""
    quality = prepare_corpus(scratch(data), folder)
    assert quality == json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    splits = {name: list(read_records(folder / f"{name}.jsonl")) for name in SPLITS}
    assert quality["kept"] == {name: len(records) for name, records in splits.items()}
    rejected = [json.loads(text) for text in (folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    counts: dict[str, list[str]] = {}
    for entry in rejected:
        counts.setdefault(entry["reason"], []).append(f"{entry['file']}:{entry['line']}")
    assert {reason: {"count": len(where), "where": where[:20]} for reason, where in counts.items()} == quality[
        "rejected"
    ]
    assert sum(quality["read"].values()) == sum(quality["kept"].values()) + len(rejected), (
        "every record is accounted for"
    )
    return quality, splits


@pytest.fixture
def three_files(tmp_path: Path) -> dict[str, Any]:
    return {
        "source": "files",
        "train_file": written(tmp_path / "train.jsonl", [line(n) for n in range(20)]),
        "validation_file": written(tmp_path / "validation.jsonl", [line(n) for n in range(20, 25)]),
        "test_file": written(tmp_path / "test.jsonl", [line(n) for n in range(25, 30)]),
    }


def test_the_embedded_corpus_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    data = DataSettings(embedded=EmbeddedCorpusSettings(records=60))
    quality, splits = prepared(tmp_path / "one", data)
    prepared(tmp_path / "two", data)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert {"train.jsonl", "quality.json", "rejected.jsonl", "tokenizer/tokenizer.json"} <= {
        str(path) for path in files
    }
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path
    assert quality["read"] == {"embedded": 60}
    projects = [{record.project for record in splits[name]} for name in SPLITS]
    assert sum(map(len, projects)) == len(set.union(*projects)), "no project is on two sides"
    assert quality["splits"]["train"]["projects"] == len(projects[0])


def test_three_files(tmp_path: Path, three_files: dict[str, Any]) -> None:
    quality, splits = prepared(tmp_path / "out", DataSettings(**three_files))
    assert quality["rejected"] == {}
    assert quality["read"] == {
        three_files["test_file"]: 5,
        three_files["validation_file"]: 5,
        three_files["train_file"]: 20,
    }
    assert [r.id for r in splits["test"]] == [f"i{n}" for n in range(25, 30)]
    assert [r.id for r in splits["validation"]] == [f"i{n}" for n in range(20, 25)]
    train = [r.id for r in splits["train"]]
    assert sorted(train) == sorted(f"i{n}" for n in range(20))
    assert train != [f"i{n}" for n in range(20)], "the training records are shuffled"
    entries = len(AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer"))
    assert quality["tokenizer"] == {"name": "scratch", "entries": entries}
    assert quality["splits"]["test"]["assertion_kinds"] == {"assertEquals": 5}


def test_what_is_not_given_is_split_off(tmp_path: Path, three_files: dict[str, Any]) -> None:
    three_files["test_file"] = None
    _, splits = prepared(tmp_path / "out", DataSettings(**three_files, test_share=0.25))
    assert [len(splits[name]) for name in SPLITS] == [15, 5, 5]
    assert {r.id for r in splits["validation"]} == {f"i{n}" for n in range(20, 25)}


def test_files_of_a_given_teacher_are_taken_whatever_the_source(tmp_path: Path) -> None:
    lines = [line(n, teacher_logits_compressed="AAAA", teacher_prediction="x") for n in range(20)]
    lines[3] |= {"assertion": None, "assertions": ["first();", "second();"]}
    del lines[3]["assertion"]
    files = {
        "train": written(tmp_path / "train.jsonl", lines),
        "validation": written(tmp_path / "validation.jsonl", [line(n) for n in range(20, 25)]),
    }
    quality, splits = prepared(tmp_path / "out", DataSettings(distillation_jsonl=files, test_share=0.25))
    assert quality["read"] == {files["validation"]: 5, files["train"]: 20}
    assert [len(splits[name]) for name in SPLITS] == [15, 5, 5]
    records = {record.id: record for name in SPLITS for record in splits[name]}
    assert not any(record.extra for record in records.values())
    assert records["i3"].assertion == "first();\nsecond();", "the logits are for both"


def test_splits_are_by_project_where_every_record_names_one(tmp_path: Path) -> None:
    lines = [line(n, project=f"p{n % 10}") for n in range(60)]
    data = {"source": "files", "train_file": written(tmp_path / "a.jsonl", lines)}
    _, splits = prepared(tmp_path / "out", DataSettings(**data))
    assert [len({r.project for r in splits[name]}) for name in SPLITS] == [8, 1, 1]
    data["train_file"] = written(tmp_path / "b.jsonl", [*lines, line(60)])
    _, splits = prepared(tmp_path / "record", DataSettings(**data))
    assert len({r.project for r in splits["test"]}) > 1
    with pytest.raises(UserError, match=r"data\.split_by is `project`, but record 'i60' names no project"):
        prepare_corpus(scratch(DataSettings(**data, split_by="project")), tmp_path / "project")


def test_bad_records_are_counted_with_their_place(tmp_path: Path, three_files: dict[str, Any]) -> None:
    bad = [b"{", line(0), b"", b"[]", line(0, assertion=" "), line(1), b"{"]
    three_files["train_file"] = name = written(tmp_path / "bad.jsonl", bad)
    quality, splits = prepared(tmp_path / "out", DataSettings(**three_files))
    assert quality["rejected"] == {
        "not JSON": {"count": 2, "where": [f"{name}:1", f"{name}:7"]},
        "not a JSON object": {"count": 1, "where": [f"{name}:4"]},
        "assertion is blank": {"count": 1, "where": [f"{name}:5"]},
    }
    assert quality["read"][name] == 6
    assert len(splits["train"]) == 2


def test_a_bad_record_can_stop_the_run(tmp_path: Path, three_files: dict[str, Any]) -> None:
    three_files["train_file"] = name = written(tmp_path / "bad.jsonl", [line(0), b"", line(1, focal_method=3)])
    with pytest.raises(UserError) as caught:
        prepare_corpus(scratch(DataSettings(**three_files, on_bad_record="error")), tmp_path / "out")
    assert caught.value.problem.startswith(f"{name}:3: focal_method is not a string: {{")
    assert not (tmp_path / "out").exists()


def test_files_of_bad_records_alone_are_refused(tmp_path: Path, three_files: dict[str, Any]) -> None:
    three_files["validation_file"] = name = written(tmp_path / "bad.jsonl", [b"{", b"{", b"1"])
    with pytest.raises(UserError, match="all 3 records are bad: 2 not JSON; 1 not a JSON object") as caught:
        prepare_corpus(scratch(DataSettings(**three_files)), tmp_path / "out")
    assert caught.value.problem.startswith(name)


def test_equal_ids_are_renamed_and_counted(tmp_path: Path, three_files: dict[str, Any]) -> None:
    lines = [line(0), line(1, id="i0"), b"", line(2, id="i20"), line(3)]
    three_files["train_file"] = written(tmp_path / "again.jsonl", lines)
    quality, splits = prepared(tmp_path / "out", DataSettings(**three_files))
    assert quality["renamed_ids"] == 2
    assert {r.id for r in splits["train"]} == {"i0", "i0@again:2", "i20@again:4", "i3"}


def test_ids_are_unique_over_files_of_one_name(tmp_path: Path) -> None:
    data: dict[str, Any] = {"source": "files"}
    for number, name in enumerate(SPLITS):
        (tmp_path / name).mkdir()
        lines = [{k: v for k, v in line(number).items() if k != "id"}]
        data[f"{name}_file"] = written(tmp_path / name / "data.jsonl", lines)
    quality, splits = prepared(tmp_path / "out", DataSettings(**data))
    assert len({r.id for records in splits.values() for r in records}) == 3
    assert quality["renamed_ids"] == 2


def test_one_id_in_many_files_of_one_name_stays_short(tmp_path: Path) -> None:
    audit = RecordAudit()
    reading = Reading(multiple="join")
    for number in range(300):
        (tmp_path / str(number)).mkdir()
        audit.read_all(Path(written(tmp_path / str(number) / "0.jsonl", [line(number, id="i")])), reading)
    assert list(audit.places) == ["i", "i@0:1", *(f"i@0:1~{number}" for number in range(1, 299))]
    assert audit.renamed_ids == 299


def test_duplicates_are_dropped_and_their_lines_named(tmp_path: Path, three_files: dict[str, Any]) -> None:
    several = line(1, assertions=["a();", "b();"])
    del several["assertion"]
    lines = [several, b"", line(2), line(2, id="other", assertion=" assertEquals(2,  f2());"), line(3)]
    three_files["train_file"] = name = written(tmp_path / "twice.jsonl", lines)
    quality, splits = prepared(tmp_path / "out", DataSettings(**three_files))
    assert quality["rejected"] == {"duplicate of an earlier record": {"count": 1, "where": [f"{name}:4"]}}
    assert {r.id for r in splits["train"]} == {"i1#0", "i1#1", "i2", "i3"}


def test_leaks_are_dropped_from_the_side_that_trains(tmp_path: Path, three_files: dict[str, Any]) -> None:
    literals = "int f{0}() {{ /* {1} */ return x{0} + {1}; }}"
    in_test, in_validation, in_both = (literals.format(n, n) for n in (100, 200, 300))
    like_test, like_validation, like_both = (literals.format(n, n + 1) for n in (100, 200, 300))
    three_files["test_file"] = written(
        tmp_path / "test.jsonl", [line(90, focal_method=in_test), line(91), line(92, focal_method=in_both)]
    )
    three_files["validation_file"] = validation = written(
        tmp_path / "validation.jsonl",
        [line(80, focal_method=in_validation), line(91, id="v1"), line(82, focal_method=like_both), line(83)],
    )
    three_files["train_file"] = train = written(
        tmp_path / "train.jsonl",
        [
            line(70, focal_method=like_test),
            line(71, focal_method=like_validation),
            line(91, id="t1"),
            line(83, id="t2"),
            line(74),
        ],
    )
    quality, splits = prepared(tmp_path / "out", DataSettings(**three_files))
    assert {name: [r.id for r in splits[name]] for name in SPLITS} == {
        "test": ["i90", "i91", "i92"],
        "validation": ["i80", "i83"],
        "train": ["i74"],
    }
    near = "same focal method up to literals as in"
    assert quality["rejected"] == {
        "validation: same record as in test": {"count": 1, "where": [f"{validation}:2"]},
        f"validation: {near} test": {"count": 1, "where": [f"{validation}:3"]},
        "train: same record as in test": {"count": 1, "where": [f"{train}:3"]},
        f"train: {near} test": {"count": 1, "where": [f"{train}:1"]},
        "train: same record as in validation": {"count": 1, "where": [f"{train}:4"]},
        f"train: {near} validation": {"count": 1, "where": [f"{train}:2"]},
    }


def test_long_targets_stay_in_the_test_alone(tmp_path: Path, three_files: dict[str, Any]) -> None:
    long = "assertEquals(" + "+".join(f"q{n}" for n in range(60)) + ");"
    for name, number in (("train", 50), ("validation", 51), ("test", 52)):
        path = Path(three_files[f"{name}_file"])
        path.write_bytes(path.read_bytes() + json.dumps(line(number, assertion=long)).encode() + b"\n")
    quality, splits = prepared(tmp_path / "out", DataSettings(**three_files, max_output_len=40))
    assert [r.id for r in splits["test"]][-1] == "i52"
    assert not {"i50", "i51"} & {r.id for name in ("train", "validation") for r in splits[name]}
    reason = "assertion longer than max_output_len (40 tokens)"
    assert quality["rejected"] == {
        f"train: {reason}": {"count": 1, "where": [f"{three_files['train_file']}:21"]},
        f"validation: {reason}": {"count": 1, "where": [f"{three_files['validation_file']}:6"]},
    }
    assert [quality["splits"][name]["targets_over_max_output_len"] for name in SPLITS] == [1, 1, 1]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer")
    assert (
        quality["splits"]["test"]["target_tokens"]["max"]
        == len(tokenizer(long, add_special_tokens=False).input_ids) + 1
    )


def test_cut_inputs_are_counted(tmp_path: Path, three_files: dict[str, Any]) -> None:
    path = Path(three_files["test_file"])
    focal = "int f() { return " + " + ".join(f"w{n}" for n in range(200)) + "; }"
    path.write_bytes(path.read_bytes() + json.dumps(line(60, focal_method=focal)).encode() + b"\n")
    quality, _ = prepared(tmp_path / "out", DataSettings(**three_files, max_input_len=200))
    assert [quality["splits"][name]["inputs_cut"] for name in SPLITS] == [0, 0, 1]
    assert quality["splits"]["test"]["input_tokens"]["max"] == 200
    assert quality["splits"]["train"]["input_tokens"]["max"] < 200


def test_a_split_without_records_is_refused(tmp_path: Path, three_files: dict[str, Any]) -> None:
    three_files["train_file"] = written(tmp_path / "leak.jsonl", [line(26)])
    with pytest.raises(
        UserError, match="No record is left for the train split; rejected: 1 train: same record as in test"
    ):
        prepare_corpus(scratch(DataSettings(**three_files)), tmp_path / "out")
    three_files["test_file"] = str(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match=r"none\.jsonl: no such file"):
        prepare_corpus(scratch(DataSettings(**three_files)), tmp_path / "out")


def test_a_named_tokenizer_is_taken(tmp_path: Path, three_files: dict[str, Any]) -> None:
    data = DataSettings(**three_files)
    prepare_corpus(scratch(data), tmp_path / "one")
    folder = str(tmp_path / "one/tokenizer")
    entries = len(AutoTokenizer.from_pretrained(folder))
    named = PrepareCorpusParams(data=data, tokenizer=TokenizerSettings(name=folder), teacher="unused")
    quality = prepare_corpus(named, tmp_path / "two")
    assert quality["tokenizer"] == {"name": folder, "entries": entries}
    of_teacher = PrepareCorpusParams(data=data, tokenizer=TokenizerSettings(), teacher=folder)
    quality = prepare_corpus(of_teacher, tmp_path / "three")
    assert quality["tokenizer"] == {"name": folder, "entries": entries}


def test_no_test_class_is_on_two_sides_where_the_corpus_is_split_by_it(tmp_path: Path) -> None:
    lines = [
        {
            "focal_method": f"int f{n}() {{ return a{n}; }}",
            "test_method": f"void t{n}() {{ f{n}(); {MARKER}\n}}",
            "assertion": "assertNotNull(x);" if n < 40 else f"assertEquals(a{n}, f{n}());",
            "project": f"p{n % 2}",
            "test_file": f"src/test/java/T{n % 12}.java",
        }
        for n in range(80)
    ]
    path = written(tmp_path / "records.jsonl", lines)
    data = DataSettings(source="files", train_file=path, test_share=0.2, validation_share=0.2, split_by="test_class")
    quality = prepare_corpus(PrepareCorpusParams(data=data, **SCRATCH_TOKENIZER), tmp_path / "corpus")
    sides = [list(read_records(tmp_path / "corpus" / f"{name}.jsonl")) for name in ("train", "validation", "test")]
    classes = [{(record.project, record.extra["test_file"]) for record in side} for side in sides]
    assert sum(map(len, classes)) == len(set.union(*classes)) == 12
    shared = quality["in_common_with_training"]["test"]
    test, train = sides[2], sides[0]
    assert shared == {
        "records": len(test),
        "project": len(test),
        "test_class": 0,
        "focal_method_up_to_literals": 0,
        "test_up_to_literals": 0,
        "assertion": sum(record.assertion in {other.assertion for other in train} for record in test),
    }
    assert 0 < shared["assertion"] < len(test)


def test_a_record_without_test_class_cannot_be_split_by_it(tmp_path: Path) -> None:
    path = written(tmp_path / "records.jsonl", [{"id": "r", "focal_method": "f", "test_method": "t", "assertion": "a"}])
    data = DataSettings(source="files", train_file=path, split_by="test_class")
    with pytest.raises(UserError, match=r"data\.split_by is `test_class`, but record 'r' names no test_file"):
        prepare_corpus(PrepareCorpusParams(data=data, **SCRATCH_TOKENIZER), tmp_path / "corpus")
