"""What a valid run sets in vain: options without effect, files that are not read, steps and weights that do not fit."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from assertkd.losses.loss_plan import plan_loss
from assertkd.losses.schedule import progress
from assertkd.losses.without_effect import without_effect
from assertkd.settings import DataSettings, RunSettings, TrainingSettings


def warnings(config: Mapping[str, Any], run: RunSettings) -> list[str]:
    """Return what a valid run sets in vain: options without effect, steps and weights that do not fit.

    Of a variant's own section every option must have an effect in it. One of the run's `distillation` must have one in
    some variant of the run, or name an encoder, which is a choice for whatever variants use it.

    Args:
        config: what `load_run` made the run from.
        run: a run that `validate` accepts.
    """
    lines = []
    for name, variant in run.variants.items():
        configured = _section(config["variants"], name, "loss")
        lines += [
            _without_effect(f"variants.{name}.loss.{key}", value, "", need)
            for key, value, need in without_effect(variant.loss, configured)
        ]
    configured = _section(config["runs"], run.name, "distillation", "loss")
    unused = [
        {key: (value, need) for key, value, need in without_effect(variant.loss, configured)}
        for variant in run.variants.values()
    ]
    for key, (value, need) in (unused[0] if unused else {}).items():
        if all(key in one for one in unused) and not key.endswith(".encoder"):
            path = f"runs.{run.name}.distillation.loss.{key}"
            lines.append(_without_effect(path, value, " in any variant of the run", need))
    if run.teacher.pretrain.java_sources and run.has_external_teacher:
        lines.append("teacher.pretrain.java_sources has no effect: the run's teacher is external. Remove it.")
    return [*lines, *_unread_sources(run.data), *dict.fromkeys(_warm_ups(config, run)), *_idle_text_components(run)]


def _unread_sources(data: DataSettings) -> Iterator[str]:
    """Yield which files and folders of records are named and not read."""
    read = set() if data.has_external_teacher else {f"{split}_file" for split in data.files}
    read |= {"java_sources"} if data.is_mined else set()
    for key in ("java_sources", "train_file", "validation_file", "test_file"):
        if getattr(data, key) and key not in read:
            source = "java" if key == "java_sources" else "files"
            why = f"data.source is {data.source}. Set data.source: {source}, or remove the key."
            if data.has_external_teacher:
                why = "data.distillation_jsonl is set. Remove one of both keys."
            yield f"data.{key} is not read, since {why}"


def _warm_ups(config: Mapping[str, Any], run: RunSettings) -> Iterator[str]:
    """Yield where a warm-up is not shorter than its training, with the first section that sets one of both lengths."""
    of_teacher, of_students = ([("runs", run.name, key), (key,)] for key in ("teacher", "distillation"))
    trainings: list[tuple[TrainingSettings, list[tuple[str, ...]]]] = [(run.teacher.training, [*of_teacher])]
    if run.is_pretrained:
        sections_of_pretraining = [(*section, "pretrain") for section in of_teacher]
        trainings.append((run.teacher.pretrain.training, sections_of_pretraining))
    trainings += [(v.training, [("variants", name), *of_students]) for name, v in run.variants.items()]
    for training, sections in trainings:
        if training.max_steps is not None and training.warmup_steps >= training.max_steps:
            lengths = {"warmup_steps", "max_steps"}
            section = next(s for s in sections if lengths & _section(config, *s, "training").keys())
            yield (
                f"{'.'.join(section)}.training: warmup_steps, {training.warmup_steps}, is not below max_steps, "
                f"{training.max_steps}, so the learning rate only rises. Set fewer, or 0 for 15 % of all steps."
            )


def _idle_text_components(run: RunSettings) -> Iterator[str]:
    """Yield where no step reaches the start of text components, or nothing is left of them for lack of others."""
    for name, variant in run.variants.items():
        plan, max_steps = plan_loss(variant.loss), variant.training.max_steps
        if plan.sampling is None:
            continue
        text = [component for component, _ in plan.text_components]
        if max_steps is not None and progress(max_steps - 1, max_steps) < plan.sampling.start:
            yield (
                f"variants.{name}.training.max_steps: {max_steps} ends before loss.text.start, "
                f"{plan.sampling.start:g}, so {', '.join(component.name for component in text)} trains nothing. Set "
                f"loss.text.start: 0, or more steps."
            )
        elif plan.sampling.max_share < 1:
            for place in ("start", "end"):
                others = sum(getattr(component, place) for component, _ in plan.token_components)
                if not others and any(getattr(component, place) for component in text):
                    yield (
                        f"variants.{name}.loss.text.max_share: {plan.sampling.max_share:g} leaves nothing of text "
                        f"components at the {place} of the training, where no component over target tokens has a "
                        "weight. Give one a weight there, or set 1."
                    )


def _section(section: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the section at `path`; empty where there is none."""
    for key in path:
        # YAML may hold a name as a number.
        section = {str(name): value for name, value in section.items()}.get(key) or {}
    return section


def _without_effect(path: str, value: Any, where: str, need: str) -> str:
    return f"{path}: {json.dumps(value)} has no effect{where}: it needs {need}. Set that, or remove the key."
