"""From `config.yaml` to one run: layers merged, every fault of the whole file found and said at once."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from assertkd.errors import UserError, nearest
from assertkd.layout import EXTERNAL, NEAREST_RECORD, STAGE_FOLDERS, TEACHER
from assertkd.settings.cluster import ClusterSettings
from assertkd.settings.config_file import SECTIONS_OF_NAMES, with_text_names
from assertkd.settings.data import DataSettings
from assertkd.settings.distillation import DistillationSettings, TeacherSettings
from assertkd.settings.evaluation import EvaluationSettings, ReportSettings
from assertkd.settings.logits import LogitsSettings
from assertkd.settings.model import TokenizerSettings
from assertkd.settings.section import Section, Seed, merged_over, section_in

SECTIONS: dict[str, type[Section]] = {
    "data": DataSettings,
    "tokenizer": TokenizerSettings,
    "teacher": TeacherSettings,
    "logits": LogitsSettings,
    "distillation": DistillationSettings,
    "evaluation": EvaluationSettings,
    "report": ReportSettings,
    "cluster": ClusterSettings,
}
HARD_LABELS = "hard_labels"
"""The shipped variant without a teacher, which distillation has to beat."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
NAME_RULE = (
    "a name has up to 100 letters, digits, `_`, `-` and `.`, the first a letter or digit, since it names a folder"
)
TAKEN = {
    **dict.fromkeys(STAGE_FOLDERS, "is a folder of the run"),
    TEACHER: "is the name of the teacher in the report",
    EXTERNAL: "is the report's word for other systems",
    NEAREST_RECORD: "is the row of evaluation.nearest_record",
}
"""Names that mean something else in a run and its report, and what."""

Layer = tuple[str, Mapping[str, Any]]
"""A part of the config: the path of its keys (as `runs.demo.data`) and what it holds."""


@dataclass(frozen=True)
class RunSettings:
    """Everything that one run is made of, defaults filled in.

    Attributes:
        name: the run's key under `runs`; its results stand in `results/{name}/`.
        seeds: one student a variant is trained with each.
        variants: name to student configuration, in the order of the config.
    """

    name: str
    seeds: tuple[int, ...]
    data: DataSettings
    tokenizer: TokenizerSettings
    teacher: TeacherSettings
    logits: LogitsSettings
    variants: dict[str, DistillationSettings]
    evaluation: EvaluationSettings
    report: ReportSettings
    cluster: ClusterSettings

    @property
    def has_external_teacher(self) -> bool:
        """Whether files or a server take the place of a teacher."""
        return self.data.has_external_teacher or self.logits.server.url is not None

    @property
    def is_pretrained(self) -> bool:
        """Whether the teacher's model is trained on Java sources first."""
        return bool(self.teacher.pretrain.java_sources) and not self.has_external_teacher

    @property
    def baseline(self) -> str | None:
        """The variant that all others are compared with; None where the run has no variants."""
        if self.evaluation.baseline is not None or HARD_LABELS in self.variants:
            return self.evaluation.baseline or HARD_LABELS
        return next(iter(self.variants), None)


def load_run(config: Mapping[str, Any], source: str = "config.yaml (or what --config gives)") -> RunSettings:
    """Check the whole config (files and `--config` merged) and return the run that its `run` key names.

    Every option is resolved: the built-in default, over it the top-level section, then the run's own section, then (for
    students) the variant.

    Args:
        config: the whole config.
        source: where it is from, for the remedy.

    Raises:
        UserError: listing every fault of the config with its key's path and, for an unknown key, the nearest known one.
    """
    check_shape(config, source)
    faults: list[str] = []
    _check_keys(config, "", ("run", "runs", "seeds", "variants", *SECTIONS), faults)
    config = with_text_names(config)
    runs, variants = (config.get(key) or {} for key in SECTIONS_OF_NAMES)
    faults += [*_name_faults("runs", runs, {}), *_name_faults("variants", variants, TAKEN)]
    resolved = {name: _resolve_run(name, config, runs, variants, faults) for name in runs}
    chosen = str(config.get("run"))
    if chosen not in resolved:
        faults.append(f"run: {config.get('run')!r} is not an entry of `runs`{_hint(chosen, list(resolved))}")
    run = resolved.get(chosen)
    if faults or run is None:
        raise _config_error(faults, source)
    return run


