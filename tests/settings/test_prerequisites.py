"""What this machine and its files lack for a run: refused before the first job."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from assertkd.dry_run import PlannedJob
from assertkd.errors import UserError
from assertkd.layout import RunLayout
from assertkd.prerequisites import check_devices, check_files, check_vocabularies
from assertkd.settings import load_run
from assertkd.settings.load import merged_over

TEACHER_JOB = PlannedJob("train_teacher", {"run": "r"}, (), "")
STUDENT_JOB = PlannedJob("distill_student", {"run": "r", "variant": "v", "seed": "1"}, (), "")
PREDICT_JOB = PlannedJob("predict", {"run": "r", "model": "teacher"}, (), "")


def run_of(teacher: str = "{}", student: str = "{}", rest: str = "") -> Any:
    generated = {"runs": {"r": {"data": {"source": "embedded"}}}}
    text = f"{{run: r, runs: {{r: {{teacher: {teacher}{rest}}}}}, variants: {{v: {student}}}}}"
    return load_run(merged_over(generated, yaml.safe_load(text)))


@pytest.mark.parametrize(
    ("teacher", "gpus", "fault"),
    [
        ("{precision: fp16}", "", "teacher.training.precision: fp16, and a CPU cannot train in it"),
        ("{precision: fp16, device: cpu}", "0,1", "teacher.training.precision: fp16"),
        ("{precision: fp16}", "0", None),
        ("{precision: bf16}", "", None),
        ("{device: cuda}", "", "teacher.training.device: cuda needs 1 GPU, and this machine shows 0"),
        ("{device: 'cuda:1'}", "0", "teacher.training.device: cuda:1 needs 2 GPUs, and this machine shows 1"),
        ("{device: 'cuda:1'}", "0,1", None),
        ("{gpus: 2}", "0", "teacher.training.device: auto needs 2 GPUs, and this machine shows 1"),
        ("{gpus: 2, device: cpu}", "", None),
        ("{device: mps}", "", None),
    ],
)
def test_a_device_that_this_machine_lacks_is_refused(
    teacher: str, gpus: str, fault: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        (tmp_path / f"nvidia{number}").touch()
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr("assertkd.runtime.machine.DEVICES", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    run = run_of(f"{{training: {teacher}}}")
    check_devices(run, [STUDENT_JOB, PREDICT_JOB])
    if fault is None:
        check_devices(run, [TEACHER_JOB])
    else:
        with pytest.raises(UserError) as refused:
            check_devices(run, [TEACHER_JOB])
        assert refused.value.problem.startswith(fault)


def test_every_such_setting_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    student = "{training: {precision: fp16, device: cpu}}"
    run = run_of("{training: {device: 'cuda:0'}}", student, ", evaluation: {device: cuda}, logits: {device: cuda}")
    compress = PlannedJob("compress_logits", {"run": "r"}, (), "")
    with pytest.raises(UserError) as refused:
        check_devices(run, [TEACHER_JOB, compress, STUDENT_JOB, STUDENT_JOB, PREDICT_JOB])
    keys = [line.partition(": ")[0] for line in refused.value.problem.splitlines()]
    assert keys == [
        "teacher.training.device", "logits.device", "variants.v.training.precision", "evaluation.device",
    ]  # fmt: skip


def test_a_student_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5", "vocab_size": 99}), encoding="utf-8")
    kl, ce = "loss: {components: [ce, kl]}", "loss: {components: [ce]}"
    other = f"model: {{name: '{tmp_path}'}}"
    with pytest.raises(UserError, match=r"variants.v.model.name: .* has 99 vocabulary entries, the teacher .* 32100,"):
        check_vocabularies(run_of(student=f"{{{other}, {kl}}}"), [STUDENT_JOB])
    check_vocabularies(run_of(student=f"{{{other}, {kl}}}"), [TEACHER_JOB])
    check_vocabularies(run_of(student=f"{{{other}, {ce}}}"), [STUDENT_JOB])
    check_vocabularies(run_of(student=f"{{{kl}}}"), [STUDENT_JOB])
    check_vocabularies(run_of(student=f"{{model: {{name: 'un/known'}}, {kl}}}"), [STUDENT_JOB])
    with pytest.raises(UserError, match=r"32100 vocabulary entries, the teacher from scratch 2048 at most"):
        check_vocabularies(run_of("{model: {name: scratch}}", f"{{{kl}}}"), [STUDENT_JOB])


def test_files_that_are_missing_are_listed_until_the_corpus_is_done(tmp_path: Path) -> None:
    run = run_of(rest=f", data: {{source: files, train_file: absent.jsonl, test_file: {tmp_path}, unlabelled: u}}")
    files = RunLayout(tmp_path / "r")
    with pytest.raises(UserError) as refused:
        check_files(run, files)
    assert refused.value.problem.splitlines() == [
        "data.train_file: absent.jsonl: no such file",
        f"data.test_file: {tmp_path}: no such file",
        "data.unlabelled: u: no such file",
    ]
    files.corpus.folder.mkdir(parents=True)
    files.corpus.quality.touch()
    check_files(run, files)
    with pytest.raises(UserError) as refused:
        check_files(run, files, {"train_file": "absent.jsonl", "max_input_len": 9})
    assert refused.value.problem == "data.train_file: absent.jsonl: no such file"
    mined = run_of(rest=", data: {source: java, java_sources: [absent]}")
    with pytest.raises(UserError, match=r"data.java_sources: absent: no such folder"):
        check_files(mined, RunLayout(tmp_path / "other"))
    check_files(mined, files)
    with pytest.raises(UserError, match=r"data.java_sources: absent: no such folder"):
        check_files(mined, files, {"java_sources": ["absent"]})
