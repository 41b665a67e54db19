"""From executed assertions to metrics: by hand."""

import json
from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.execution.predicted import PredictedRun
from assertkd.evaluation.execution.summary import execution_metrics, read_runs, summarise_runs


def run(id_: str, compiles: bool, passes: bool, mutants: int = 0, killed: int = 0, gold: int = 0) -> PredictedRun:
    return PredictedRun(id_, compiles, passes, "passed" if passes else "failed", "", mutants, killed, gold)


RUNS = [run("a", True, True, 4, 1, 2), run("b", True, False, 2, 0, 2), run("c", False, False), run("d", True, True)]


def test_metrics_of_one_example() -> None:
    assert execution_metrics(RUNS[0]) == {"compiles": 1.0, "passes": 1.0, "kills": 0.25, "gold_kills": 0.5}
    assert execution_metrics(RUNS[2]) == {"compiles": 0.0, "passes": 0.0}, "no mutant counts, so nothing can be killed"


def test_means_are_over_the_examples_that_have_the_metric() -> None:
    summary = summarise_runs(RUNS, 500, 1)
    means = {name: (figure["mean"], figure["n"]) for name, figure in summary.items()}
    assert means == {"compiles": (0.75, 4), "passes": (0.5, 4), "kills": (0.125, 2), "gold_kills": (0.75, 2)}
    assert all(figure["low"] <= figure["mean"] <= figure["high"] for figure in summary.values())


def test_without_runs_the_metrics_are_absent() -> None:
    assert summarise_runs([], 500, 1) == {}
    assert set(summarise_runs([RUNS[2]], 500, 1)) == {"compiles", "passes"}


def test_runs_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "execution.jsonl"
    path.write_text("".join(json.dumps(one.as_dict()) + "\n" for one in RUNS), encoding="utf-8")
    assert read_runs(path) == RUNS


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "execution.jsonl"
    path.write_text(json.dumps(RUNS[0].as_dict()) + '\n{"id": 1}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"execution\.jsonl:2"):
        read_runs(path)
    with pytest.raises(UserError, match="no such file"):
        read_runs(tmp_path / "absent.jsonl")
