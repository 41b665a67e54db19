"""What one GPU says of the project: do its CUDA paths work, what does a step cost, and what does a run at 60M reach?

    python benchmarks/gpu/kit.py pack FOLDER --run demo --records data.jsonl --tokenizer codet5-tokenizer/
    python benchmarks/gpu/kit.py run --output FOLDER --run demo --records data.jsonl --tokenizer codet5-tokenizer/
    python benchmarks/gpu/kit.py run --output FOLDER --toy      every step on the CPU at toy size; a few minutes

`pack` writes the project as committed, the records, the tokenizer and `run.sh` to a folder for a machine without
network, on which Python has torch with CUDA and the packages of requirements.lock. `run` first says what of this is
missing, then takes these steps, none of which needs a network:

    paths          the tests marked `cuda`: losses, codecs, sampling, on-policy, precisions, resume, NCCL, export
    losses 60M     `loss_cost.py`: a step of kl, jsd and trident against ce; likewise 220M
    cache 60M      `training_throughput.py`: from the cache against the predecessor's JSONL, an online teacher and ce;
                   likewise 220M
    table          the run that --run names, its models of 220M and 60M, on the records, in the minutes that are left

FOLDER then has `gpu.json` (machine, and of each step command, seconds, exit code and output) and `gpu.md`, the same to
read. The table continues from its checkpoints when the same command is given again; the other steps start again.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from assertkd.cluster.cuda import measure_cuda
from assertkd.doctor import LOCKS, packages
from assertkd.errors import UserError
from assertkd.files import write_json, write_text

PROJECT = Path(__file__).parents[2]
BENCHMARKS = PROJECT / "benchmarks"
TEACHER = {"d_model": 768, "d_ff": 3072, "heads": 12, "encoder_layers": 12, "decoder_layers": 12}
STUDENT = {"d_model": 512, "d_ff": 2048, "heads": 8, "encoder_layers": 6, "decoder_layers": 6}
CHECKS = 0.75
"""Share of the minutes that the steps before the table may take; each is stopped at what is left of it."""
GRACE = 60.0
"""Seconds that the processes of a step have to save in, once its time is up."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was run, and what it printed."""

    name: str
    command: str
    seconds: float
    exit_code: int | None
    output: str


def check(options: argparse.Namespace) -> None:
    """Refuse options that no step could use, before the first one starts.

    Raises:
        UserError: a file, folder or run is missing, or no time is given.
    """
    if options.records is not None and not options.records.is_file():
        raise UserError(f"--records {options.records}: no such file", "Name a JSONL file.")
    if options.tokenizer is not None and not options.tokenizer.is_dir():
        raise UserError(f"--tokenizer {options.tokenizer}: no such folder", "Name a tokenizer's folder.")
    if not options.minutes > 0:
        raise UserError(f"--minutes {options.minutes:g}: no time", "Give more than 0.")
    config = yaml.safe_load((PROJECT / "config.yaml").read_text(encoding="utf-8"))
    runs = config["runs"]
    if options.run not in runs:
        raise UserError(f"--run {options.run}: no such run in config.yaml", f"Name one of {', '.join(runs)}.")
    data = (config.get("data") or {}) | (runs[options.run].get("data") or {})
    if options.records is None and data.get("source") == "files" and data.get("train_file") is None:
        raise UserError(f"--run {options.run}: has no records of its own", "Name them with --records FILE.jsonl.")


def commands(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the command of each step but the table, by name."""
    python, device = sys.executable, "cpu" if options.toy else "cuda"
    inputs: list[str] = []
    for name, path in (("--records", options.records), ("--tokenizer", options.tokenizer)):
        inputs += [name, str(path.absolute())] if path is not None else []
    cost = [python, str(BENCHMARKS / "loss_cost.py"), "--device", device, "--losses", "kl", "jsd", "trident", *inputs]
    cache = [python, str(BENCHMARKS / "training_throughput.py"), "--device", device, *inputs]
    paths = [python, "-m", "pytest", "-q", "-m", "cuda", "tests/training/test_gpu_paths.py"]
    if options.toy:
        few = ["--rounds", "1"]
        return {
            "paths": paths,
            "losses demo": [*cost, "--size", "demo", "--warm-steps", "2", "--examples", "144", *few],
            "cache demo": [*cache, "--steps", "3", *few],
        }
    return {
        "paths": paths,
        "losses 60M": [*cost, "--size", "60M"],
        "losses 220M": [*cost, "--size", "220M"],
        "cache 60M": [*cache, "--size", "paper", "--rounds", "5"],
        "cache 220M": [*cache, "--size", "large", "--rounds", "3"],
    }


def table(options: argparse.Namespace) -> list[str]:
    """Write the config of the table's run beside the results, and return the command that makes it."""
    config: dict[str, Any] = yaml.safe_load((PROJECT / "config.yaml").read_text(encoding="utf-8"))
    run = config["runs"][options.run]
    if options.records is not None:
        run["data"] = (run.get("data") or {}) | {"source": "files", "train_file": str(options.records.absolute())}
    if options.tokenizer is not None:
        run["tokenizer"] = {"name": str(options.tokenizer.absolute())}
    if not options.toy:
        run["teacher"]["model"] = {"name": "scratch", "scratch": TEACHER}
        # Adapters would leave random weights frozen.
        run["teacher"].pop("lora", None)
        run["distillation"]["model"] = {"name": "scratch", "scratch": STUDENT}
    path = options.output.absolute() / "config.yaml"
    write_text(path, yaml.safe_dump(config, sort_keys=False))
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"), "--rerun-incomplete"),
        *("--profile", str(PROJECT / "profiles/local"), "--configfile", str(path), "--config", f"run={options.run}"),
        *("--directory", str(options.output.absolute())),
    ]


