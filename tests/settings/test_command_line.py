"""What Snakemake would drop, or break on, of its `--configfile` and `--config` is refused before it reads them."""

import subprocess
import sys
from pathlib import Path

import pytest

from assertkd.settings.command_line import check_command_line

SHELL_SYNTAX = ["$(id)", "`id`", "${HOME}", "a\\", """it's "so\"""", "one\ntwo", "\x1b[0m"]


@pytest.mark.parametrize("named", [["--configfile", "{}"], ["--configfiles={}"], ["--configfile", "good.yaml", "{}"]])
def test_the_files_of_a_command_line_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text("a: 1")
    Path("bad.yaml").write_text("a: 1\na: 2")
    for file in ("good.yaml", "bad.yaml"):
        arguments = [part.format(file) for part in named]
        monkeypatch.setattr(sys, "argv", ["snakemake", "--cores", "1", *arguments, "--config", "run=x", "--", "all"])
        if file == "good.yaml":
            check_command_line()
        else:
            with pytest.raises(SystemExit):
                check_command_line()
    assert capsys.readouterr().err == (
        "Error: bad.yaml:2: the key `a` stands twice, first in line 1\nCorrect that line.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "problem", "remedy"),
    [
        (["--config", "run=a", "--config", "seeds=[7]"], "--config stands twice", "Give all behind one --config."),
        (["-C", "run=a", "-C", "seeds=[7]"], "--config stands twice", "Give all behind one --config."),
        (
            ["--configfile", "a.yaml", "--configfile", "b.yaml"],
            "--configfile stands twice",
            "Give all behind one --configfile.",
        ),
        (["--config", "teacher"], "--config teacher: is not key=value", "stand behind `--`."),
        (["--config", "run=a", "results/a/x.json"], "--config results/a/x.json: is not", "stand behind `--`."),
        (["--config", "a.b=it's"], "--config a.b=it's: is not key=value", "stand behind `--`."),
        (["--config", ".x=1"], "--config .x=1: is not key=value", "stand behind `--`."),
        (
            ["--config", "teacher.training.max_steps=5"],
            "--config teacher.training.max_steps=5: is not key=value",
            "Write teacher='{training: {max_steps: 5}}'.",
        ),
    ],
)
def test_options_that_snakemake_drops_or_breaks_on_are_refused(
    arguments: list[str],
    problem: str,
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["snakemake", *arguments])
    with pytest.raises(SystemExit):
        check_command_line()
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"Error: {problem}")
    assert said[1].endswith(remedy)


@pytest.mark.parametrize("value", SHELL_SYNTAX)
@pytest.mark.parametrize("flag", ["--config", "-C"])
def test_a_value_that_a_shell_would_read_is_refused_on_a_cluster(
    value: str, flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["snakemake", flag, "run=x", f"report={{title: {value}}}", "--cores", "1"])
    check_command_line()
    with pytest.raises(SystemExit):
        check_command_line(executor="slurm")
    printed = capsys.readouterr().err
    assert printed.startswith("Error: --config report: a shell on the way to the cluster's job would read ")
    assert printed.endswith(
        "\nWrite the value into a file, there under `runs` and the run's name, and name that with --configfile.\n"
    )
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--executor", "slurm"])
    with pytest.raises(SystemExit):
        check_command_line()
    monkeypatch.setattr(sys, "argv", [*sys.argv[:-1], "local"])
    check_command_line(executor="slurm")


@pytest.mark.parametrize(
    "value", ["a; touch b", "Ben's", 'data={train_file: "a b.jsonl"}', "a & b > c | d", "été", "#!"]
)
def test_what_the_submission_s_quotes_protect_reaches_a_job(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["snakemake", "--config", f"title={value}"])
    check_command_line(executor="slurm")
    wrapped = repr(f"title={value}").replace('"', '\\"')  # as Snakemake and the executor plugin quote it
    command = subprocess.run(["sh", "-c", f'printf %s "{wrapped}"'], capture_output=True, text=True, check=True).stdout
    argument = subprocess.run(["sh", "-c", f"printf %s {command}"], capture_output=True, text=True, check=True).stdout
    assert argument == f"title={value}"
