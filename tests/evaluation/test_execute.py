"""The stage's files: what is written, and the sentence where nothing can be run."""

import json
import subprocess
from pathlib import Path

import pytest
from java_source import box

from assertkd.errors import UserError
from assertkd.evaluation import execute as stage
from assertkd.evaluation.execute import execute, execute_gold
from assertkd.evaluation.execution import pool
from assertkd.evaluation.execution.confine import CannotConfineError
from assertkd.evaluation.execution.jdk import Toolchain, ToolMissingError
from assertkd.evaluation.execution.predicted import read_executions
from assertkd.evaluation.params import ExecuteGoldParams, ExecuteParams
from assertkd.predictions import Prediction, write_predictions
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import ExecuteSettings

GOLD = "assertEquals(5, box.size(2));"


class Files:
    """A stage's inputs and outputs in one folder."""

    def __init__(self, folder: Path, records: list[Record], texts: list[str]) -> None:
        self.test, self.predictions = folder / "test.jsonl", folder / "predictions.jsonl"
        self.gold, self.gold_summary = folder / "gold_execution.jsonl", folder / "gold_execution.json"
        self.executions, self.summary = folder / "execution.jsonl", folder / "execution.json"
        write_records(self.test, records)
        pairs = zip(records, texts, strict=False)
        write_predictions(self.predictions, (Prediction(r.id, text, r.assertion) for r, text in pairs))

    def execute(self, settings: ExecuteSettings, limit: int | None = None) -> None:
        params = ExecuteGoldParams(execute=settings, limit=limit)
        execute_gold(params, self.test, self.gold, self.gold_summary, workers=1)
        execute(
            ExecuteParams(execute=settings), self.test, self.gold, self.gold_summary, self.summary.parent, workers=1
        )


@pytest.fixture
def settings(toolchain: Toolchain) -> ExecuteSettings:
    return ExecuteSettings(junit=tuple(map(str, toolchain.junit)), mutants=100)


@pytest.mark.java
def test_records_are_judged_where_gold_passes(tmp_path: Path, settings: ExecuteSettings) -> None:
    codeless = Record("codeless", "int f() { }", f"void t() {{ {MARKER}\n }}", "assertTrue(x);")
    records = [box("a", GOLD), codeless, box("b", "assertEquals(1, box.size(2));"), box("c", GOLD), box("d", GOLD)]
    files = Files(tmp_path, records, [GOLD, GOLD, GOLD, "assertNotNull(box);", "assertNull(box);"])
    files.execute(settings)
    gold = json.loads(files.gold_summary.read_text(encoding="utf-8"))
    assert (gold["absent"], gold["records"], gold["without_code"], gold["executed"]) == (None, 5, 1, 4)
    assert gold["ended"] == {"passed": 3, "failed": 1}
    assert [one["id"] for one in gold["failing"]] == ["b"]
    executions = {one.id: one for one in read_executions(files.executions)}
    assert {id_: one.passes for id_, one in executions.items()} == {"a": True, "c": True, "d": False}
    assert executions["a"].killed == executions["a"].gold_killed > 0
    assert executions["c"].killed == 0
    summary = json.loads(files.summary.read_text(encoding="utf-8"))
    assert (summary["predictions"], summary["judged"]) == (5, 3)
    assert summary["ended"] == {"passed": 2, "failed": 1}
    assert summary["mutants"]["killed"] == executions["a"].killed


@pytest.mark.java
def test_compiled_classes_stand_in_for_sources(tmp_path: Path, settings: ExecuteSettings, toolchain: Toolchain) -> None:
    record = box("a", GOLD)
    (tmp_path / "Box.java").write_text(record.extra["class_source"], encoding="utf-8")
    javac = toolchain.java.with_name("javac")
    subprocess.run([javac, "-d", tmp_path / "classes", tmp_path / "Box.java"], check=True)
    tests = {"test_source": record.extra["test_source"]}
    bare = Record("bare", record.focal_method, record.test_method, GOLD, extra=tests)
    unasked = box("unasked", GOLD)
    files = Files(tmp_path / "run", [bare, record, unasked], [GOLD, GOLD])
    files.execute(settings.model_copy(update={"class_path": (str(tmp_path / "classes"),)}), limit=2)
    executions = {one.id: one for one in read_executions(files.executions)}
    assert set(executions) == {"bare", "a"}, "the limit leaves the third out"
    assert (executions["bare"].passes, executions["bare"].mutants) == (True, 0), "without a source there are no mutants"
    assert executions["a"].passes
    assert executions["a"].killed > 0, "a mutant hides the compiled class"