def check_shape(config: Mapping[str, Any], source: str) -> None:
    """Refuse a config whose runs, variants or sections hold no keys, so that nothing can be looked up in them.

    Raises:
        UserError: listing these places.
    """
    faults: list[str] = []
    for key in (*SECTIONS_OF_NAMES, *SECTIONS):
        held = _mapping(config, key, "", faults)
        for name in held if key in SECTIONS_OF_NAMES else ():
            _mapping(held, name, key, faults)
    if faults:
        raise _config_error(faults, source)


def _config_error(faults: Sequence[str], source: str) -> UserError:
    lines = list(dict.fromkeys(faults))
    return UserError(
        f"The configuration has 1 fault: {lines[0]}"
        if len(lines) == 1
        else "\n  ".join([f"The configuration has {len(lines)} faults:", *lines]),
        f"Fix {source}; config.schema.json lists every key with its range and default.",
    )


def _resolve_run(
    name: str, config: Mapping[str, Any], runs: Mapping[str, Any], variants: Mapping[str, Any], faults: list[str]
) -> RunSettings | None:
    path = f"runs.{name}"
    run = _mapping(runs, name, "runs", faults)
    _check_keys(run, path, ("seeds", "variants", *SECTIONS), faults)
    layers = {
        key: [(key, _mapping(config, key, "", faults)), (f"{path}.{key}", _mapping(run, key, path, faults))]
        for key in SECTIONS
    }
    sections = {key: _validate(model, layers[key], faults) for key, model in SECTIONS.items()}
    students = {
        variant: _validate(
            DistillationSettings,
            [*layers["distillation"], (f"variants.{variant}", _mapping(variants, variant, "variants", faults))],
            faults,
        )
        for variant in _chosen_variants(run.get("variants"), path, variants, faults)
    }
    seeds = _seeds(config, run, path, faults)
    data, evaluation = sections["data"], sections["evaluation"]
    if str(config.get("run")) == name:
        if isinstance(data, DataSettings) and not data.has_external_teacher:
            if data.source == "files" and data.train_file is None:
                faults.append(
                    f"{path}.data.train_file: is needed, since data.source is `files` (or set data.train_file)"
                )
            if data.source == "java" and not data.java_sources:
                faults.append(f"{path}.data.java_sources: needs at least one folder, since data.source is `java`")
        if isinstance(evaluation, EvaluationSettings):
            taken = TAKEN | dict.fromkeys(variants, "is a variant")
            faults += _name_faults("evaluation.external", evaluation.external, taken)
        baseline = evaluation.baseline if isinstance(evaluation, EvaluationSettings) else None
        if baseline is not None and baseline not in students:
            hint = _hint(baseline, list(students))
            faults.append(f"evaluation.baseline: {baseline!r} is not a variant of the run {name!r}{hint}")
    if None in sections.values() or None in students.values() or seeds is None:
        return None
    del sections["distillation"]
    return RunSettings(name=name, seeds=seeds, variants=students, **sections)  # type: ignore[arg-type]


