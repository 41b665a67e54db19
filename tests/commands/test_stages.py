"""The commands of the stages: the run that options make and where it is kept, and what the workflow is asked for."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from assertkd.cli import parser_for
from assertkd.commands.run_config import RunConfig, run_config
from assertkd.commands.stages import STAGES, targets_of
from assertkd.errors import UserError
from assertkd.settings import RunSettings, load_config, load_run
from assertkd.settings.section import merged_over

CONFIG: dict[str, Any] = {
    "run": "demo",
    "runs": {"demo": {"data": {"labelled_share": 0.5}}},
    "variants": {"hard": {"loss": {"components": ["ce"]}}, "soft": {"training": {"lr": 0.1}}},
}

GENERATED = ("--data.source", "embedded")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def chosen(*arguments: str, config: dict[str, Any] = CONFIG, keep: bool = False) -> RunConfig:
    """Return the run of a command line; with `keep` its config is written as the command does."""
    found = run_config(parser_for(arguments).parse_args(arguments), config)
    if keep and found.file is not None:
        found.file.parent.mkdir(parents=True, exist_ok=True)
        found.file.write_text(found.text(), encoding="utf-8")
    return found


def resolved(*arguments: str, config: dict[str, Any] = CONFIG) -> tuple[RunSettings, list[str]]:
    """Return the run of a command line, and the files that it asks for without the folder of results."""
    options = parser_for(arguments).parse_args(arguments)
    run = run_config(options, config).run
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


def test_the_whole_config_is_kept_for_later_commands() -> None:
    mine = ("--output_dir", "results/mine")
    first = chosen("distill", *mine, "--train_data_path", "r.jsonl", "--lr", "0.5", "--seeds", "1", keep=True)
    kept = load_config(Path("results/mine/config.yaml"))
    assert load_run(merged_over(CONFIG, kept)) == first.run, "it is the run"
    below, student = kept["runs"]["mine"], kept["variants"]["student"]
    assert (below["data"]["train_file"], below["data"]["max_input_len"], below["seeds"]) == ("r.jsonl", 512, [1])
    assert (student["training"]["lr"], student["training"]["batch_size"]) == (0.5, 4)
    run, targets = resolved("score", *mine, "--student_limit", "9")
    assert (run.variants["student"].training.lr, run.evaluation.limit, run.seeds) == (0.5, 9, (1,))
    assert targets == [
        "evaluation/teacher/metrics_summary_final.json",
        "evaluation/students/student/seed1/metrics_summary_final.json",
    ]
    _, one = resolved("score", "--student_model_path", "results/mine/students/student/seed1/final_model")
    assert one == targets[1:]


def test_a_kept_config_may_be_edited_and_stays_what_it_was(folder: Path) -> None:
    mine = ("--output_dir", "results/mine")
    chosen("distill", *mine, "--train_data_path", "r.jsonl", "--alpha", "0.3", "--loss_function", "enhanced", keep=True)
    file = folder / "results/mine/config.yaml"
    kept = load_config(file)
    kept["runs"]["mine"]["data"]["max_input_len"] = 300
    del kept["variants"]["student"]["training"]["batch_size"]
    file.write_text(yaml.safe_dump(kept), encoding="utf-8")
    run = chosen("report", *mine, config=CONFIG | {"data": {"max_output_len": 60}}).run
    assert (run.data.max_input_len, run.data.max_output_len) == (300, 128), "no default of today enters"
    assert (run.variants["student"].training.batch_size, run.variants["student"].loss.alpha) == (4, 0.3)
    file.write_text("run: mine\nruns: {mine: }\nvariants: {student: {}}\n", encoding="utf-8")
    assert list(chosen("report", *mine).run.variants) == ["student"]
    file.write_text("run: other\nruns: {other: {}}\n", encoding="utf-8")
    with pytest.raises(UserError, match="is not the config of the run `mine`"):
        chosen("report", *mine)


def test_defaults_that_depend_on_an_option_follow_it() -> None:
    mine = ("--output_dir", "results/mine")
    chosen("distill", *mine, "--train_data_path", "r.jsonl", "--semantic_loss_scale", "3", keep=True)
    loss = chosen("distill", *mine, "--distillation.loss.preset", "original", keep=True).run.variants["student"].loss
    assert (loss.temperature, loss.focal.alpha, loss.semantic.scale) == (4.0, 0.25, 3.0)
    loss = chosen("distill", *mine, "--distillation.loss.preset", "measured").run.variants["student"].loss
    assert (loss.temperature, loss.semantic.scale) == (1.0, 3.0)


@pytest.mark.parametrize(
    "options",
    [
        ("--distillation.loss.preset", "original"),
        ("--distillation.loss.preset", "original", "--temperature", "1", "--semantic_loss_scale", "3"),
        ("--variant", "plain", "tuned"),
    ],
)
def test_a_command_without_options_changes_nothing(options: tuple[str, ...]) -> None:
    mine = ("--output_dir", "results/mine")
    first = chosen("distill", *mine, *GENERATED, *options, keep=True).run
    assert chosen("distill", *mine, keep=True).run == first
    assert chosen("score", *mine).run == first


def test_a_variant_with_defaults_alone_stays_beside_a_changed_one() -> None:
    mine = ("--output_dir", "results/mine")
    chosen("distill", *mine, *GENERATED, "--variant", "plain", "tuned", keep=True)
    variants = chosen("distill", *mine, "--variant", "tuned", "--lr", "1e-3").run.variants
    assert {name: variant.training.lr for name, variant in variants.items()} == {"plain": 3e-5, "tuned": 1e-3}


def test_where_settings_come_from_and_what_differs_is_said() -> None:
    mine = ("--output_dir", "results/mine")
    new = chosen("distill", *mine, "--train_data_path", "r.jsonl", keep=True).statement
    assert new[0].startswith("Run `mine`: new")
    assert new[1] == (
        "Records: r.jsonl. Teacher: Salesforce/codet5p-770m, fine-tuned. Students: student (Salesforce/codet5p-220m); "
        "seeds 42."
    )
    assert chosen("score", *mine).statement[:-1] == ("Run `mine`: settings of results/mine/config.yaml",)
    assert chosen("distill", *mine, "--lr", "0.1").statement[:-1] == (
        "Run `mine`: settings of results/mine/config.yaml, changed in:",
        "  variants.student.training.lr: 0.1, was 3e-05",
    )
    assert chosen("score", "--run", "demo").statement[0] == "Run `demo`: settings of config.yaml (runs.demo)"
    assert chosen("score", "--run", "demo", "--student_limit", "5").statement[:-1] == (
        "Run `demo`: settings of config.yaml (runs.demo), for this command alone changed in:",
        "  evaluation.limit: 5, was null",
    )


def test_options_are_taken_back() -> None:
    mine = ("--output_dir", "results/mine")
    options = ("--train_data_path", "r.jsonl", "--lr", "0.5", "--pin_memory", "--fp16", "--max_input_len", "300")
    chosen("distill", *mine, *options, "--seeds", "1", keep=True)
    run = chosen("distill", *mine, "--no-pin_memory", "--no-fp16").run
    training = run.variants["student"].training
    assert (training.pin_memory, training.precision, training.lr) == (False, "fp32", 0.5)
    run = chosen("distill", *mine, "--reset", "lr", "data.max_input_len", "seeds").run
    assert (run.variants["student"].training.lr, run.data.max_input_len, run.seeds) == (3e-5, 512, (42,))
    assert (run.data.train_file, run.variants["student"].training.pin_memory) == ("r.jsonl", True)
    training = chosen("distill", *mine, "--reset", "distillation").run.variants["student"].training
    assert (training.lr, training.precision) == (3e-5, "fp32")
    run = chosen("distill", *mine, "--reset", "--train_data_path", "other.jsonl").run
    assert (run.data.train_file, run.variants["student"].training.lr) == ("other.jsonl", 3e-5)


def test_a_reset_alone_does_not_exchange_the_records() -> None:
    mine, generated = ("--output_dir", "results/mine"), ("--output_dir", "results/generated")
    chosen("distill", *mine, "--train_data_path", "r.jsonl", "--max_input_len", "300", keep=True)
    for key in ("data", "data.source"):
        with pytest.raises(UserError, match="no records are named for this run"):
            chosen("distill", *mine, "--reset", key)
    assert chosen("distill", *mine, "--reset", "data", "--train_data_path", "s.jsonl").run.data.train_file == "s.jsonl"
    assert chosen("distill", *mine, "--reset", "data", *GENERATED).run.data.source == "embedded"
    chosen("distill", *generated, *GENERATED, "--max_input_len", "300", keep=True)
    assert chosen("distill", *generated, "--reset", "data").run.data.max_input_len == 512


def test_a_fault_names_where_it_is_from(folder: Path) -> None:
    mine = ("--output_dir", "results/mine")
    chosen("distill", *mine, *GENERATED, keep=True)
    with pytest.raises(UserError) as refused:
        chosen("distill", *mine, "--evaluation.limit", "0")
    assert "Fix the options" in refused.value.remedy
    file = folder / "results/mine/config.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "varians: {}\n", encoding="utf-8")
    with pytest.raises(UserError) as refused:
        chosen("distill", *mine)
    assert "varians: unknown key" in refused.value.problem
    assert "Fix results/mine/config.yaml" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "holds no keys"),
        ("- mine", "holds no keys"),
        ("runs: 5", "runs: must hold keys, not 5"),
        ("run: mine\nruns: 5", "runs: must hold keys, not 5"),
        ("run: mine\nruns: [mine]", "runs: must hold keys, not ['mine']"),
        ("run: mine\nruns: {mine: 5}", "runs.mine: must hold keys, not 5"),
        ("run: mine\nruns: {mine: {data: 5}}", "runs.mine.data: must hold keys, not 5"),
        ("run: mine\nruns: {mine: {variants: a}}\nvariants: {a: }", "runs.mine.variants: must be a list of names"),
        ("run: mine\nruns: {mine: }\nvariants: [a]", "variants: must hold keys, not ['a']"),
        ("run: mine\nruns: {mine: }\nvariants: {a: 5}", "variants.a: must hold keys, not 5"),
        ("run: mine\nruns: {mine: }\nvariants: {a: {loss: 5}}", "variants.a.loss: must hold keys, not 5"),
        ("run: mine\nruns: {mine: }\ndata: 5", "data: must hold keys, not 5"),
        ("run: mine\nruns: {mine: }\nruns: {}", ":3: the key `runs` stands twice, first in line 2"),
        ("run: mine\nruns: {mine: {", ":2: not valid YAML"),
        ("runs: {mine: }", "is not the config of the run `mine`"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--reset",), ("--reset", "data", "lr"), ("--train_data_path", "r.jsonl")])
def test_a_broken_kept_config_is_said_in_two_lines_with_its_file_and_key(
    folder: Path, text: str, fault: str, options: tuple[str, ...]
) -> None:
    file = folder / "results/mine/config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        chosen("distill", "--output_dir", "results/mine", *options)
    assert fault in refused.value.problem
    assert "results/mine/config.yaml" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 2


SLOW_SNAKEMAKE = f"""#!{sys.executable}
import signal, time
from pathlib import Path
# Tests that a shell runs in the background ignore it, and so would this process.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    print("started", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)
    Path("cleaned up").touch()
