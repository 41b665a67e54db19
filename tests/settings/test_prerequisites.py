"""What this machine and its files lack for a run: refused before the first job."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import PreTrainedTokenizerFast

from assertkd.dry_run import PlannedJob
from assertkd.errors import UserError
from assertkd.layout import RunLayout
from assertkd.models.tokenizer import train_tokenizer
from assertkd.prerequisites import check_devices, check_files, check_models, check_predictions
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import load_run
from assertkd.settings.load import merged_over

pytestmark = pytest.mark.usefixtures("reachable_hub")

CORPUS_JOB = PlannedJob("prepare_corpus", {"run": "r"}, (), "")
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
        ("{device: mps, precision: bf16}", "", "teacher.training.precision: bf16, and device mps computes in fp32"),
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


def test_the_teachers_pass_has_a_precision_of_its_own() -> None:
    compress = PlannedJob("compress_logits", {"run": "r"}, (), "")
    check_devices(run_of(rest=", logits: {precision: bf16}"), [compress])
    with pytest.raises(UserError, match=r"^logits\.precision: bf16, and device mps computes in fp32 alone"):
        check_devices(run_of(rest=", logits: {precision: bf16, device: mps}"), [compress])


def named(path: Path) -> str:
    return f"{{model: {{name: '{path}'}}}}"


@pytest.mark.parametrize("components", ["[ce]", "[ce, kl]"])
def test_a_student_of_another_tokenizer_is_refused_whatever_it_learns(
    components: str, tmp_path: Path, saved_t5: Callable[..., Path], tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    teacher, student = saved_t5(tmp_path / "teacher"), saved_t5(tmp_path / "student")
    settings = f"{{model: {{name: '{student}'}}, loss: {{components: {components}}}}}"
    run, files = run_of(named(teacher), settings), RunLayout(tmp_path / "r")
    check_models(run, [CORPUS_JOB, TEACHER_JOB, STUDENT_JOB], files)
    other = train_tokenizer(["zebra quagga okapi"] * 9, len(tiny_tokenizer))
    assert len(other) < len(tiny_tokenizer)
    other.save_pretrained(student)
    with pytest.raises(UserError, match=rf"^variants\.v\.model\.name: {student}: was made for another tokenizer"):
        check_models(run, [CORPUS_JOB, TEACHER_JOB, STUDENT_JOB], files)
    check_models(run, [CORPUS_JOB, TEACHER_JOB], files)


def test_a_student_is_compared_with_the_tokenizer_of_a_finished_corpus(
    tmp_path: Path, saved_t5: Callable[..., Path], tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    run, files = run_of("{model: {name: scratch}}", named(saved_t5(tmp_path / "student"))), RunLayout(tmp_path / "r")
    tiny_tokenizer.save_pretrained(files.corpus.tokenizer)
    check_models(run, [STUDENT_JOB], files)
    train_tokenizer(["zebra quagga okapi"] * 9, 320).save_pretrained(files.corpus.tokenizer)
    with pytest.raises(UserError, match="was made for another tokenizer"):
        check_models(run, [STUDENT_JOB], files)


def test_a_student_larger_than_any_tokenizer_of_the_run_is_refused(tmp_path: Path) -> None:
    run = run_of("{model: {name: scratch}}", "{model: {name: Salesforce/codet5-small}}")
    with pytest.raises(UserError, match="32100 vocabulary entries, the run's own tokenizer 2048 at most"):
        check_models(run, [CORPUS_JOB, STUDENT_JOB], RunLayout(tmp_path))
    check_models(run, [CORPUS_JOB, TEACHER_JOB], RunLayout(tmp_path))


def test_what_neither_is_here_nor_can_be_fetched_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(
        "{model: {name: hub/teacher}}", "{model: {name: hub/student}, loss: {semantic: {encoder: hub/encoder}}}"
    )
    jobs, files = [TEACHER_JOB, STUDENT_JOB], RunLayout(tmp_path)
    check_models(run, jobs, files)
    monkeypatch.setattr("assertkd.models.hub.is_reachable", lambda: False)
    with pytest.raises(UserError, match="snakemake prefetch_models") as refused:
        check_models(run, jobs, files)
    lines = refused.value.problem.splitlines()
    assert [line.partition(" (not in the hub's cache")[0] for line in lines] == [
        "teacher.model.name: hub/teacher: no model could be loaded",
        "variants.v.model.name: hub/student: no model could be loaded",
        "variants.v.loss: hub/encoder: no text encoder could be loaded",
    ]


def test_tokenizers_that_cannot_be_fetched_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assertkd.models.hub.is_reachable", lambda: False)
    run = run_of("{model: {name: scratch}}", rest=", tokenizer: {name: hub/tokenizer}")
    with pytest.raises(
        UserError, match=r"tokenizer.name: hub/tokenizer: no tokenizer could be loaded \(not in the hub"
    ):
        check_models(run, [CORPUS_JOB], RunLayout(tmp_path))
    own = "{model: {name: scratch, tokenizer: {name: hub/own}}, targets: teacher, loss: {components: [ce]}}"
    run = run_of("{model: {name: scratch}}", own)
    with pytest.raises(
        UserError, match=r"variants.v.model.name: hub/own: no tokenizer could be loaded \(not in the hub"
    ):
        check_models(run, [STUDENT_JOB], RunLayout(tmp_path))


def test_every_unusable_model_is_named_by_its_key(tmp_path: Path, saved_t5: Callable[..., Path]) -> None:
    teacher, student, encoder = saved_t5(tmp_path / "t"), saved_t5(tmp_path / "s"), tmp_path / "encoder"
    (teacher / "model.safetensors").write_bytes(b"")
    (student / "config.json").write_text('{"model_type": "chatglm", "auto_map": {"AutoConfig": "x.Y"}}')
    encoder.mkdir()
    (encoder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    run = run_of(named(teacher), named(student), f", evaluation: {{encoder: '{encoder}'}}")
    score = PlannedJob("score", {"run": "r", "model": "teacher"}, (), "")
    with pytest.raises(UserError) as refused:
        check_models(run, [CORPUS_JOB, TEACHER_JOB, STUDENT_JOB, score], RunLayout(tmp_path))
    first, second, third = refused.value.problem.splitlines()
    assert first.startswith(f"teacher.model.name: {teacher}: the weights could not be loaded (model.safetensors: ")
    assert second.startswith(f"variants.v.model.name: {student}: is a 'chatglm' model")
    assert third == f"evaluation.encoder: {encoder}/model.safetensors: is a pointer of git-lfs, not the file itself"
    assert "\n" not in refused.value.remedy


def test_a_folder_that_is_not_there_is_named_before_the_first_job(tmp_path: Path) -> None:
    run = run_of(named(tmp_path / "absent"))
    with pytest.raises(UserError, match=rf"^teacher\.model\.name: {tmp_path}/absent: no such folder"):
        check_models(run, [CORPUS_JOB, TEACHER_JOB], RunLayout(tmp_path))


def test_models_of_the_hub_that_are_not_here_are_left_to_their_jobs(tmp_path: Path) -> None:
    check_models(
        run_of(student="{model: {name: un/known}}"), [CORPUS_JOB, TEACHER_JOB, STUDENT_JOB], RunLayout(tmp_path)
    )


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


def test_predictions_of_other_systems_are_read_before_the_first_job(tmp_path: Path) -> None:
    files = RunLayout(tmp_path / "r")
    texts = {"good": "fail ( )\nfail ( )\n", "empty": "", "foreign": "fail ( )\n\xff\n", "short": "fail ( )\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="latin-1")
    jobs = [PlannedJob("import_predictions", {"run": "r", "system": name}, (), "") for name in texts]
    named = ", ".join(f"{name}: '{tmp_path / name}'" for name in texts)
    run = run_of(rest=f", evaluation: {{external: {{{named}}}}}")
    check_predictions(run, [CORPUS_JOB], files)
    unreadable = [
        f"evaluation.external.empty: {tmp_path}/empty: is empty",
        f"evaluation.external.foreign: {tmp_path}/foreign:2: not UTF-8",
    ]
    with pytest.raises(UserError) as refused:
        check_predictions(run, [CORPUS_JOB, *jobs], files)
    assert refused.value.problem.splitlines() == unreadable
    record = Record("one", "int f() { return 1; }", f"@Test void t() {{ {MARKER} }}", "fail();")
    write_records(files.corpus.test, [record, replace(record, id="two")])
    with pytest.raises(UserError) as refused:
        check_predictions(run, jobs, files)
    assert refused.value.problem.splitlines() == [
        *unreadable,
        f"evaluation.external.short: {tmp_path}/short: 1 line for 2 examples",
    ]


def test_folders_to_pretrain_on_are_checked_before_the_corpus_is_made(tmp_path: Path) -> None:
    inner, file = tmp_path / "some/inner", tmp_path / "A.java"
    inner.mkdir(parents=True)
    file.touch()
    (inner / "B.java").touch()
    (tmp_path / "empty").mkdir()
    named = f"[{inner.parent}, {inner}, {file}, {tmp_path / 'empty'}]"
    run = run_of(rest=f", data: {{source: embedded}}, teacher: {{pretrain: {{java_sources: {named}}}}}")
    files = RunLayout(tmp_path / "r")
    with pytest.raises(UserError) as refused:
        check_files(run, files)
    assert refused.value.problem.splitlines() == [
        f"teacher.pretrain.java_sources: {inner}: lies in {inner.parent}, or holds it",
        f"teacher.pretrain.java_sources: {file}: is a file, no folder",
        f"teacher.pretrain.java_sources: {tmp_path / 'empty'}: no Java file",
    ]
    files.pretrain.folder.mkdir(parents=True)
    files.pretrain.report.touch()
    check_files(run, files)
    # Where jobs are known, they say what is read.
    check_files(run, files, jobs=[CORPUS_JOB])
    with pytest.raises(UserError, match="no Java file"):
        check_files(run, files, jobs=[PlannedJob("prepare_pretraining", {"run": "r"}, (), "")])
