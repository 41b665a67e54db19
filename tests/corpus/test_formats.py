"""Records of other data sets: ATLAS's pair of files and Methods2Test's JSON, told apart without being named."""

import json
from pathlib import Path
from typing import Any

import pytest

from assertkd.corpus.formats.registry import files_of, format_of
from assertkd.corpus.params import Reading
from assertkd.corpus.read import ReadRecord, Rejection, read_raw
from assertkd.errors import UserError
from assertkd.records import MARKER, Record

ATLAS_TEST = (
    'testSize ( ) { Stack s = new Stack ( ) ; s . push ( "}" ) ; "<AssertPlaceHolder>" ; } size ( ) { return n ; }'
)
ATLAS_ASSERTION = "org . junit . Assert . assertEquals ( 1 , s . size ( ) )"

M2T = {
    "repository": {"repo_id": 7, "url": "https://example.org/p"},
    "focal_class": {"identifier": "Stack", "file": "src/Stack.java"},
    "focal_method": {"identifier": "size", "body": "public int size() { return n; }"},
    "test_class": {"identifier": "StackTest", "file": "src/StackTest.java"},
    "test_case": {
        "identifier": "testSize",
        "body": (
            "@Test public void testSize() {\n    s.push(1);\n    assertEquals(1, s.size());\n    assertTrue(s.ok());\n}"
        ),
    },
}


def read(path: Path, **reading: Any) -> list[ReadRecord | Rejection]:
    return list(read_raw(path, Reading(**reading)))


def records(path: Path, **reading: Any) -> list[Record]:
    items = read(path, **reading)
    assert all(isinstance(item, ReadRecord) for item in items), items
    return [item.record for item in items if isinstance(item, ReadRecord)]


def atlas(folder: Path, tests: list[str], assertions: list[str], encoding: str = "utf-8") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "testMethods.txt").write_text("".join(f"{line}\n" for line in tests), encoding=encoding)
    (folder / "assertLines.txt").write_text("".join(f"{line}\n" for line in assertions), encoding=encoding)
    return folder


@pytest.mark.parametrize("name", ["", "testMethods.txt"])
def test_atlas_is_read_by_its_folder_or_first_file(tmp_path: Path, name: str) -> None:
    folder = atlas(tmp_path / "Training", [ATLAS_TEST, ATLAS_TEST], [ATLAS_ASSERTION, "fail ( )"])
    assert format_of(folder / name) == "atlas"
    assert files_of(folder / name) == [folder / "testMethods.txt", folder / "assertLines.txt"]
    first, second = records(folder / name)
    assert first == Record(
        "Training:1",
        "size ( ) { return n ; }",
        f'testSize ( ) {{ Stack s = new Stack ( ) ; s . push ( "}}" ) ;\n    {MARKER}\n}}',
        "org . junit . Assert . assertEquals ( 1 , s . size ( ) ) ;",
    )
    assert (second.id, second.assertion) == ("Training:2", "fail ( ) ;")


def test_a_separator_between_test_and_focal_method_is_known(tmp_path: Path) -> None:
    line = 'testA ( ) { "<AssertPlaceHolder>" ; } "<FocalMethod>" a ( ) { }'
    (record,) = records(atlas(tmp_path / "Eval", [line], ["a ( )"]))
    assert (record.focal_method, record.test_method) == ("a ( ) { }", f"testA ( ) {{\n    {MARKER}\n}}")


def test_a_line_of_atlas_in_latin_1_is_read(tmp_path: Path) -> None:
    line = ATLAS_TEST.replace('"}"', '"ß"')
    (record,) = records(atlas(tmp_path / "Eval", [line], [ATLAS_ASSERTION], "latin-1"))
    assert '"ß"' in record.test_method


@pytest.mark.parametrize(
    ("test", "assertion", "reason"),
    [
        ("testA ( ) { } a ( ) { }", "a ( )", 'test_method lacks "<AssertPlaceHolder>"'),
        ('testA ( ) { "<AssertPlaceHolder>" ; ', "a ( )", "test_method has no end"),
        ('testA ( ) { "<AssertPlaceHolder>" ; }', "a ( )", "focal_method is blank"),
        (ATLAS_TEST, "", "assertion is blank"),
    ],
)
def test_a_bad_line_of_atlas_is_rejected(tmp_path: Path, test: str, assertion: str, reason: str) -> None:
    folder = atlas(tmp_path / "Eval", [ATLAS_TEST, test], [ATLAS_ASSERTION, assertion])
    (_, item) = read(folder)
    assert isinstance(item, Rejection)
    assert (item.file, item.line, item.reason) == (str(folder / "testMethods.txt"), 2, reason)


