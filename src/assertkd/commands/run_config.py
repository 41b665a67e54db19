"""The run that a stage's command is about: from `config.yaml`, or made of options and kept in its own config file."""

import argparse
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assertkd.commands.kept_config import explicit_settings, minimal_config, read_kept, reset_key, whole_config
from assertkd.commands.options import settings_of
from assertkd.errors import UserError
from assertkd.layout import SPLITS
from assertkd.outdated import changed_settings, format_change
from assertkd.records import LOGPROBS, teacher_distributions
from assertkd.settings import RunSettings, load_run
from assertkd.settings.load import NAME, SECTIONS
from assertkd.settings.section import merged_over

CONFIG = Path("config.yaml")
RESULTS = Path("results")
STUDENT = "student"
"""Name of the variant in a run that options define."""

HEADER = """# The run `{name}`, made by options of `assertkd` commands. Keys that no option set have their defaults.
# Later commands with --output_dir {folder} start from it and keep their own options here. It may be edited.
#   snakemake --profile profiles/local --configfile {file}
"""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """The run of a command.

    Attributes:
        run: its settings.
        config: what Snakemake merges over config.yaml; empty where config.yaml has it all.
        file: where the config is kept for later commands; None for a run of config.yaml.
        statement: lines on where the settings come from, what the command changes in them, and what they plan.
    """

    run: RunSettings
    config: dict[str, Any]
    file: Path | None
    statement: tuple[str, ...]

    def text(self) -> str:
        """Return the config as a YAML file."""
        text = yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True, width=120)
        if self.file is None:
            return "# Options of an `assertkd` command with --run, which hold for that command only.\n" + text
        return HEADER.format(name=self.run.name, folder=self.file.parent, file=self.file) + text


def run_config(options: argparse.Namespace, config: Mapping[str, Any]) -> RunConfig:
    """Return the run of a command line.

    Raises:
        UserError: the run or the variant of an option is missing, the folder is not that of a run made of options, an
            option has no effect, the records are not named, or the settings are not sound.
    """
    name, is_configured = _run_name(options, config)
    settings = settings_of(options)
    if is_configured:
        chosen = _of_config(options, name, settings, config)
    else:
        chosen = _of_options(options, name, settings, config)
    for key, file in settings.get("data", {}).items():
        if key.endswith("_file") and str(file) not in chosen.run.data.files.values():
            raise UserError(f"data.{key}: {file} has no effect: {_records(chosen.run)}", _file_remedy(chosen))
    return chosen


