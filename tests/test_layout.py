"""Names of a run's files: those that the rules declare, each once."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from assertkd import layout
from assertkd.layout import Entry, Layout, ModelLayout, RunLayout, stage_folder, student_name, variant_and_seed

PROJECT = Path(__file__).parents[1]
RUN = RunLayout("results/{run}")
STUDENT = RUN.model(student_name("{variant}", "{seed}"))

WRITTEN = {
    "": "cuda.json evaluation/gold_execution.jsonl evaluation/gold_execution.json",
    "corpus": "train.jsonl validation.jsonl test.jsonl quality.json rejected.jsonl tokenizer mined.jsonl mined.json "
    "unlabelled.jsonl unlabelled_quality.json unlabelled_rejected.jsonl pretraining.jsonl "
    "pretraining_validation.jsonl pretraining.json",
    "logits": "teacher_predictions.jsonl unlabelled_predictions.jsonl fidelity.json fidelity.svg train validation test "
    "train_predictions unlabelled",
    "teacher": "final_model checkpoints training_report.json multi_component_loss_summary.json step_metrics.csv "
    "training_metrics.csv distillation_log.txt tensorboard loss_scaling.json loss_scaling.svg reproduced",
    "evaluation/{model}": "predictions.jsonl measured.json execution.jsonl execution.json predictions_final.jsonl "
    "metrics_final.csv metrics_summary_final.json evaluation_metrics.json",
    "report": "report.html leaderboard.csv significance.json figures",
}
"""What users find in a run's folder, by subfolder. Another name is another file to them."""


def entries(files: Layout) -> Iterator[Path]:
    for name, entry in vars(type(files)).items():
        if isinstance(entry, Entry):
            yield getattr(files, name)


def test_what_the_workflow_alone_writes_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large disk").mkdir()
    (tmp_path / "results").symlink_to("large disk")
    for project in ("other", "plain"):
        (tmp_path / project / "results").mkdir(parents=True)
    (tmp_path / "other/.snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    for path in (
        "large disk/x/teacher/y",
        "other/results/x/teacher",
        "results/x/teacher",
        "results/x/logits/train",
        "x/../results/x/corpus/train.jsonl",
    ):
        assert stage_folder(Path(path)) is not None, path
    for path in (
        "plain/results/x/evaluation",
        "results/x/teacher/../../../y",
        "results/x/interchange",
        "results/teacher",
        "x/teacher",
        "results/x/predictions.jsonl",
        ".",
    ):
        assert stage_folder(Path(path)) is None, path


def test_every_stage_s_folder_is_known() -> None:
    run = RunLayout("results/x")
    folders = [run.model(name) for name in ("teacher", student_name("v", 1))]
    folders += [run.corpus, run.pretrain, run.logits, run.report, run.report_so_far, run.evaluation("teacher")]
    assert all(stage_folder(files.folder) for files in folders)
    assert stage_folder(run.embeddings("e", "gold"))
    assert stage_folder(run.interchange.folder) is None


def test_paths_are_as_they_were_passed() -> None:
    assert str(RUN.corpus.train) == "results/{run}/corpus/train.jsonl"
    assert str(STUDENT.report) == "results/{run}/students/{variant}/seed{seed}/training_report.json"
    assert RunLayout(Path("/data/../demo")).teacher.final_model == Path("/data/../demo/teacher/final_model")
    assert str(RUN.evaluation("{model}").summary) == "results/{run}/evaluation/{model}/metrics_summary_final.json"


def test_named_parts_are_the_entries() -> None:
    for split in layout.SPLITS:
        assert RUN.corpus.split(split) == getattr(RUN.corpus, split)
        assert RUN.logits.store(split) == getattr(RUN.logits, split)
    assert RUN.corpus.split("unlabelled") == RUN.corpus.unlabelled
    assert [RUN.interchange.split(split).name for split in layout.SPLITS] == [
        "distillation_data_training.jsonl",
        "distillation_data_validation.jsonl",
        "distillation_data_test.jsonl",
    ]
    assert RUN.teacher.epoch_summary(12).match(RUN.teacher.epoch_summaries)
    assert RUN.teacher.epoch_summary(12).name == "epoch_12_summary.json"


def test_names_of_models() -> None:
    assert RUN.model(student_name("kd", 7)).folder == RUN.folder / "students/kd/seed7"
    assert variant_and_seed(student_name("kd", 7)) == ("kd", 7)
    assert variant_and_seed(layout.TEACHER) == ("teacher", None)
    assert variant_and_seed(layout.external_name("atlas")) == ("atlas", None)
    assert layout.is_external(layout.external_name("atlas"))
    assert not any(map(layout.is_external, (layout.TEACHER, student_name("external", 7))))


def test_the_folder_of_a_saved_model_is_the_hubs(tmp_path: Path) -> None:
    names = {path.name for path in entries(ModelLayout(tmp_path))}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= names


@pytest.mark.parametrize(
    "files",
    [RUN, RUN.corpus, RUN.logits, RUN.teacher, RUN.evaluation("{model}"), RUN.report],
    ids=lambda files: type(files).__name__,
)
def test_the_names_are_those_that_users_know(files: Layout) -> None:
    folder = files.folder.relative_to(RUN.folder).as_posix().removeprefix(".")
    assert {path.relative_to(files.folder).as_posix() for path in entries(files)} == set(WRITTEN[folder].split())


@pytest.mark.parametrize(
    "path",
    sorted([*(PROJECT / "workflow/rules").glob("*.smk"), *(PROJECT / "workflow/scripts").glob("*.py")]),
    ids=lambda path: path.name,
)
def test_rules_and_scripts_take_all_paths_of_a_run_from_the_layout(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        assert "results/" not in line or "RunLayout(" in line


def test_no_name_is_spelt_in_the_package_a_second_time() -> None:
    names = {Path(name).name for content in WRITTEN.values() for name in content.split() if "." in name}
    # The page's template has the page's name.
    names -= {"report.html"}
    spelt = {
        (path.name, literal)
        for path in (PROJECT / "src/assertkd").rglob("*.py")
        for literal in re.findall(r"\"(?:[^\"\s]*/)?([\w.]+)\"", path.read_text(encoding="utf-8"))
        if literal in names and path.name != "layout.py"
    }
    assert not spelt
