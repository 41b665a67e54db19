"""What a run needs of this machine and its files before its jobs start: records, devices, models of one vocabulary."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from assertkd.corpus.formats import files_of, is_there
from assertkd.dry_run import PlannedJob
from assertkd.errors import UserError
from assertkd.layout import RunLayout
from assertkd.runtime.machine import gpu_count
from assertkd.settings import RunSettings, TrainingSettings
from assertkd.settings.model import SCRATCH
from assertkd.students.params import DistillStudentParams


def check_files(run: RunSettings, files: RunLayout, options: Mapping[str, Any] | None = None) -> None:
    """Refuse to prepare a corpus whose sources are missing; a corpus that is finished needs only those of options.

    Args:
        run: the run.
        files: its results.
        options: what a command's options set in `data`.

    Raises:
        UserError: listing the files and folders.
    """
    options = options or {}
    of_options = [*options.values(), *options.get("distillation_jsonl", {}).values(), *options.get("java_sources", ())]

    def is_needed(path: str) -> bool:
        return path in of_options or not files.corpus.quality.exists()

    faults: list[str] = []
    section = "data.distillation_jsonl" if run.data.has_external_teacher else "data"
    named = {f"{section}.{split}": file for split, file in run.data.files.items()}
    if not run.data.has_external_teacher:
        named = {f"{key}_file": file for key, file in named.items()}
    if run.data.unlabelled is not None:
        named["data.unlabelled"] = run.data.unlabelled
    for key, path in named.items():
        parts = files_of(Path(path), run.data.format)
        faults += [f"{key}: {file}: no such file" for file in parts if is_needed(path) and not is_there(file)]
    for folder in run.data.java_sources if run.data.is_mined else ():
        if is_needed(folder) and not Path(folder).is_dir():
            faults.append(f"data.java_sources: {folder}: no such folder")
    if faults:
        raise UserError("\n".join(faults), f"Name what exists; paths are read in {Path.cwd()}.")


def check_devices(run: RunSettings, jobs: Collection[PlannedJob]) -> None:
    """Refuse jobs on this machine whose device it lacks, or that train in fp16 on its CPU.

    Raises:
        UserError: listing every such setting.
    """
    gpus = gpu_count()
    rules = {job.rule for job in jobs}
    faults: list[str] = []
    if "train_teacher" in rules:
        faults += _untrainable("teacher.training", run.teacher.training, gpus)
    if any(rule.startswith("compress_") for rule in rules):
        faults += _absent_device("logits.device", run.logits.device, 1, gpus)
    for name in _distilled_variants(run, jobs):
        faults += _untrainable(f"variants.{name}.training", run.variants[name].training, gpus)
    if "predict" in rules:
        faults += _absent_device("evaluation.device", run.evaluation.device, 1, gpus)
    if faults:
        raise UserError("\n".join(faults), "Change these settings, or run where there are such GPUs.")


def check_vocabularies(run: RunSettings, jobs: Collection[PlannedJob]) -> None:
    """Refuse students that compare distributions with a teacher of another vocabulary, as far as both are known here.

    Raises:
        UserError: listing them.
    """
    if run.data.has_external_teacher:
        return
    faults = []
    for name in _distilled_variants(run, jobs):
        student, model = DistillStudentParams.from_run(run, name), run.variants[name].model
        compares = student.target_policy.needs_distributions or student.on_policy is not None
        is_copy = student.model.layers is not None or model.name == run.teacher.model.name
        if not compares or is_copy or model.name == SCRATCH:
            continue
        # Imports torch, which takes seconds.
        from assertkd.models.registry import vocab_size

        own, teachers = vocab_size(model.name), vocab_size(run.teacher.model.name)
        of_teacher = f"the teacher {run.teacher.model.name} {teachers}"
        differ = own is not None and teachers is not None and own != teachers
        if own is not None and run.teacher.model.name == SCRATCH and run.tokenizer.name is None:
            of_teacher = f"the teacher from scratch {run.tokenizer.vocab_size} at most (tokenizer.vocab_size)"
            differ = own > run.tokenizer.vocab_size
        if differ:
            faults.append(
                f"variants.{name}.model.name: {model.name} has {own} vocabulary entries, {of_teacher}, and the student "
                "learns from the teacher's distributions"
            )
    if faults:
        raise UserError("\n".join(faults), "Choose a student of the teacher's vocabulary, or a loss without a teacher.")


def _distilled_variants(run: RunSettings, jobs: Collection[PlannedJob]) -> list[str]:
    distilled = {job.wildcards["variant"] for job in jobs if job.rule == "distill_student"}
    return [name for name in run.variants if name in distilled]


def _untrainable(path: str, training: TrainingSettings, gpus: int) -> Iterator[str]:
    yield from _absent_device(f"{path}.device", training.device, training.gpus, gpus)
    is_on_cpu = training.device == "cpu" or (training.device == "auto" and not gpus)
    if training.precision == "fp16" and is_on_cpu:
        yield f"{path}.precision: fp16, and a CPU cannot train in it: use fp32 (or bf16)"


def _absent_device(key: str, device: str, needed: int, gpus: int) -> Iterator[str]:
    """Yield the fault of a CUDA device that is not among the `gpus` here; torch alone knows about `mps`."""
    if device in ("cpu", "mps") or (device == "auto" and needed == 1):
        return
    number = device.partition(":")[2]
    wanted = int(number) + 1 if number else needed
    if wanted > gpus:
        yield f"{key}: {device} needs {wanted} GPU{'s' if wanted > 1 else ''}, and this machine shows {gpus}"