def _run_name(options: argparse.Namespace, config: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the run's name, and whether config.yaml has it."""
    configured = [str(name) for name in config.get("runs") or {}]
    if options.run_name is not None:
        if options.output_dir is not None:
            raise UserError(
                f"--run {options.run_name} with --output_dir {options.output_dir}: only one of them names the run",
                f"Leave out --output_dir for the run of {CONFIG}, or --run for one made of options.",
            )
        if options.run_name not in configured:
            raise UserError(f"--run {options.run_name}: not in {CONFIG}", f"It has {', '.join(configured)}.")
        return options.run_name, True
    folder, model = options.output_dir, getattr(options, "student_model_path", None)
    if folder is None:
        if model is None or RESULTS.resolve() not in model.resolve().parents:
            folder = RESULTS / "default"
        else:
            name = str(model.resolve().relative_to(RESULTS.resolve()).parts[0])
            return name, name in configured
    if folder.resolve().parent != RESULTS.resolve() or not NAME.fullmatch(folder.name):
        raise UserError(
            f"--output_dir {folder}: results stand in {RESULTS}/<name>",
            f"Write --output_dir {RESULTS}/{folder.name if NAME.fullmatch(folder.name) else 'NAME'}; letters, digits, "
            "`_`, `-` and `.` make a name.",
        )
    if folder.name in configured:
        raise UserError(
            f"--output_dir {folder}: `{folder.name}` is a run of {CONFIG}, and options would mix with it",
            f"Take that run with --run {folder.name}, or give this one another folder.",
        )
    return str(folder.name), False


def _of_config(
    options: argparse.Namespace, name: str, settings: dict[str, Any], config: Mapping[str, Any]
) -> RunConfig:
    if options.reset is not None:
        raise UserError(
            f"--reset: options with a run of {CONFIG} hold for one command, and none are kept",
            f"Leave --reset out, or edit {CONFIG}.",
        )
    before = load_run(merged_over(config, {"run": name}))
    earlier = merged_over(_top_level(config), config["runs"][name])
    given, student = _with_external_teacher(settings, earlier), settings.get("distillation", {})
    given.pop("distillation", None)
    if options.seeds:
        given["seeds"] = options.seeds
    if student and not options.variant:
        raise UserError(
            "which variant the options of `distillation` are for is not said",
            f"Name it with --variant, or edit {CONFIG}.",
        )
    above: dict[str, Any] = {"run": name}
    if given:
        above["runs"] = {name: given}
    if student:
        above["variants"] = {variant: deepcopy(student) for variant in options.variant}
    run = load_run(merged_over(config, above), f"the options (or {CONFIG})")
    changes = _differences(before, run)
    lines = [f"Run `{name}`: settings of {CONFIG} (runs.{name})"]
    if changes:
        lines = [f"{lines[0]}, for this command alone changed in:", *changes]
    return RunConfig(run, above if len(above) > 1 else {}, None, (*lines, _plan(run)))


def _of_options(
    options: argparse.Namespace, name: str, settings: dict[str, Any], config: Mapping[str, Any]
) -> RunConfig:
    file = RESULTS / name / "config.yaml"
    kept = read_kept(file, name) if file.is_file() else None
    before = None if kept is None else load_run(merged_over(config, kept), f"{file} (or {CONFIG})")
    if kept is not None and options.reset != []:
        above = explicit_settings(config, kept, name)
    else:
        above = minimal_config(name, options.variant or [STUDENT])
    for key in options.reset or ():
        reset_key(above, name, key)
    given = _with_external_teacher(settings, merged_over(_top_level(config), above["runs"][name]))
    student = given.pop("distillation", {})
    if options.seeds:
        given["seeds"] = options.seeds
    chosen = options.variant or above["runs"][name]["variants"]
    above = merged_over(above, {"runs": {name: given}, "variants": {variant: deepcopy(student) for variant in chosen}})
    if kept is None or options.reset == []:
        _check_records_named(above["runs"][name].get("data", {}), config)
    run = load_run(merged_over(config, above), f"the options (or {file}, or {CONFIG})")
    if before is not None and _is_generated(run) and not _is_generated(before):
        _check_records_named(settings.get("data", {}), config)
    if before is None:
        lines = [f"Run `{name}`: new, settings of this command's options and defaults; {file} will have them all"]
    else:
        lines = [f"Run `{name}`: settings of {file}"]
        if changes := _differences(before, run):
            lines = [f"{lines[0]}, changed in:", *changes]
    return RunConfig(run, whole_config(run), file, (*lines, _plan(run)))


def _top_level(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in SECTIONS if config.get(key)}


def _differences(before: RunSettings, after: RunSettings) -> list[str]:
    """Return a line for each setting that differs between two states of a run, by its key in the run."""
    changes = changed_settings(whole_config(before), whole_config(after))
    return [f"  {format_change(key.removeprefix(f'runs.{after.name}.'), old, new)}" for key, old, new in changes]


def _plan(run: RunSettings) -> str:
    """Return in one line which models are trained on what."""
    if run.logits.server.url is not None:
        teacher = f"none is trained, {run.logits.server.url} is asked"
    elif run.data.has_external_teacher:
        teacher = "none is trained, its logits are in the files"
    else:
        teacher = f"{run.teacher.model.name}, fine-tuned"
    students = [
        f"{name} ({variant.model.name if variant.model.layers is None else 'layers of the teacher'})"
        for name, variant in run.variants.items()
    ]
    seeds = ", ".join(map(str, run.seeds))
    return f"Records: {_records(run)}. Teacher: {teacher}. Students: {', '.join(students)}; seeds {seeds}."


def _is_generated(run: RunSettings) -> bool:
    return run.data.source == "embedded" and not run.data.has_external_teacher


def _records(run: RunSettings) -> str:
    """Return in a few words where the records of a run come from."""
    data = run.data
    if data.has_external_teacher:
        return f"data.distillation_jsonl ({', '.join(data.files.values())})"
    if _is_generated(run):
        return f"the generated corpus, {data.embedded.records} records (data.source is embedded)"
    return ", ".join([*(data.java_sources if data.is_mined else ()), *data.files.values()])


def _file_remedy(chosen: RunConfig) -> str:
    if not chosen.run.data.has_external_teacher:
        return "Leave the option out, or name the training records too (--data.train_file FILE)."
    keys = "data.distillation_jsonl logits.codec tokenizer.name"
    if chosen.file is None:
        return f"Leave the option out; or remove the teacher's files, and what fits them, from {CONFIG}: {keys}."
    return f"Leave the option out; or forget the teacher's files, and what fits them, with --reset {keys}."


def _check_records_named(data: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse to start a run that nobody gave records.

    Raises:
        UserError: with the ways to name them.
    """
    if not {"source", "train_file", "embedded", "distillation_jsonl"} & {*data, *(config.get("data") or {})}:
        raise UserError(
            "no records are named for this run",
            "Name yours with --data.train_file FILE; take the generated ones with --data.source embedded; or take a "
            f"run of {CONFIG} with --run NAME.",
        )


def _with_external_teacher(settings: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with `data.distillation_jsonl` in place of files of records that have a teacher's logits.

    Codec and tokenizer then fit such files, where neither these settings nor earlier ones name them.
    """
    data = dict(settings.get("data", {}))
    files = {split: data[key] for split in SPLITS if (key := f"{split}_file") in data}
    held = {teacher_distributions(Path(str(file))) for file in files.values()} - {None}
    if not held:
        source = {"source": "files"} if "train" in files else {}
        return {**settings, "data": {**source, **data}} if data else dict(settings)
    for split in files:
        del data[f"{split}_file"]
    data["distillation_jsonl"] = {**data.get("distillation_jsonl", {}), **files}
    result: dict[str, Any] = {**settings, "data": data}
    if "codec" not in earlier.get("logits", {}):
        result["logits"] = {"codec": "topk" if LOGPROBS in held else "dense", **settings.get("logits", {})}
    if "name" not in earlier.get("tokenizer", {}):
        teacher = merged_over(earlier, settings).get("teacher", {}).get("model", {}).get("name")
        tokenizer = {"name": teacher or "Salesforce/codet5p-770m"}
        result["tokenizer"] = {**tokenizer, **settings.get("tokenizer", {})}
    return result