def test_files_of_different_length_do_not_belong_together(tmp_path: Path) -> None:
    folder = atlas(tmp_path / "Eval", [ATLAS_TEST, ATLAS_TEST], [ATLAS_ASSERTION])
    with pytest.raises(UserError, match=r"testMethods\.txt:2: has no line beside it, since .*assertLines\.txt has 1"):
        read(folder)
    (folder / "assertLines.txt").unlink()
    with pytest.raises(UserError, match=r"assertLines\.txt: no such file"):
        read(folder)


M2T_TESTS = [
    f"@Test public void testSize() {{\n    s.push(1);\n    {MARKER}\n    assertTrue(s.ok());\n}}",
    f"@Test public void testSize() {{\n    s.push(1);\n    assertEquals(1, s.size());\n    {MARKER}\n}}",
]


def test_methods2test_is_read_from_a_folder_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "eval/7").mkdir(parents=True)
    (tmp_path / "eval/7/7_0.json").write_text(json.dumps(M2T, indent=2), encoding="utf-8")
    first, second = records(tmp_path / "eval")
    assert [first.test_method, second.test_method] == M2T_TESTS
    assert first == Record(
        "7/7_0#0",
        "public int size() { return n; }",
        M2T_TESTS[0],
        "assertEquals(1, s.size());",
        "https://example.org/p",
        {
            "focal_name": "size",
            "focal_file": "src/Stack.java",
            "test_name": "testSize",
            "test_file": "src/StackTest.java",
            "assertion_type": "assertEquals",
        },
    )
    assert second.id == "7/7_0#1"


def test_files_of_one_name_in_many_folders_have_ids_of_their_own(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.x").mkdir()
        (tmp_path / f"{number}.x/0.1.json").write_text(json.dumps(M2T), encoding="utf-8")
    ids = [record.id for record in records(tmp_path)]
    assert ids == [f"{number}.x/0.1#{index}" for number in range(3) for index in range(2)]
    assert [record.id for record in records(tmp_path / "0.x/0.1.json", format="methods2test")] == ["0.1#0", "0.1#1"]


@pytest.mark.parametrize("named", ["auto", "methods2test"])
def test_methods2test_is_read_from_lines(tmp_path: Path, named: str) -> None:
    corpus = {"target": M2T["test_case"]["body"], "src_fm": "int size() { return n; }", "src_fm_fc": "Stack int size()"}
    path = tmp_path / "m2t.jsonl"
    path.write_text(json.dumps(M2T) + "\n" + json.dumps(corpus) + "\n", encoding="utf-8")
    found = records(path, format=named)
    assert [record.test_method for record in found] == M2T_TESTS * 2
    assert [record.id for record in found] == ["m2t:1#0", "m2t:1#1", "m2t:2#0", "m2t:2#1"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"test_case": {"body": "@Test public void testSize() { s.push(1); }"}}, "the test has no assertion"),
        ({"test_case": {"body": "no Java"}}, "test_case is no method of Java"),
        (
            {"test_case": {"body": f"void t() {{{'assertTrue(x);' * 5_000}}}"}},
            "the test is too long for so many assertions",
        ),
        ({"test_case": {"body": 3}}, "the body of focal_method or test_case is not a string"),
        ({"focal_method": [1]}, "focal_method is no object, as Methods2Test has it"),
        ({"focal_method": {}}, "the body of focal_method or test_case is not a string"),
        ({"repository": "p"}, "repository is no object, as Methods2Test has it"),
    ],
)
def test_a_bad_object_of_methods2test_is_rejected(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    (tmp_path / "7_0.json").write_text(json.dumps(M2T | change), encoding="utf-8")
    (item,) = read(tmp_path)
    assert isinstance(item, Rejection)
    assert (item.file, item.line, item.reason) == (str(tmp_path / "7_0.json"), 1, reason)


def test_a_folder_without_records_says_what_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds neither testMethods\.txt nor a JSON file"):
        read(tmp_path)
