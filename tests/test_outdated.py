"""Finished results that would be made again: which jobs make them, and what of the settings changed."""

from pathlib import Path

import pytest

from assertkd.dry_run import PlannedJob
from assertkd.outdated import changed_settings, format_outdated, outdated_results, retraining_notice

CHANGED = (
    "Params have changed since last execution: Union of exclusive params before and now across all output: "
    "before: {before!r} now: {now!r} "
)


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("corpus", "teacher", "students/soft/seed1"):
        (tmp_path / "results/mine" / folder).mkdir(parents=True)


def job(rule: str, place: str, reason: str, **wildcards: str) -> PlannedJob:
    outputs = tuple(f"results/mine/{place}/{name}" for name in ("report.json", "model"))
    for output in outputs:
        if Path(output).parent.is_dir():
            Path(output).touch()
    return PlannedJob(rule, {"run": "mine", **wildcards}, outputs, reason)


def test_changed_keys_are_those_of_the_config() -> None:
    before = {"model": {"name": "a"}, "training": {"lr": 0.1, "epochs": 2}, "seed": 42, "max_input_len": 256}
    now = {"model": {"name": "b"}, "training": {"lr": 0.2, "epochs": 2}, "seed": 42, "max_input_len": 300}
    (teacher,) = outdated_results([job("train_teacher", "teacher", CHANGED.format(before=before, now=now))])
    assert teacher.place == "results/mine/teacher"
    assert teacher.causes == (
        'teacher.model.name: "b", was "a"',
        "teacher.training.lr: 0.2, was 0.1",
        "data.max_input_len: 300, was 256",
    )
    before = {"loss": {"components": [{"name": "ce", "start": 0.5}, {"name": "kl", "start": 0.5}]}}
    now = {"loss": {"components": [{"name": "kl", "start": 0.7}]}}
    reason = CHANGED.format(before=before, now=now)
    (student,) = outdated_results([job("distill_student", "students/soft/seed1", reason, variant="soft", seed="1")])
    assert student.causes == (
        'variants.soft.loss.components.ce: null, was {"name": "ce", "start": 0.5}',
        "variants.soft.loss.components.kl.start: 0.7, was 0.5",
    )


def test_several_params_and_several_reasons() -> None:
    before, now = "['teacher'],{'report': {'title': 'a; b'}}", "{'report': {'title': 'c'}},['teacher', 'x']"
    reason = "; ".join(
        [
            "Updated input files: a.jsonl",
            "Set of input files has changed since last execution",
            "Code has changed since last execution",
            CHANGED.replace("!r", "").format(before=before, now=now),
            "Software environment definition has changed since last execution",
        ]
    )
    (report,) = outdated_results([job("build_report", "corpus", reason)])
    assert report.causes == (
        'report.title: "c", was "a; b"',
        "newer than it: a.jsonl",
        "it reads other files than before",
        "its script has changed",
        "its environment has changed",
    )


def test_params_that_cannot_be_read_are_a_cause_all_the_same() -> None:
    reason = CHANGED.format(before={}, now={}).replace("{}", "<object>")
    (teacher,) = outdated_results([job("train_teacher", "teacher", reason)])
    assert teacher.causes == ("its settings have changed",)


def test_what_is_missing_or_half_made_is_not_finished() -> None:
    absent = job("train_teacher", "absent", "Missing output files: results/mine/absent/model")
    killed = job("train_teacher", "teacher", "Incomplete output files: results/mine/teacher/model")
    assert outdated_results([absent, killed]) == []
    partly = job("train_teacher", "teacher", "Missing output files: results/mine/teacher/model")
    Path("results/mine/teacher/model").unlink()
    (teacher,) = outdated_results([partly])
    assert teacher.causes == ("missing: results/mine/teacher/model",)


def test_results_with_the_same_cause_stand_together() -> None:
    follows = "Input files updated by another job: results/mine/corpus/train.jsonl"
    jobs = [
        job("prepare_corpus", "corpus", CHANGED.format(before={"data": {"seed": 1}}, now={"data": {"seed": 2}})),
        job("train_teacher", "teacher", follows),
        job("distill_student", "students/soft/seed1", follows, variant="soft", seed="1"),
    ]
    results = outdated_results(jobs)
    assert format_outdated(results) == [
        "  results/mine/corpus (prepare_corpus)",
        "      data.seed: 2, was 1",
        "  results/mine/teacher (train_teacher)",
        "      made from results that are made again",
        "  results/mine/students/soft/seed1 (distill_student)",
        "      made from results that are made again",
    ]
    notice = retraining_notice(results)
    assert notice == "the finished teacher is trained again (results/mine/teacher):\n  data.seed: 2, was 1"
    assert retraining_notice(results[2:]) is None


def test_another_pretraining_is_a_cause_of_another_teacher() -> None:
    Path("results/mine/pretrain").mkdir()
    before = {"model": {"name": "a"}, "max_input_len": 8, "training": {"lr": 0.1}}
    after = {"model": {"name": "b"}, "max_input_len": 9, "training": {"lr": 0.2}}
    reason = CHANGED.format(before=before, now=after)
    jobs = [
        job("pretrain", "pretrain", reason),
        job("train_teacher", "teacher", "Input files updated by another job: results/mine/pretrain/model"),
    ]
    assert retraining_notice(outdated_results(jobs)) == (
        "the finished teacher is trained again (results/mine/teacher):"
        '\n  teacher.model.name: "b", was "a"'
        "\n  data.max_input_len: 9, was 8"
        "\n  teacher.pretrain.training.lr: 0.2, was 0.1"
    )


def test_a_key_on_one_side_alone_is_a_change() -> None:
    assert list(changed_settings({"a": {"b": 1}}, {"a": {"c": 2}})) == [("a.b", 1, None), ("a.c", None, 2)]
