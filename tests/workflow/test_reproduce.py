"""A model is trained again from its report alone, and the comparison is not blind."""

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from driver import Project

from assertkd.cli import main
from assertkd.errors import UserError
from assertkd.reproduce import reproduce

pytestmark = pytest.mark.workflow

TEACHER, STUDENT = "teacher", "students/traditional/seed42"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("model", [TEACHER, STUDENT])
def test_a_report_is_enough_to_train_the_model_again(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    monkeypatch.chdir(finished.folder)
    report = Path("results/tiny", model, "training_report.json")
    handlers = list(logging.getLogger().handlers)
    assert main(["reproduce", str(report), "--into", str(tmp_path / "again")]) == 0
    assert logging.getLogger().handlers == handlers
    assert "The same weights and metrics, bit for bit" in capsys.readouterr().out
    weights = [folder / "final_model/model.safetensors" for folder in (report.parent, tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_other_weights_and_figures_are_told(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    folder = Path("results/tiny", STUDENT)
    for name in ("training_report.json", "step_metrics.csv", "training_metrics.csv"):
        shutil.copy(folder / name, tmp_path)
    report = json.loads((tmp_path / "training_report.json").read_text())
    report["recipe"]["settings"]["training"] |= {"epochs": 1}
    (tmp_path / "training_report.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"the weights and step_metrics\.csv and training_metrics\.csv differ"):
        reproduce(tmp_path / "training_report.json", tmp_path / "again")


def test_nothing_that_is_there_is_replaced(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished.folder)
    report = str(Path("results/tiny", STUDENT, "training_report.json"))
    shutil.copy(report, tmp_path)
    for given, said in (
        (("--into", f"results/tiny/{STUDENT}"), "results/tiny/students has results of the workflow"),
        (("--into", str(tmp_path)), "holds a trained model"),
        (("--config", "config.yaml"), "--config config.yaml: exists already"),
    ):
        assert main(["reproduce", report, *given]) == 1
        assert said in capsys.readouterr().err


def test_inputs_that_are_gone_or_others_are_named(edited: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(edited.folder)
    report = Path("results/tiny", STUDENT, "training_report.json")
    Path("results/tiny/corpus/validation.jsonl").unlink()
    with Path("results/tiny/corpus/train.jsonl").open("a") as handle:
        handle.write("\n")
    with pytest.raises(UserError) as refused:
        reproduce(report, Path("again"))
    assert "results/tiny/corpus/train.jsonl is another one than it was" in refused.value.problem
    assert "results/tiny/corpus/validation.jsonl is missing" in refused.value.problem
    assert not Path("again").exists()


def test_the_report_holds_the_configuration_of_the_whole_run(edited: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(edited.folder)
    report = Path("results/tiny", TEACHER, "training_report.json")
    assert main(["reproduce", str(report), "--config", "again.yaml"]) == 0
    plan = edited.snakemake("--profile", "profiles/local", "--configfile", "again.yaml", "--dry-run", tiny=False)
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "Nothing to be done" in plan.stdout + plan.stderr
