"""The commands of the stages: each brings the results of a run up to date, up to its stage."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from assertkd.commands import predict_alone
from assertkd.commands.options import add_setting_options, settings_of
from assertkd.errors import UserError
from assertkd.files import write_text
from assertkd.jsonl import parse_object
from assertkd.layout import SPLITS, TEACHER, RunLayout, student_name
from assertkd.settings import RunSettings, load_config, load_run
from assertkd.settings.load import NAME
from assertkd.settings.original import ORIGINAL
from assertkd.settings.section import merged_over
from assertkd.validate import validate

CONFIG = Path("config.yaml")
RESULTS = Path("results")
REMEMBERED = "options.yaml"
"""File in the run's folder with the options of earlier commands, which apply to later ones too."""
STUDENT = "student"
"""Name of the variant in a run that options define."""
DISTILL, FINE_TUNE, EVALUATE = ORIGINAL


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as a command.

    Attributes:
        shown: sections of the config in its help.
        scripts: original scripts whose option names it accepts.
        files: its results below a run's folder, for each `{model}` or `{student}`.
    """

    shown: tuple[str, ...]
    scripts: tuple[str, ...]
    files: tuple[Path, ...]


FILES = RunLayout("")

STAGES = {
    "prepare": Stage(("data", "tokenizer"), (DISTILL, FINE_TUNE, EVALUATE), (FILES.corpus.quality,)),
    "train-teacher": Stage(("data", "teacher"), (FINE_TUNE,), (FILES.teacher.report,)),
    "compress": Stage(("logits",), (DISTILL, FINE_TUNE, EVALUATE), (FILES.logits.teacher_predictions,)),
    "distill": Stage(("data", "distillation"), (DISTILL,), (FILES.model("{student}").report,)),
    "predict": Stage(("evaluation",), (EVALUATE,), (FILES.evaluation("{model}").predictions,)),
    "score": Stage(("evaluation",), (EVALUATE,), (FILES.evaluation("{model}").summary,)),
    "report": Stage(("evaluation", "report"), (EVALUATE,), (FILES.report.page,)),
}

DESCRIPTION = """Brings the results of this stage and of the stages before it up to date: the workflow runs only what is
missing or outdated. --run names a run of config.yaml; without it, options and defaults define the run. Options are kept
in results/<run>/options.yaml: later commands on that run need not repeat them. Every key of the config is an option;
those of the stage are listed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments of the stage that its default `command` names."""
    stage = STAGES[parser.get_default("command")]
    parser.usage = f"{parser.prog} [--run NAME | --output_dir DIR] [--variant NAME …] [--<key> VALUE …]"
    parser.add_argument(
        "--run", dest="run_name", metavar="NAME", help="the run of config.yaml (default: one made of the options)"
    )
    parser.add_argument(
        "--output_dir",
        type=Path,
        metavar="DIR",
        help="results/<name> of a run made of options (default: results/default)",
    )
    parser.add_argument("--variant", nargs="+", metavar="NAME", help="only these variants of the run (default: all)")
    parser.add_argument(
        "--seeds", "--seed", nargs="+", type=int, metavar="N", help="one student for each (default: 42)"
    )
    if EVALUATE in stage.scripts:
        parser.add_argument(
            "--student_model_path",
            type=Path,
            metavar="DIR",
            help="only this final_model/ of the run (default: all models)",
        )
    if FINE_TUNE in stage.scripts:
        parser.add_argument(
            "--generate_distillation_data",
            action=argparse.BooleanOptionalAction,
            default=False,
            help="also store the teacher's logits, as compress does",
        )
    parser.add_argument(
        "--profile", default="profiles/local", metavar="DIR", help="of Snakemake (default: profiles/local)"
    )
    parser.add_argument("--dry-run", action="store_true", help="list the jobs that would run, and run nothing")
    add_setting_options(parser, stage.shown, stage.scripts)
    if parser.get_default("command") == "predict":
        predict_alone.add_arguments(parser)
        parser.usage += f"\n       {parser.prog} --model FOLDER --records FILE [--to FOLDER]"
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if getattr(options, "model", None) is not None:
        predict_alone.predict_alone(options)
        return
    config = load_config(CONFIG) if CONFIG.is_file() else {}
    if not config or not Path("Snakefile").is_file():
        raise UserError("no Snakefile and config.yaml here", "Run the command in the folder of the project.")
    changes = changed_config(options, config)
    run = load_run(merged_over(config, changes))
    validate(run)
    targets = list(targets_of(options, run))
    text = "# What options have set; each command adds to it.\n" + yaml.safe_dump(changes, sort_keys=False)
    call = [sys.executable, "-m", "snakemake", "--profile", options.profile]
    with TemporaryDirectory() as folder:
        # A dry run must not store the options.
        file = Path(folder) / REMEMBERED if options.dry_run else RESULTS / run.name / REMEMBERED
        write_text(file, text)
        call += ["--dry-run"] * options.dry_run + ["--configfile", str(file), "--", *targets]
        done = subprocess.run(call, check=False)
    if done.returncode:
        raise UserError(f"the workflow ended with exit code {done.returncode}", "What it said above names the fault.")


def changed_config(options: argparse.Namespace, config: dict[str, Any]) -> dict[str, Any]:
    """Return the options of this command and of earlier ones on the same run, as a config to merge over `config`.

    Raises:
        UserError: the run or the variant of an option is missing, or the folder is not that of a run.
    """
    name = _run_name(options)
    is_configured = options.run_name is not None
    if is_configured and name not in (config.get("runs") or {}):
        raise UserError(f"--run {name}: not in {CONFIG}", f"It has {', '.join(config.get('runs') or {})}.")
    file = RESULTS / name / REMEMBERED
    changes = load_config(file) if file.is_file() else {}
    settings = _with_external_teacher(settings_of(options))
    student = settings.pop("distillation", {})
    if options.seeds:
        settings["seeds"] = options.seeds
    if is_configured:
        if student and not options.variant:
            raise UserError(
                "which variant the options of `distillation` are for is not said",
                f"Name it with --variant, or edit {CONFIG}.",
            )
        chosen = options.variant if student else []
    else:
        earlier = changes.get("runs", {}).get(name, {}).get("variants")
        settings["variants"] = earlier or options.variant or [STUDENT]
        chosen = options.variant or settings["variants"]
    below = {"run": name, "runs": {name: settings}, "variants": {variant: deepcopy(student) for variant in chosen}}
    return merged_over(changes, below)


def targets_of(options: argparse.Namespace, run: RunSettings) -> Iterator[str]:
    """Yield the files that a stage's command requests from the workflow.

    Raises:
        UserError: a variant or model does not belong to the run.
    """
    folder = RESULTS / run.name
    variants = options.variant or list(run.variants)
    for variant in variants:
        if variant not in run.variants:
            raise UserError(f"--variant {variant}: not in the run `{run.name}`", f"It has {', '.join(run.variants)}.")
    students = [student_name(variant, seed) for variant in variants for seed in run.seeds]
    models = students if options.variant else [TEACHER, *students]
    chosen = getattr(options, "student_model_path", None)
    if chosen is not None:
        path = (chosen.parent if chosen.name == "final_model" else chosen).resolve()
        model = next((name for name in models if path == (folder / name).resolve()), None)
        if model is None:
            raise UserError(
                f"--student_model_path {chosen}: no model of the run `{run.name}`",
                f"Its models lie in {folder}/: {', '.join(models)}.",
            )
        models = students = [model]
    files = list(STAGES[options.command].files)
    if getattr(options, "generate_distillation_data", False):
        files += STAGES["compress"].files
    for file in dict.fromkeys(map(str, files)):
        every = models if "{model}" in file else students if "{student}" in file else [""]
        yield from (str(folder / file.format(model=one, student=one)) for one in every)


def _run_name(options: argparse.Namespace) -> str:
    if options.run_name is not None:
        return str(options.run_name)
    folder, model = options.output_dir, getattr(options, "student_model_path", None)
    if folder is None:
        if model is None or RESULTS.resolve() not in model.resolve().parents:
            return "default"
        return str(model.resolve().relative_to(RESULTS.resolve()).parts[0])
    if folder.resolve().parent != RESULTS.resolve() or not NAME.fullmatch(folder.name):
        raise UserError(
            f"--output_dir {folder}: results stand in {RESULTS}/<name>",
            f"Write --output_dir {RESULTS}/{folder.name}; letters, digits, `_`, `-` and `.` make a name.",
        )
    return str(folder.name)


def _with_external_teacher(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with `data.distillation_jsonl` in place of files of records that have a teacher's logits."""
    data = dict(settings.get("data", {}))
    files = {split: data[key] for split in SPLITS if (key := f"{split}_file") in data}
    if not files:
        return settings
    if not any(holds_logits(Path(str(file))) for file in files.values()):
        return {**settings, "data": {"source": "files", **data}}
    for split in files:
        del data[f"{split}_file"]
    data["distillation_jsonl"] = {**data.get("distillation_jsonl", {}), **files}
    logits = {"codec": "dense", **settings.get("logits", {})}
    teacher = settings.get("teacher", {}).get("model", {}).get("name", "Salesforce/codet5p-770m")
    return {**settings, "data": data, "logits": logits, "tokenizer": {"name": teacher, **settings.get("tokenizer", {})}}


def holds_logits(path: Path) -> bool:
    """Return whether the first record of a JSONL file has a teacher's logits; False if the file is missing."""
    try:
        with path.open("rb") as handle:
            return "teacher_logits_compressed" in parse_object(handle.readline())
    except (OSError, ValueError):
        return False