"""
COMMAND = """
import argparse, sys
from assertkd.cli import main
from assertkd.commands import stages
from assertkd.dry_run import DryRun
stages.dry_run = lambda arguments: DryRun(argparse.Namespace(executor=None), True, "", ())
sys.executable = "./slow"
main(["report", "--run", "demo"])
"""


def test_ctrl_c_gives_snakemake_the_time_to_clean_up(folder: Path) -> None:
    (folder / "Snakefile").touch()
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    (folder / "slow").write_text(SLOW_SNAKEMAKE, encoding="utf-8")
    (folder / "slow").chmod(0o755)
    command = [sys.executable, "-c", COMMAND]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        said = next((line for line in process.stdout if line == "started\n"), None)
        assert said is not None, "the command ended"
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
    assert (folder / "cleaned up").exists()


def test_a_key_to_reset_must_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chosen("distill", "--reset", "epoch")
    assert "epoch: not a key of the config (did you mean `epochs`?)" in capsys.readouterr().err


def test_options_for_several_variants_are_written_out_for_each() -> None:
    settings = ["--lr", "0.2", "--loss_components", "ce", "kl"]
    text = chosen("distill", "--run", "demo", "--variant", "hard", "soft", *settings).text()
    assert "&" not in text
    expected = {"loss": {"components": ["ce", "kl"]}, "training": {"lr": 0.2}}
    assert yaml.safe_load(text)["variants"] == {"hard": expected, "soft": expected}


def test_a_run_of_the_config_is_taken_as_it_is() -> None:
    run, targets = resolved("predict", "--run", "demo", "--device", "cpu")
    assert (run.data.labelled_share, list(run.variants), run.evaluation.device) == (0.5, ["hard", "soft"], "cpu")
    assert len(targets) == 3
    _, searched = resolved("predict", "--run", "demo", "--device", "cpu", "--evaluation.nearest_record", "true")
    assert set(searched) - set(targets) == {"evaluation/external/nearest_record/predictions.jsonl"}
    run, targets = resolved("distill", "--run", "demo", "--variant", "soft", "--lr", "0.2")
    assert (run.variants["soft"].training.lr, run.variants["hard"].training.lr) == (0.2, 3e-5)
    assert targets == ["students/soft/seed42/training_report.json"]


def test_files_with_logits_stand_in_for_a_teacher(folder: Path) -> None:
    line = {"focal_method": "f", "teacher_logits_compressed": "x"}
    (folder / "train.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    run, _ = resolved("distill", "--train_data_path", "train.jsonl", "--val_data_path", "v.jsonl")
    assert run.data.distillation_jsonl.model_dump() == {"train": "train.jsonl", "validation": "v.jsonl", "test": None}
    assert (run.logits.codec, run.tokenizer.name) == ("dense", "Salesforce/codet5p-770m")
    (folder / "served.jsonl").write_text('{"teacher_logprobs": []}\n', encoding="utf-8")
    served, _ = resolved("distill", "--train_data_path", "served.jsonl", "--output_dir", "results/served")
    assert (served.data.distillation_jsonl.train, served.logits.codec) == ("served.jsonl", "topk")
    named = ("distill", "--train_data_path", "train.jsonl", "--tokenizer.name", "t", "--logits.codec", "topk")
    chosen(*named, keep=True)
    again, _ = resolved("distill", "--train_data_path", "train.jsonl", "--val_data_path", "train.jsonl")
    assert (again.logits.codec, again.tokenizer.name) == ("topk", "t"), "naming files again resets nothing"
    assert again.data.distillation_jsonl.validation == "train.jsonl"
    with pytest.raises(UserError, match=r"data.train_file: plain.jsonl has no effect: data.distillation_jsonl"):
        resolved("distill", "--train_data_path", "plain.jsonl")
    with pytest.raises(UserError) as refused:
        resolved("distill", "--train_data_path", "plain.jsonl")
    remedy = refused.value.remedy.removesuffix(".").partition("--reset ")[2].split()
    plain, _ = resolved("distill", "--train_data_path", "plain.jsonl", "--reset", *remedy)
    new, _ = resolved("distill", "--train_data_path", "plain.jsonl", "--output_dir", "results/new")
    assert (plain.data, plain.logits, plain.tokenizer) == (new.data, new.logits, new.tokenizer)
    with pytest.raises(UserError, match="no records are named for this run"):
        resolved("distill", "--reset", *remedy)


def remedy(*arguments: str, config: dict[str, Any] = CONFIG) -> str:
    """Return the remedy of a command that is refused."""
    with pytest.raises(UserError) as refused:
        chosen(*arguments, config=config)
    return refused.value.remedy


@pytest.mark.parametrize("command", list(STAGES))
def test_remedies_name_options_that_the_command_accepts(command: str) -> None:
    external = merged_over(CONFIG, {"runs": {"demo": {"data": {"distillation_jsonl": {"train": "t.jsonl"}}}}})
    for text in (
        remedy(command),
        remedy(command, *GENERATED, "--data.test_file", "r.jsonl"),
        remedy(command, "--run", "demo", "--data.test_file", "r.jsonl"),
        remedy(command, "--run", "demo", "--data.test_file", "r.jsonl", config=external),
        remedy(command, "--output_dir", "results/no name"),
    ):
        for option in re.findall(r"--\w[\w.]* [\w./]+\w", text):
            named = option.replace("--run NAME", "--run demo").split()
            chosen(command, *named, *(GENERATED if "--output_dir" in named else ()))


def test_an_external_teacher_of_a_configured_run_is_removed_in_the_config() -> None:
    external = merged_over(CONFIG, {"runs": {"demo": {"data": {"distillation_jsonl": {"train": "t.jsonl"}}}}})
    text = remedy("distill", "--run", "demo", "--train_data_path", "r.jsonl", config=external)
    assert "--reset" not in text, "which a run of config.yaml refuses"
    assert "config.yaml: data.distillation_jsonl logits.codec tokenizer.name" in text


def test_the_teacher_and_what_it_knows() -> None:
    assert resolved("prepare", *GENERATED)[1] == ["corpus/quality.json"]
    assert resolved("train-teacher", *GENERATED)[1] == ["teacher/training_report.json"]
    both = ["teacher/training_report.json", "logits/teacher_predictions.jsonl"]
    assert resolved("train-teacher", *GENERATED, "--generate_distillation_data")[1] == both
    assert resolved("train-teacher", *GENERATED, "--no-generate_distillation_data")[1] == both[:1]
    assert resolved("report", *GENERATED)[1] == ["report/report.html"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["distill", "--run", "absent"], "--run absent: not in config.yaml"),
        (["distill", "--run", "demo", "--lr", "1"], "which variant"),
        (["distill", "--run", "demo", "--output_dir", "results/mine"], "only one of them names the run"),
        (["distill", "--run", "demo", "--variant", "absent"], "--variant absent: not in the run `demo`"),
        (["distill", "--run", "demo", "--reset"], "--reset: options with a run of config.yaml hold for one command"),
        (["distill", "--output_dir", "elsewhere/mine"], "results stand in results/<name>"),
        (["distill", "--output_dir", "results/demo"], "`demo` is a run of config.yaml"),
        (["distill", *GENERATED, "--lr", "much"], "distillation.training.lr"),
        (["distill", "--lr", "0.1"], "no records are named for this run"),
        (
            ["score", "--run", "demo", "--data.test_file", "t.jsonl"],
            "data.test_file: t.jsonl has no effect",
        ),
        (["score", *GENERATED, "--student_model_path", "elsewhere/final_model"], "no model of the run `default`"),
    ],
)
def test_a_fault_of_the_user_is_said(arguments: list[str], problem: str) -> None:
    with pytest.raises(UserError) as fault:
        resolved(*arguments)
    assert problem in fault.value.problem or problem.removeprefix("distillation") in fault.value.problem