def take(name: str, command: list[str], seconds: float, folder: Path) -> Step:
    """Run a step for at most so many seconds."""
    print(f"{name}: {shlex.join(command)}", file=sys.stderr, flush=True)
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "HF_HUB_OFFLINE": "1"}
    if os.environ.get("ASSERTKD_GPU_TESTS") is None and not torch.cuda.is_available():
        environment["ASSERTKD_GPU_TESTS"] = "cpu"
    started = time.monotonic()
    log = folder / f"{name.replace(' ', '_')}.log"
    with log.open("w", encoding="utf-8") as handle:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=handle, stderr=subprocess.STDOUT, start_new_session=True
        )
        exit_code: int | None = None
        try:
            with suppress(subprocess.TimeoutExpired):
                exit_code = process.wait(max(seconds, 1.0))
        finally:
            if exit_code is None:
                end(process)
    return Step(name, shlex.join(command), round(time.monotonic() - started, 1), exit_code, log.read_text("utf-8"))


def end(process: subprocess.Popen[bytes]) -> None:
    """End a step with all its processes.

    Snakemake alone would wait for its jobs; told themselves, they save, and continue with the next call.
    """
    os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def page(machine: dict[str, Any], steps: list[Step], leaderboard: str) -> str:
    """Return everything as Markdown."""
    parts = ["# On one GPU", "", "```json", json.dumps(machine, indent=2), "```", ""]
    parts += ["| step | seconds | result |", "| --- | ---: | --- |"]
    results = {None: "stopped: its time was up", 0: "done"}
    parts += [f"| {s.name} | {s.seconds:.0f} | {results.get(s.exit_code, f'failed ({s.exit_code})')} |" for s in steps]
    for step in steps:
        parts += ["", f"## {step.name}", "", "```", f"$ {step.command}", *step.output.splitlines()[-40:], "```"]
    return "\n".join([*parts, "", "## Leaderboard", "", "```", leaderboard, "```", ""])


def run(options: argparse.Namespace) -> int:
    """Take all steps; return 0 where each was done or stopped in time."""
    options.output.mkdir(parents=True, exist_ok=True)
    for finding in packages(LOCKS):
        print(f"{finding.subject}: {finding.found} {finding.meaning}", file=sys.stderr)
        if finding.is_fault:
            raise UserError(f"{finding.subject}: {finding.found}", finding.meaning)
    machine: dict[str, Any] = {"torch": torch.__version__, "device": "cpu"}
    if not options.toy:
        measure_cuda(options.output / "cuda.json")
        machine = json.loads((options.output / "cuda.json").read_text(encoding="utf-8"))
    started, last = time.monotonic(), table(options)
    steps = []
    for name, command in commands(options).items():
        left = 60 * options.minutes * CHECKS - (time.monotonic() - started)
        steps.append(take(name, command, left, options.output))
    steps.append(take("table", last, 60 * options.minutes - (time.monotonic() - started), options.output))
    report = options.output / "results" / options.run / "report" / "leaderboard.csv"
    leaderboard = report.read_text(encoding="utf-8") if report.is_file() else "none yet: give the same command again"
    found = {"machine": machine, "steps": [asdict(step) for step in steps], "leaderboard": leaderboard}
    write_json(options.output / "gpu.json", found)
    write_text(options.output / "gpu.md", page(machine, steps, leaderboard))
    print(options.output / "gpu.md")
    return int(any(step.exit_code for step in steps))


def pack(options: argparse.Namespace) -> int:
    """Write what `run` needs to a folder."""
    if options.folder.exists():
        raise UserError(f"{options.folder}: exists already", "Name another folder.")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=PROJECT, capture_output=True)
    if archive.returncode:
        raise UserError(f"{PROJECT}: is no git repository", "Pack from a clone of the project, not from a copy.")
    project = options.folder.absolute() / "project"
    project.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(project)], input=archive.stdout, check=True)
    arguments = ["--run", options.run, "--minutes", f"{options.minutes:g}"]
    if options.records is not None:
        shutil.copy(options.records, options.folder / "records.jsonl")
        arguments += ["--records", "records.jsonl"]
    if options.tokenizer is not None:
        shutil.copytree(options.tokenizer, options.folder / "tokenizer")
        arguments += ["--tokenizer", "tokenizer"]
    script = options.folder / "run.sh"
    write_text(
        script,
        "#!/bin/sh\n# Needs a python with torch for CUDA and the packages of project/requirements.lock.\n"
        'cd "$(dirname "$0")" && PYTHONPATH=project/src exec "${PYTHON:-python}" project/benchmarks/gpu/kit.py run '
        f'--output results {shlex.join(arguments)} "$@"\n',
    )
    script.chmod(0o755)
    return 0


def main() -> int:
    """Read the options and do what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, function in (("run", run), ("pack", pack)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--run", default="demo", help="a run of config.yaml, the table's")
        command.add_argument("--records", type=Path, help="JSONL of records; without it those of the run")
        command.add_argument("--tokenizer", type=Path, help="folder of a tokenizer; without it one is trained")
        command.add_argument("--minutes", type=float, default=10.0, help="for all steps together")
        if name == "run":
            command.add_argument("--output", type=Path, required=True)
            command.add_argument("--toy", action="store_true", help="on the CPU, at toy size")
        else:
            command.add_argument("folder", type=Path)
    options = parser.parse_args()
    try:
        check(options)
        return int(options.function(options))
    except UserError as fault:
        print(f"Error: {fault.problem}\n{fault.remedy}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
