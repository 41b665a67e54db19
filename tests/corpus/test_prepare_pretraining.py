"""Pre-training records: what is cut out of Java projects, and that nothing of validation and test is among it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from assertkd.corpus.params import PreparePretrainingParams
from assertkd.corpus.prepare_pretraining import prepare_pretraining
from assertkd.errors import UserError
from assertkd.records import MARKER, Record, read_records, write_records
from assertkd.settings import MiningSettings

ADDER = """package a;
class Adder {
    int total;
    int addAll(int[] values, int times) {
        for (int value : values) { total += value * times + offset(value, times); }
        return total;
    }
    int size() { return total; }
}
"""
ADDER_TEST = """package a;
import org.junit.Test;
class AdderTest {
    @Test public void addsAll() {
        Adder adder = new Adder();
        int sum = adder.addAll(new int[] {1, 2}, 3);
        assertEquals(9, sum);
    }
}
"""


def project(folder: Path, **files: str) -> Path:
    for name, source in files.items():
        side = "test" if name.endswith("Test") else "main"
        path = folder / "src" / side / "java/a" / f"{name}.java"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    (folder / "pom.xml").touch()
    return folder


def held_out(corpus: Path, *records: Record) -> Path:
    corpus.mkdir(exist_ok=True)
    write_records(corpus / "validation.jsonl", records[:1])
    write_records(corpus / "test.jsonl", records[1:])
    return corpus


def foreign(name: str = "other", focal: str = "void f() {}", **extra: Any) -> Record:
    return Record(name, focal, f"void {name}() {{ {MARKER}\n}}", "assertTrue(f());", "p", extra)


def prepared(corpus: Path, *sources: Path, **changes: Any) -> tuple[list[Record], dict[str, Any]]:
    given: dict[str, Any] = {
        "java_sources": tuple(map(str, sources)),
        "mining": MiningSettings(),
        "max_characters": 20_000,
        "statements": 2,
        "production_share": 0.5,
        "cut_share": 0.2,
        "longest_cut": 20,
        "validation_share": 0.34,
        "seed": 42,
        "projects_apart": False,
    }
    prepare_pretraining(PreparePretrainingParams(**given | changes), corpus, 1)
    records = [*read_records(corpus / "pretraining.jsonl"), *read_records(corpus / "pretraining_validation.jsonl")]
    return records, json.loads((corpus / "pretraining.json").read_text())


def renamed(source: str, name: str) -> str:
    return (
        source
        if name == "Adder"
        else source.replace("Adder", name).replace("addAll", f"all{name}").replace("addsAll", f"tests{name}")
    )


def three(folder: Path) -> Path:
    """A project of three classes that differ in their names alone, so that files are left for validation."""
    names = ("Adder", "Summer", "Counter")
    classes = {name: renamed(ADDER, name) for name in names}
    tests = {f"{name}Test": renamed(ADDER_TEST, name) for name in names}
    return project(folder, **classes, **tests)


def test_assertions_statements_and_runs_of_tokens_are_cut_out(tmp_path: Path) -> None:
    corpus = held_out(tmp_path / "corpus", foreign(), foreign("another"))
    records, counts = prepared(corpus, three(tmp_path / "project"))
    kinds = [record.extra["kind"] for record in records]
    assert kinds.count("assertion") == 3
    assert kinds.count("statement") == 6
    # Getters are too short to cut anything out of.
    assert kinds.count("tokens") == 3
    assert sum(counts["kept"].values()) == len(records)
    for record in records:
        assert record.test_method.count(MARKER) == 1
        assert bool(record.focal_method) == (record.extra["kind"] != "tokens")
    files = [
        {record.extra["file"] for record in read_records(corpus / f"{name}.jsonl")}
        for name in ("pretraining", "pretraining_validation")
    ]
    assert files[0].isdisjoint(files[1])


def test_the_share_of_production_methods_is_kept(tmp_path: Path) -> None:
    corpus = held_out(tmp_path / "corpus", foreign(), foreign("another"))
    _, counts = prepared(corpus, three(tmp_path / "project"), production_share=0.1)
    assert counts["kinds"]["tokens"] == 1
    assert counts["production_methods_not_drawn"] == 2


SUM = "int sum = adder.addAll(new int[] {1, 2}, 3);"
BEFORE = "Adder adder = new Adder();"


def twin(test: str, assertion: str = SUM) -> Record:
    return Record("x", "", test, assertion, "p")


SAME_TEST = twin(f"@Test void addsAll() {{ {BEFORE} {MARKER}\n}}")
SAME_FOCAL = foreign(focal=ADDER.split("int total;")[1].split("int size")[0].replace("offset", "offset  ").strip())
SAME_CLASS = foreign(test_file="modules/core/AdderTest.java")
TWINS = {
    "test": SAME_TEST,
    "focal": SAME_FOCAL,
    "focal method with other modifiers": replace(SAME_FOCAL, focal_method=f"@Fast public {SAME_FOCAL.focal_method}"),
    "class": SAME_CLASS,
    "class of Windows": foreign(test_file="modules\\core\\AdderTest.java"),
    "gap first": twin(f"@Test void addsAll() {{ {MARKER} }}", BEFORE),
    "javadoc": twin(f"/** As other(). */ @Test void addsAll() {{ {BEFORE} {MARKER} }}"),
    "display name": twin(f'@DisplayName("adds (two") void addsAll() {{ {BEFORE} {MARKER} }}'),
    "masked": twin(f"void addsAll() {{ {BEFORE} {SUM} /* masked */; {MARKER} }}", "assertEquals(9, sum);"),
    "ATLAS": twin(f"addsAll ( ) {{ Adder adder = new Adder ( ) ; {MARKER} }}"),
    "body": twin(f"{BEFORE} {MARKER}"),
}


@pytest.mark.parametrize("record", TWINS.values(), ids=TWINS)
@pytest.mark.parametrize("split", [0, 1])
def test_no_class_of_validation_or_test_is_trained_on(tmp_path: Path, record: Record, split: int) -> None:
    others = [foreign(), record] if split else [record, foreign()]
    twin_file = "Adder.java" if "addAll(int[] values" in record.focal_method else "AdderTest.java"
    records, counts = prepared(held_out(tmp_path / "corpus", *others), three(tmp_path / "project"))
    files = {PurePosixPath(one.extra["file"]).name for one in records}
    assert twin_file not in files
    assert "SummerTest.java" in files
    assert sum(counts["files_left_out"].values()) == 1


def test_a_project_with_a_test_of_another_split_is_left_out_whole_where_projects_are_apart(tmp_path: Path) -> None:
    corpus = held_out(tmp_path / "corpus", SAME_TEST, foreign())
    apart = project(tmp_path / "second", **{n: renamed(s, n) for n, s in (("One", ADDER), ("Two", ADDER))})
    records, counts = prepared(corpus, three(tmp_path / "first"), apart, projects_apart=True, validation_share=0.5)
    assert {record.project for record in records} == {"second"}
    assert counts["files_left_out"]["of a project of validation or test"] == 5


def test_a_test_of_the_same_name_alone_takes_nothing_out(tmp_path: Path) -> None:
    other = Record("x", "", f"@Test void addsAll() {{ {MARKER} }}", "assertTrue(one(2, 3));", "p")
    _, counts = prepared(
        held_out(tmp_path / "corpus", other, foreign()), three(tmp_path / "project"), projects_apart=True
    )
    assert counts["files_left_out"] == {}


def test_a_project_of_the_test_is_left_out_by_its_name_where_records_name_projects(tmp_path: Path) -> None:
    of_test = [replace(foreign(), project="owner/First"), replace(foreign("another"), project="owner/other")]
    sources = (
        three(tmp_path / "first"),
        project(tmp_path / "second", One=renamed(ADDER, "One"), Two=renamed(ADDER, "Two")),
    )
    records, _ = prepared(held_out(tmp_path / "corpus", *of_test), *sources, projects_apart=True, validation_share=0.5)
    assert {record.project for record in records} == {"second"}
    unnamed = [replace(record, project=None) for record in of_test]
    records, _ = prepared(held_out(tmp_path / "corpus", *unnamed), *sources, projects_apart=True)
    assert {record.project for record in records} == {"first", "second"}


@pytest.mark.parametrize("name", ["owner/First", "owner/First/", "https://host/owner/First.git"])
def test_a_project_is_left_out_by_its_name_beside_another_of_that_name(tmp_path: Path, name: str) -> None:
    of_test = [replace(foreign(), project=name), replace(foreign("another"), project="owner/other")]
    second = project(tmp_path / "second", One=renamed(ADDER, "One"), Two=renamed(ADDER, "Two"))
    sources = three(tmp_path / "a/first"), three(tmp_path / "b/first"), second
    records, _ = prepared(held_out(tmp_path / "corpus", *of_test), *sources, projects_apart=True, validation_share=0.5)
    assert {PurePosixPath(record.project or "").name for record in records} == {"second"}


def test_a_short_assertion_alone_takes_nothing_out(tmp_path: Path) -> None:
    corpus = held_out(tmp_path / "corpus", twin(MARKER, "assertEquals(9, sum);"), foreign())
    _, counts = prepared(corpus, three(tmp_path / "project"), projects_apart=True)
    assert counts["files_left_out"] == {}


def test_a_body_that_begins_with_its_gap_is_recognised_by_all_of_it(tmp_path: Path) -> None:
    rest = f'{SUM} assertEquals("the sum of one and two, three times", 9, sum); assertTrue(adder.isOpen());'
    copied = ADDER_TEST.replace(
        ADDER_TEST[ADDER_TEST.index(BEFORE) : ADDER_TEST.index("    }\n}")], f"{BEFORE} {rest}\n"
    )
    sources = three(tmp_path / "project")
    (sources / "src/test/java/a/AdderTest.java").write_text(copied)
    corpus = held_out(tmp_path / "corpus", twin(f"{MARKER} {rest}", BEFORE), foreign())
    _, counts = prepared(corpus, sources)
    assert sum(counts["files_left_out"].values()) == 1


def test_one_file_is_too_few(tmp_path: Path) -> None:
    corpus = held_out(tmp_path / "corpus", foreign(), foreign("another"))
    with pytest.raises(UserError, match="records of 1 files are too few to validate on others") as refused:
        prepared(corpus, project(tmp_path / "project", One=renamed(ADDER, "One")))
    assert "teacher.pretrain.java_sources" in refused.value.remedy


def test_a_common_short_method_takes_no_class_out_but_is_not_trained_on(tmp_path: Path) -> None:
    corpus = held_out(tmp_path / "corpus", foreign(focal="int size() { return total; }"), foreign("another"))
    records, counts = prepared(corpus, three(tmp_path / "project"), cut_share=0.5)
    assert counts["files_left_out"] == {}
    assert not any("size()" in record.test_method + record.assertion for record in records if not record.focal_method)


def test_production_methods_alone_are_all_taken_or_none(tmp_path: Path) -> None:
    corpus = held_out(tmp_path / "corpus", foreign(), foreign("another"))
    sources = three(tmp_path / "project")
    shutil.rmtree(sources / "src/test")
    _, counts = prepared(corpus, sources)
    assert set(counts["kinds"]) == {"tokens"}
    with pytest.raises(UserError, match="no method is left to train on"):
        prepared(corpus, sources, production_share=0.0)


def test_nothing_left_is_said(tmp_path: Path) -> None:
    corpus = held_out(tmp_path / "corpus", SAME_TEST, foreign())
    with pytest.raises(UserError, match="no method is left to train on"):
        prepared(corpus, three(tmp_path / "project"), projects_apart=True)
    with pytest.raises(UserError, match="absent: no such folder"):
        prepared(corpus, tmp_path / "absent")
