"""The commands of the stages: the config that options make, and what the workflow is asked for."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from assertkd.cli import parser_for
from assertkd.commands.stages import changed_config, targets_of
from assertkd.errors import UserError
from assertkd.settings import RunSettings, load_run
from assertkd.settings.section import merged_over

CONFIG = {
    "run": "demo",
    "runs": {"demo": {"data": {"labelled_share": 0.5}}},
    "variants": {"hard": {"loss": {"components": ["ce"]}}, "soft": {"training": {"lr": 0.1}}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def resolved(*arguments: str, config: dict[str, Any] = CONFIG) -> tuple[RunSettings, list[str]]:
    """Return the run of a command line, and the files that it asks for without the folder of results."""
    options = parser_for(arguments).parse_args(arguments)
    run = load_run(merged_over(config, changed_config(options, config)))
    return run, [target.removeprefix(f"results/{run.name}/") for target in targets_of(options, run)]


def test_a_run_is_made_of_options() -> None:
    run, targets = resolved(
        *(
            "distill",
            "--output_dir",
            "results/mine",
            "--train_data_path",
            "r.jsonl",
            "--lr",
            "1e-3",
            "--seed",
            "1",
            "2",
        ),
        *("--loss_components", "ce", "kl", "--loss_weights", "1", "3", "--fp16", "--max_input_len", "300"),
    )
    student = run.variants["student"]
    assert (run.name, list(run.variants), run.seeds) == ("mine", ["student"], (1, 2))
    assert (run.data.source, run.data.train_file, run.data.max_input_len) == ("files", "r.jsonl", 300)
    assert (student.training.lr, student.training.precision) == (1e-3, "fp16")
    assert (student.loss.components, student.loss.weights) == (("ce", "kl"), (1.0, 3.0))
    assert targets == [f"students/student/seed{seed}/training_report.json" for seed in (1, 2)]
    assert run.data.labelled_share == 1.0, "nothing of another run"


def test_options_are_remembered_for_the_run(folder: Path) -> None:
    options = parser_for(["distill"]).parse_args(["distill", "--output_dir", "results/mine", "--lr", "0.5"])
    (folder / "results/mine").mkdir(parents=True)
    (folder / "results/mine/options.yaml").write_text(yaml.safe_dump(changed_config(options, CONFIG)), encoding="utf-8")
    run, targets = resolved("score", "--output_dir", "results/mine", "--student_limit", "9")
    assert (run.variants["student"].training.lr, run.evaluation.limit) == (0.5, 9)
    assert targets == [
        "evaluation/teacher/metrics_summary_final.json",
        "evaluation/students/student/seed42/metrics_summary_final.json",
    ]
    _, one = resolved("score", "--student_model_path", "results/mine/students/student/seed42/final_model")
    assert one == targets[1:]


def test_options_for_several_variants_are_written_out_for_each() -> None:
    settings = ["--lr", "0.2", "--loss_components", "ce", "kl"]
    options = parser_for(["distill"]).parse_args(["distill", "--run", "demo", "--variant", "hard", "soft", *settings])
    text = yaml.safe_dump(changed_config(options, CONFIG)["variants"])
    assert "&" not in text
    expected = {"loss": {"components": ["ce", "kl"]}, "training": {"lr": 0.2}}
    assert yaml.safe_load(text) == {"hard": expected, "soft": expected}


def test_a_run_of_the_config_is_taken_as_it_is() -> None:
    run, targets = resolved("predict", "--run", "demo", "--device", "cpu")
    assert (run.data.labelled_share, list(run.variants), run.evaluation.device) == (0.5, ["hard", "soft"], "cpu")
    assert len(targets) == 3
    run, targets = resolved("distill", "--run", "demo", "--variant", "soft", "--lr", "0.2")
    assert (run.variants["soft"].training.lr, run.variants["hard"].training.lr) == (0.2, 3e-5)
    assert targets == ["students/soft/seed42/training_report.json"]


def test_files_with_logits_stand_in_for_a_teacher(folder: Path) -> None:
    line = {"focal_method": "f", "teacher_logits_compressed": "x"}
    (folder / "train.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    run, _ = resolved("distill", "--train_data_path", "train.jsonl", "--val_data_path", "v.jsonl")
    assert run.data.distillation_jsonl.model_dump() == {"train": "train.jsonl", "validation": "v.jsonl", "test": None}
    assert (run.logits.codec, run.tokenizer.name) == ("dense", "Salesforce/codet5p-770m")
    run, _ = resolved("distill", "--train_data_path", "train.jsonl", "--tokenizer.name", "t", "--logits.codec", "topk")
    assert (run.logits.codec, run.tokenizer.name) == ("topk", "t")


def test_the_teacher_and_what_it_knows() -> None:
    assert resolved("prepare")[1] == ["corpus/quality.json"]
    assert resolved("train-teacher")[1] == ["teacher/training_report.json"]
    both = ["teacher/training_report.json", "logits/teacher_predictions.jsonl"]
    assert resolved("train-teacher", "--generate_distillation_data")[1] == both
    assert resolved("train-teacher", "--no-generate_distillation_data")[1] == both[:1]
    assert resolved("report")[1] == ["report/report.html"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["distill", "--run", "absent"], "--run absent: not in config.yaml"),
        (["distill", "--run", "demo", "--lr", "1"], "which variant"),
        (["distill", "--run", "demo", "--variant", "absent"], "--variant absent: not in the run `demo`"),
        (["distill", "--output_dir", "elsewhere/mine"], "results stand in results/<name>"),
        (["distill", "--lr", "much"], "distillation.training.lr"),
        (["score", "--student_model_path", "elsewhere/final_model"], "no model of the run `default`"),
    ],
)
def test_a_fault_of_the_user_is_said(arguments: list[str], problem: str) -> None:
    with pytest.raises(UserError) as fault:
        resolved(*arguments)
    assert problem in fault.value.problem or problem.removeprefix("distillation") in fault.value.problem