def _name_faults(section: str, names: Iterable[str], taken: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with names, which differ by more than the case of their letters from others and each other.

    Args:
        section: the path of the names' section.
        names: the names.
        taken: names that something else has, and what that is.
    """
    seen: dict[str, str] = {}
    whose = {name.casefold(): f"`{name}` {meaning}" for name, meaning in taken.items()}
    for name in names:
        path, folded = f"{section}.{name}", name.casefold()
        if not NAME.fullmatch(name):
            yield f"{path}: {NAME_RULE}"
        elif folded in whose:
            yield f"{path}: {whose[folded]}; choose another name"
        elif folded in seen:
            yield f"{path}: differs from {seen[folded]} by the case of letters alone, which not all disks keep apart"
        seen.setdefault(folded, name)


def _chosen_variants(names: Any, path: str, variants: Mapping[str, Any], faults: list[str]) -> Iterator[str]:
    if names is None:
        yield from variants
    elif not isinstance(names, list):
        faults.append(f"{path}.variants: must be a list of names of `variants`, or be left out for all of them")
    else:
        for name in names:
            if str(name) in variants:
                yield str(name)
            else:
                hint = _hint(str(name), list(variants))
                faults.append(f"{path}.variants: {name!r} is not an entry of `variants`{hint}")


def _seeds(config: Mapping[str, Any], run: Mapping[str, Any], path: str, faults: list[str]) -> tuple[int, ...] | None:
    where, value = (f"{path}.seeds", run["seeds"]) if "seeds" in run else ("seeds", config.get("seeds", [42]))
    try:
        seeds = TypeAdapter(list[Seed]).validate_python(value)
    except ValidationError as errors:
        faults += [f"{where}: {_message(error)}" for error in errors.errors()]
        return None
    if not seeds or len(set(seeds)) < len(seeds):
        faults.append(f"{where}: needs at least one seed, each once")
        return None
    return tuple(seeds)


def _validate(model: type[Section], layers: Sequence[Layer], faults: list[str]) -> Section | None:
    """Return the merged layers as settings; each fault is added under the lowest layer from which on it stands."""
    merged: Mapping[str, Any] = {}
    settings: Section | None = None
    home: dict[tuple[str, str], str] = {}
    for path, layer in layers:
        merged = merged_over(merged, layer)
        found: dict[tuple[str, str], str] = {}
        try:
            settings = model.model_validate(merged)
        except ValidationError as errors:
            settings = None
            for error in errors.errors():
                location = [str(part) for part in error["loc"]]
                message = _message(error)
                if error["type"] == "extra_forbidden":
                    message = f"unknown key{_hint(location[-1], _known_keys(model, location[:-1]))}"
                fault = (".".join(location), message)
                found[fault] = home.get(fault, path)
        home = found
    for (place, message), path in home.items():
        faults.append(f"{path}.{place}".rstrip(".") + f": {message}")
    return settings


def _message(error: ErrorDetails) -> str:
    message = re.sub(r"^\w+ should\b", "must", error["msg"].removeprefix("Value error, "))
    if error["type"] == "model_type":
        message = "must hold keys"
    if error["type"] in ("value_error", "extra_forbidden", "missing", "too_short"):
        return message
    return f"{message}, not {error['input']!r}"


def _known_keys(model: type[Section], location: Sequence[str]) -> list[str]:
    """Return the keys of the section that `location` leads to from `model`."""
    fields = model.model_fields
    for part in location:
        section = section_in(fields[part].annotation) if part in fields else None
        if section is None:
            return []
        fields = section.model_fields
    return list(fields)


def _hint(name: str, known: Sequence[str]) -> str:
    listed = f" (known: {', '.join(map(str, known))})" if known else ""
    return nearest(name, known) or listed


def _check_keys(section: Mapping[str, Any], path: str, known: Sequence[str], faults: list[str]) -> None:
    for key in section:
        if key not in known:
            faults.append(f"{path}.{key}: unknown key{_hint(str(key), known)}".lstrip("."))


def _mapping(parent: Mapping[str, Any], key: str, path: str, faults: list[str]) -> Mapping[str, Any]:
    """Return the mapping under `key`; a missing or empty one is empty, anything else is a fault."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        faults.append(f"{path}.{key}: must hold keys, not {value!r}".lstrip("."))
        return {}
    return value
