"""From executed assertions to metrics: by hand."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.execution.predicted import PredictedExecution, read_executions
from assertkd.evaluation.summary import summarise_executions


def execution(
    id_: str, compiles: bool, passes: bool, mutants: int = 0, killed: int = 0, gold: int = 0
) -> PredictedExecution:
    return PredictedExecution(id_, compiles, passes, "passed" if passes else "failed", "", mutants, killed, gold)


EXECUTIONS = [
    execution("a", True, True, 4, 1, 2),
    execution("b", True, False, 2, 0, 2),
    execution("c", False, False),
    execution("d", True, True),
]


def test_metrics_of_one_example() -> None:
    def values(one: PredictedExecution) -> dict[str, float]:
        return {name: figure["mean"] for name, figure in summarise_executions([one], 10, 1).items()}

    assert values(EXECUTIONS[0]) == {"compiles": 1.0, "passes": 1.0, "kills": 0.25, "gold_kills": 0.5}
    assert values(EXECUTIONS[2]) == {"compiles": 0.0, "passes": 0.0}, "no mutant counts, so nothing can be killed"


def test_means_are_over_the_examples_that_have_the_metric() -> None:
    summary = summarise_executions(EXECUTIONS, 500, 1)
    means = {name: (figure["mean"], figure["n"]) for name, figure in summary.items()}
    assert means == {"compiles": (0.75, 4), "passes": (0.5, 4), "kills": (0.125, 2), "gold_kills": (0.75, 2)}
    assert all(figure["low"] <= figure["mean"] <= figure["high"] for figure in summary.values())


def test_without_executions_the_metrics_are_absent() -> None:
    assert summarise_executions([], 500, 1) == {}
    assert set(summarise_executions([EXECUTIONS[2]], 500, 1)) == {"compiles", "passes"}


def test_executions_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "execution.jsonl"
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in EXECUTIONS), encoding="utf-8")
    assert read_executions(path) == EXECUTIONS


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "execution.jsonl"
    path.write_text(json.dumps(asdict(EXECUTIONS[0])) + '\n{"id": 1}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"execution\.jsonl:2"):
        read_executions(path)
    with pytest.raises(UserError, match="no such file"):
        read_executions(tmp_path / "absent.jsonl")
