"""Finished results that the workflow is about to make again, and why: settings that changed, or what else did."""

import ast
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assertkd.dry_run import PlannedJob

PARAMS = re.compile(
    r"Params have changed since last execution: .*?before: (?P<before>.*?) now: (?P<now>.*?)\s*"
    r"(?=; Software environment definition|$)",
    re.DOTALL,
)
CAUSES_OF_TEACHER = ("mine_corpus", "prepare_corpus", "prepare_pretraining", "pretrain")
"""Rules whose results the teacher is trained on or begins with: their causes are then the teacher's."""
INCOMPLETE = "Incomplete output files: "
FOLLOWS = "made from results that are made again"

CAUSES = {
    "Missing output files: ": "missing: {}",
    "Updated input files: ": "newer than it: {}",
    "Input files updated by another job: ": FOLLOWS,
    "Set of input files has changed": "it reads other files than before",
    "Code has changed": "its script has changed",
    "Software environment definition has changed": "its environment has changed",
    "Forced execution": "forced",
}
"""Beginning of one of Snakemake's reasons to the cause in words; {} is what follows the beginning."""

SECTIONS = {
    "mine_corpus": "data",
    "prepare_unlabelled": "data",
    "prepare_pretraining": "teacher.pretrain",
    "pretrain": "teacher.pretrain",
    "train_teacher": "teacher",
    "distill_student": "variants.{variant}",
    "predict_external_teacher": "evaluation",
    "find_nearest_record": "evaluation",
    "import_predictions": "evaluation",
    "execute_gold": "evaluation",
    "execute": "evaluation",
    "score": "evaluation",
}
"""Rule to the section of the config that holds its params; those of other rules have their section's name."""

KEYS = {
    "pretrain: model": "teacher.model",
    "teacher": "teacher.model.name",
    "max_input_len": "data.max_input_len",
    "max_output_len": "data.max_output_len",
    "max_characters": "data.max_characters",
    "longest_cut": "data.max_output_len",
    "projects_apart": "data.split_by",
    "test_classes_apart": "data.split_by",
    "mining": "data.mining",
    "validation_encoder": "evaluation.encoder",
    "labelled_share": "data.labelled_share",
    "supervision": "data",
    "supervision.seed": "data.split_seed",
    "target_policy.targets": "variants.{variant}.targets",
    "target_policy.learns_withheld": "variants.{variant}.unlabelled",
    "target_policy.learns_unlabelled": "data.unlabelled",
    "comparison.baseline": "evaluation.baseline",
    "comparison.resamples": "evaluation.bootstrap_resamples",
    "comparison.seed": "evaluation.bootstrap_seed",
}
"""Params, or groups of them, of any rule or of one, that stand elsewhere in the config."""


@dataclass(frozen=True, slots=True)
class OutdatedResult:
    """A finished result that is about to be made again.

    Attributes:
        rule: what makes it.
        place: its folder, or its file.
        causes: why, a line each: `key: value, was value` for a setting that changed.
    """

    rule: str
    place: str
    causes: tuple[str, ...]


def outdated_results(jobs: Iterable[PlannedJob]) -> list[OutdatedResult]:
    """Return the finished results that these jobs make again; what is missing or half made is none."""
    results = []
    for job in jobs:
        if INCOMPLETE in job.reason or not any(Path(output).exists() for output in job.outputs):
            continue
        results.append(OutdatedResult(job.rule, os.path.commonpath(job.outputs), tuple(_causes(job))))
    return results


def format_outdated(results: Sequence[OutdatedResult]) -> list[str]:
    """Return lines that list results with their causes; those of one rule that have the same causes stand together."""
    places: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for result in results:
        places.setdefault((result.rule, result.causes), []).append(result.place)
    lines = []
    for (rule, causes), found in places.items():
        lines.append(f"  {', '.join(sorted(found))} ({rule})")
        lines += [f"      {cause}" for cause in causes]
    return lines


def retraining_notice(results: Sequence[OutdatedResult]) -> str | None:
    """Return what a run says at its start if it trains a finished teacher again; None if it does not."""
    teacher = [result for result in results if result.rule == "train_teacher"]
    if not teacher:
        return None
    causes = [cause for result in teacher for cause in result.causes if cause != FOLLOWS]
    corpus = [r for r in results if r.rule in CAUSES_OF_TEACHER] if FOLLOWS in teacher[0].causes else []
    causes += [cause for result in corpus for cause in result.causes]
    changes = "".join(f"\n  {cause}" for cause in dict.fromkeys(causes))
    return f"the finished teacher is trained again ({teacher[0].place}):{changes}"


def changed_settings(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path of each value that differs between two nested mappings, with the value before and after.

    A list of mappings that have a `name` is a mapping by it. A key that one side lacks is None there.
    """
    before, after = _by_name(before), _by_name(after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from changed_settings(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    elif before != after:
        yield path, before, after


def format_change(key: str, before: Any, after: Any) -> str:
    """Return a setting's change on one line; long values are cut off."""
    return f"{key}: {_short(after)}, was {_short(before)}"


def _causes(job: PlannedJob) -> Iterator[str]:
    params = PARAMS.search(job.reason)
    if params is not None:
        changes = changed_settings(_settings(params["before"]), _settings(params["now"]))
        lines = [format_change(_key(job, path), before, after) for path, before, after in changes]
        yield from dict.fromkeys(lines or ["its settings have changed"])
    for reason in PARAMS.sub("", job.reason).split("; "):
        cause, rest = next(
            ((cause, reason.removeprefix(start)) for start, cause in CAUSES.items() if reason.startswith(start)),
            (reason, ""),
        )
        if cause.strip():
            yield cause.format(rest) if rest else cause


def _settings(params: str) -> dict[str, Any]:
    """Return the mapping among params that Snakemake prints as Python literals; empty if it cannot be read."""
    try:
        values = ast.literal_eval(f"({params},)")
    except (SyntaxError, ValueError):
        return {}
    return next((value for value in values if isinstance(value, dict)), {})


def _key(job: PlannedJob, path: str) -> str:
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        start = ".".join(parts[:length])
        if (known := KEYS.get(f"{job.rule}: {start}", KEYS.get(start))) is not None:
            return ".".join([known, *parts[length:]]).format(**job.wildcards)
    return ".".join(filter(None, [SECTIONS.get(job.rule, ""), path])).format(**job.wildcards)


def _by_name(value: Any) -> Any:
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and "name" in one for one in value):
        return {one["name"]: one for one in value}
    return value


def _short(value: Any, longest: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
