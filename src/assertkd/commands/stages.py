"""The commands of the stages: each brings the results of a run up to date, up to its stage."""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from assertkd.commands import predict_alone
from assertkd.commands.kept_config import KEPT_CONFIG, load_named
from assertkd.commands.options import add_setting_options, resettable, settings_of
from assertkd.commands.run_config import CONFIG, RESULTS, RunConfig, run_config
from assertkd.dry_run import DryRun, dry_run
from assertkd.errors import UserError, nearest
from assertkd.files import write_text
from assertkd.layout import TEACHER, RunLayout, external_name, student_name
from assertkd.outdated import format_outdated, outdated_results
from assertkd.prerequisites import check_devices, check_files, check_models
from assertkd.settings import RunSettings
from assertkd.settings.original import ORIGINAL
from assertkd.validate import validate

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

ALWAYS_REMADE = "build_report"
"""The rule whose results a command makes again unasked: they only sum up the others."""

DESCRIPTION = """Brings the results of this stage and of the stages before it up to date: the workflow runs only what is
missing or outdated, and what is finished is made again only with --retrain. --run names a run of config.yaml, whose
settings the options change for this command; without it, options and defaults define the run, and its whole
configuration is kept in results/<run>/config.yaml. Every key of the config is an option; those of the stage are
listed."""


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
    parser.add_argument(
        "--retrain", action="store_true", help="make finished results again whose settings or inputs have changed"
    )
    names = resettable(stage.scripts)

    def place(name: str) -> str:
        if name not in names:
            raise argparse.ArgumentTypeError(f"{name}: not a key of the config{nearest(name, list(names))}")
        return names[name]

    parser.add_argument(
        "--reset",
        nargs="*",
        type=place,
        metavar="KEY",
        help="forget what earlier commands set for these keys or sections, or, without any, for all",
    )
    add_setting_options(parser, stage.shown, stage.scripts)
    if parser.get_default("command") == "predict":
        predict_alone.add_arguments(parser)
        parser.usage += f"\n       {parser.prog} --model FOLDER --records FILE [--to FOLDER]"
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if getattr(options, "model", None) is not None:
        predict_alone.predict_alone(options)
        return
    if getattr(options, "records", None) is not None:
        raise UserError(
            f"--records {options.records} is given without --model, and a run predicts for its own test split",
            "Name the model that predicts for these records with --model FOLDER.",
        )
    config = load_named(CONFIG) if CONFIG.is_file() else {}
    if not config or not Path("Snakefile").is_file():
        raise UserError("no Snakefile and config.yaml here", "Run the command in the folder of the project.")
    chosen = run_config(options, config)
    print(*chosen.statement, sep="\n", flush=True)
    validate(chosen.run, f"the options or {chosen.file or CONFIG}")
    check_files(chosen.run, RunLayout(RESULTS / chosen.run.name), settings_of(options).get("data", {}))
    targets = list(targets_of(options, chosen.run))
    with TemporaryDirectory() as folder:
        # A dry run and a command that is refused here keep nothing.
        plan = dry_run(_arguments(options, chosen, Path(folder) / "config.yaml", targets))
    if not plan.succeeded:
        print(plan.printed, file=sys.stderr)
        raise SystemExit(1)
    if options.dry_run:
        print(plan.printed)
    _check_plan(options, chosen, plan)
    if not plan.jobs:
        place = os.path.commonpath([Path(target).parent for target in targets])
        print(f"{options.command}: all results are finished, in {place}", flush=True)
        if "missing provenance/metadata" in plan.printed:
            print(
                "Snakemake has no record of the settings that they were made with, and cannot compare them.", flush=True
            )
    if options.dry_run:
        return
    if chosen.file is not None:
        os.environ[KEPT_CONFIG] = str(chosen.file)
    # Jobs read it when they start: a file of this command alone, which no later command changes.
    file = Path("logs", chosen.run.name, "commands", f"{datetime.now():%Y-%m-%dT%H%M%S}-{os.getpid()}.yaml")
    call = [sys.executable, "-m", "snakemake", *_arguments(options, chosen, file, targets)]
    sys.stdout.flush()
    # In this process's place, Snakemake itself gets the signals that stop it, and the lines of a fault stand last.
    os.execv(sys.executable, call)


def _arguments(options: argparse.Namespace, chosen: RunConfig, file: Path, targets: list[str]) -> list[str]:
    """Return Snakemake's arguments; `file` is written where the run needs more than config.yaml."""
    arguments = ["--profile", options.profile]
    if chosen.config:
        write_text(file, chosen.text())
        arguments += ["--configfile", str(file)]
    # On the command line it has precedence over a run that the profile names.
    return [*arguments, "--config", f"run={chosen.run.name}", "--", *targets]


def _check_plan(options: argparse.Namespace, chosen: RunConfig, plan: DryRun) -> None:
    """Say which finished results would be made again, and refuse to do it unasked; refuse what cannot run.

    Raises:
        UserError: finished results would be made again without --retrain, or a training cannot run.
    """
    jobs, run = plan.jobs, chosen.run
    if "Directory cannot be locked" in plan.printed and not options.dry_run:
        # Snakemake would refuse it too, and names an option that this command does not have.
        raise UserError(
            f"{options.command}: Snakemake is at work in this folder, or was killed at it",
            "Wait for it; if none is at work here any more, on this run or another, remove its lock with: "
            "snakemake --unlock",
        )
    if plan.options.executor in (None, "local"):
        check_devices(run, jobs)
    # Of what a dry run plans, models may still have to be fetched.
    if not options.dry_run:
        check_models(run, jobs, RunLayout(RESULTS / run.name))
    outdated = outdated_results(jobs)
    if outdated:
        print("These finished results would be made again:" if not options.retrain else "Finished results made again:")
        print(*format_outdated(outdated), sep="\n", flush=True)
    kept = [result for result in outdated if result.rule != ALWAYS_REMADE]
    if kept and not options.retrain and options.dry_run:
        print("The command itself refuses to do so without --retrain.")
    elif kept and not options.retrain:
        raise UserError(
            f"{options.command}: would make finished results of the run `{run.name}` again ({len(kept)}, listed above)",
            f"Add --retrain to do so; to keep them, {_way_to_keep(chosen)}.",
        )


def _way_to_keep(chosen: RunConfig) -> str:
    if chosen.file is not None:
        return "give what has changed its former value, or choose another --output_dir"
    if chosen.config:
        return f"leave out the options for what has changed, or make a further run in {CONFIG} for them"
    return f"give what has changed its former value in {CONFIG}, or make a further run there for it"


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
    elif not options.variant:
        models += map(external_name, run.evaluation.systems)
    files = list(STAGES[options.command].files)
    if getattr(options, "generate_distillation_data", False):
        files += STAGES["compress"].files
    for file in dict.fromkeys(map(str, files)):
        every = models if "{model}" in file else students if "{student}" in file else [""]
        yield from (str(folder / file.format(model=one, student=one)) for one in every)