def test_records_without_code_leave_the_metrics_absent(tmp_path: Path) -> None:
    codeless = Record("codeless", "int f() { }", f"void t() {{ {MARKER}\n }}", "assertTrue(x);")
    files = Files(tmp_path, [codeless], ["assertTrue(x);"])
    files.execute(ExecuteSettings())
    for summary in (files.gold_summary, files.summary):
        assert json.loads(summary.read_text(encoding="utf-8"))["absent"].startswith("no record carries the code")
    assert read_executions(files.executions) == []


def test_a_machine_without_java_leaves_the_metrics_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ToolMissingError("no JDK of version 11 or newer was found")

    monkeypatch.setattr(stage, "find_toolchain", missing)
    files = Files(tmp_path, [box("a", GOLD)], [GOLD])
    files.execute(ExecuteSettings())
    assert json.loads(files.summary.read_text(encoding="utf-8")) == {
        "absent": "no JDK of version 11 or newer was found"
    }
    with pytest.raises(UserError, match="enabled is true, but assertions cannot be executed: no JDK"):
        files.execute(ExecuteSettings(enabled=True))


@pytest.mark.java
def test_what_cannot_be_confined_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "find_confinement", cannot_confine)
    files = Files(tmp_path, [box("a", GOLD)], [GOLD])
    files.execute(ExecuteSettings())
    assert json.loads(files.summary.read_text(encoding="utf-8")) == {
        "absent": "no bubblewrap was found; evaluation.execute.unconfined: true runs it unconfined"
    }
    with pytest.raises(UserError, match="enabled is true, but assertions cannot be executed: no bubblewrap"):
        files.execute(ExecuteSettings(enabled=True))


@pytest.mark.java
def test_it_runs_unconfined_where_that_is_asked_for(
    tmp_path: Path, settings: ExecuteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "find_confinement", cannot_confine)
    files = Files(tmp_path, [box("a", GOLD)], ["assertEquals(5, box.size(2) );"])
    files.execute(settings.model_copy(update={"unconfined": True, "mutants": 0}))
    assert [one.passes for one in read_executions(files.executions)] == [True]
    for summary in (files.gold_summary, files.summary):
        assert json.loads(summary.read_text(encoding="utf-8"))["isolation"] == "none"


def cannot_confine(java: Path) -> None:
    raise CannotConfineError("no bubblewrap was found")


def test_a_missing_class_path_is_named(tmp_path: Path) -> None:
    files = Files(tmp_path, [box("a", GOLD)], [GOLD])
    with pytest.raises(UserError, match="class_path: target/classes: no such file or folder"):
        files.execute(ExecuteSettings(class_path=("target/classes",)))


def test_the_build_s_class_path_needs_a_project_that_is_built(tmp_path: Path) -> None:
    files = Files(tmp_path, [box("a", GOLD)], [GOLD])
    with pytest.raises(UserError, match="class_path is build, but no project is named"):
        files.execute(ExecuteSettings(class_path="build"))
    with pytest.raises(UserError, match=r"holds no pom\.xml and no build\.gradle"):
        files.execute(ExecuteSettings(class_path="build", checkout=str(tmp_path)))


def test_gold_files_that_are_broken_are_named(tmp_path: Path) -> None:
    files = Files(tmp_path, [box("a", GOLD)], [GOLD])
    files.gold_summary.write_text('{"absent": null}', encoding="utf-8")
    files.gold.write_text('{"id": "a"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"gold_execution\.jsonl:1"):
        execute(ExecuteParams(), files.test, files.gold, files.gold_summary, tmp_path)
