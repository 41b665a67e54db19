"""What a run needs of this machine and its files before its jobs start: records, devices, models of one vocabulary."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from assertkd.corpus.formats.registry import files_of, is_there
from assertkd.dry_run import PlannedJob, rules_of
from assertkd.errors import UserError
from assertkd.java.projects import FOLDERS, folder_faults
from assertkd.layout import RunLayout
from assertkd.runtime.machine import gpu_count
from assertkd.settings import RunSettings, TrainingSettings
from assertkd.settings.model import SCRATCH, size_settings
from assertkd.students.params import DistillStudentParams


def check_files(
    run: RunSettings,
    files: RunLayout,
    options: Mapping[str, Any] | None = None,
    jobs: Collection[PlannedJob] | None = None,
) -> None:
    """Refuse to prepare a corpus or a pre-training whose sources are missing or hold nothing.

    Args:
        run: the run.
        files: its results.
        options: what a command's options set in `data`: their sources are needed in any case.
        jobs: that will run; None where they are not known: what is finished then needs no sources.

    Raises:
        UserError: listing the files and folders.
    """
    options = options or {}
    of_options = [*options.values(), *options.get("distillation_jsonl", {}).values(), *options.get("java_sources", ())]
    if jobs is not None:
        rules = rules_of(jobs)
    else:
        rules = set() if files.corpus.quality.exists() else {"prepare_corpus", "mine_corpus"}
        rules |= set() if files.pretrain.report.exists() else {"prepare_pretraining"}
    faults: list[str] = []
    section = "data.distillation_jsonl" if run.data.has_external_teacher else "data"
    named = {f"{section}.{split}": file for split, file in run.data.files.items()}
    if not run.data.has_external_teacher:
        named = {f"{key}_file": file for key, file in named.items()}
    if run.data.unlabelled is not None:
        named["data.unlabelled"] = run.data.unlabelled
    for key, path in named.items():
        parts = files_of(Path(path), run.data.format)
        faults += [
            f"{key}: {file}: no such file"
            for file in parts
            if ("prepare_corpus" in rules or path in of_options) and not is_there(file)
        ]
    sources = run.data.java_sources if run.data.is_mined else ()
    mined = [folder for folder in sources if "mine_corpus" in rules or folder in of_options]
    trained_on = run.teacher.pretrain.java_sources if run.is_pretrained and "prepare_pretraining" in rules else ()
    for key, folders in {"data.java_sources": mined, "teacher.pretrain.java_sources": trained_on}.items():
        faults += [f"{key}: {fault}" for fault in folder_faults([Path(folder) for folder in folders])]
    if faults:
        raise UserError("\n".join(faults), f"Name what exists; paths are read in {Path.cwd()}. {FOLDERS}")


def check_predictions(run: RunSettings, jobs: Collection[PlannedJob], files: RunLayout) -> None:
    """Refuse files of other systems' predictions that jobs could not take; where there is a test split, on its records.

    Raises:
        UserError: listing them by their keys.
    """
    systems = [job.wildcards["system"] for job in jobs if job.rule == "import_predictions"]
    if not systems:
        return
    # These import torch, which takes seconds.
    from assertkd.evaluation.import_predictions import predictions_on
    from assertkd.evaluation.prediction_files import check_predictions_file

    is_split = files.corpus.test.exists() and not any(job.rule == "prepare_corpus" for job in jobs)
    faults: dict[str, UserError] = {}
    for system in systems:
        path = Path(run.evaluation.external[system])
        try:
            if is_split:
                predictions_on(files.corpus.test, path, run.evaluation.limit)
            else:
                check_predictions_file(path)
        except UserError as fault:
            faults[f"evaluation.external.{system}"] = fault
    _raise_all(faults)


def check_devices(run: RunSettings, jobs: Collection[PlannedJob]) -> None:
    """Refuse jobs on this machine whose device it lacks, and those that train in fp16 on a CPU.

    So are those that compute in anything but fp32 on Apple's GPU; of other GPUs torch alone knows the precisions.

    Raises:
        UserError: listing every such setting.
    """
    gpus = gpu_count()
    rules = {job.rule for job in jobs}
    faults: list[str] = []
    if "pretrain" in rules:
        faults += _untrainable("teacher.pretrain.training", run.teacher.pretrain.training, gpus)
    if "train_teacher" in rules:
        faults += _untrainable("teacher.training", run.teacher.training, gpus)
    if any(rule.startswith("compress_") for rule in rules):
        faults += _absent_device("logits.device", run.logits.device, 1, gpus)
        faults += _not_on_apple("logits", run.logits.device, run.logits.precision)
    for name in _distilled_variants(run, jobs):
        faults += _untrainable(f"variants.{name}.training", run.variants[name].training, gpus)
    if "predict" in rules:
        faults += _absent_device("evaluation.device", run.evaluation.device, 1, gpus)
    if faults:
        raise UserError("\n".join(faults), "Change these settings, or run where there are such GPUs.")


def check_models(run: RunSettings, jobs: Collection[PlannedJob], files: RunLayout) -> None:
    """Refuse models, tokenizers and encoders that jobs could not use, as far as that can be known before.

    Only headers are read of weights, and nothing is downloaded; what is not here must be on a hub that answers.
    Whatever they learn, students are compared with the run's tokenizer: the corpus's, or the one that it will be made
    with; one still to be trained can only be too small.

    Raises:
        UserError: listing them by their keys.
    """
    models, encoders = _named_models(run, jobs), _named_encoders(run, jobs)
    makes_corpus = any(job.rule == "prepare_corpus" for job in jobs)
    source = run.tokenizer.name or run.teacher.model.name
    named = "tokenizer.name" if run.tokenizer.name is not None else "teacher.model.name"
    distilled = {name: run.variants[name] for name in _distilled_variants(run, jobs)}
    learn_inputs = {name: variant for name, variant in distilled.items() if variant.loss.input_weight}
    if not models and not encoders and not learn_inputs and (not makes_corpus or source == SCRATCH):
        return
    # These import torch, which takes seconds.
    from assertkd.models.configuration import NO_MODEL
    from assertkd.models.encoders import check_encoder
    from assertkd.models.hub import check_fetchable
    from assertkd.models.loading import NO_TOKENIZER
    from assertkd.models.model_folder import local_folder
    from assertkd.models.registry import check_model, has_encoder, vocab_size
    from assertkd.models.tokenizer import load_tokenizer
    from assertkd.training.terms.input_tokens import encoder_reads_inputs

    faults: dict[str, UserError] = {}
    tokenizer, largest = None, None
    try:
        if not makes_corpus and files.corpus.tokenizer.is_dir():
            tokenizer = load_tokenizer(files.corpus.tokenizer)
        elif source == SCRATCH:
            largest = run.tokenizer.vocab_size
        elif local_folder(source) is not None:
            tokenizer = load_tokenizer(source)
        else:
            check_fetchable(source, NO_MODEL if run.tokenizer.name is None else NO_TOKENIZER)
    except UserError as fault:
        faults[named] = fault
    # Variants often begin with the same model.
    unusable: dict[tuple[str, str | None], UserError] = {}
    for name, own in dict.fromkeys(models.values()):
        try:
            expected = tokenizer
            if own is not None:
                expected = None
                if own != SCRATCH and local_folder(own) is not None:
                    expected = load_tokenizer(own)
                elif own != SCRATCH:
                    check_fetchable(own, NO_TOKENIZER)
            if name == SCRATCH:
                continue
            check_model(name, expected)
            entries = None if largest is None or own is not None else vocab_size(name)
            if largest is not None and entries is not None and entries > largest:
                raise UserError(
                    f"{name} has {entries} vocabulary entries, the run's own tokenizer {largest} at most",
                    "Set tokenizer.name to this model's, so that all models of the run have one tokenizer.",
                )
        except UserError as fault:
            unusable[name, own] = fault
    for key, model in models.items():
        if model in unusable:
            faults.setdefault(key, unusable[model])
    for key, encoder in encoders.items():
        try:
            check_encoder(encoder)
        except UserError as fault:
            faults[key] = fault
    for name, variant in learn_inputs.items():
        if has_encoder(size_settings(variant.model, run.teacher.model)):
            faults[f"variants.{name}"] = encoder_reads_inputs()
    _raise_all(faults)


def _raise_all(faults: Mapping[str, UserError]) -> None:
    """Raise the faults of a config's keys as one, if there are any."""
    if faults:
        problem = "\n".join(f"{key}: {fault.problem}" for key, fault in faults.items())
        raise UserError(problem, " ".join(dict.fromkeys(fault.remedy for fault in faults.values())))


def _named_models(run: RunSettings, jobs: Collection[PlannedJob]) -> dict[str, tuple[str, str | None]]:
    """Return the names of the models that trainings among the jobs begin with, by their keys.

    Beside each name that of a tokenizer of its own; None for the run's.
    """
    models: dict[str, tuple[str, str | None]] = {}
    # What is pre-trained is the teacher's model.
    if any(job.rule == ("pretrain" if run.is_pretrained else "train_teacher") for job in jobs):
        models["teacher.model.name"] = run.teacher.model.name, None
    for variant in _distilled_variants(run, jobs):
        model = run.variants[variant].model
        if model.layers is None:
            own = None if model.tokenizer is None else model.own_tokenizer
            models[f"variants.{variant}.model.name"] = model.name, own
    return {key: (name, own) for key, (name, own) in models.items() if name != SCRATCH or own not in (None, SCRATCH)}


def _named_encoders(run: RunSettings, jobs: Collection[PlannedJob]) -> dict[str, str]:
    """Return the names of the encoders that jobs load, by their keys; each once."""
    encoders = {}
    if any(job.rule in ("score", "execute") for job in jobs):
        encoders["evaluation.encoder"] = run.evaluation.encoder
    for variant in _distilled_variants(run, jobs):
        for encoder in DistillStudentParams.from_run(run, variant).encoders:
            if encoder not in encoders.values():
                encoders[f"variants.{variant}.loss"] = encoder
    return encoders


def _distilled_variants(run: RunSettings, jobs: Collection[PlannedJob]) -> list[str]:
    distilled = {job.wildcards["variant"] for job in jobs if job.rule == "distill_student"}
    return [name for name in run.variants if name in distilled]


def _untrainable(path: str, training: TrainingSettings, gpus: int) -> Iterator[str]:
    yield from _absent_device(f"{path}.device", training.device, training.gpus, gpus)
    is_on_cpu = training.device == "cpu" or (training.device == "auto" and not gpus)
    if training.precision == "fp16" and is_on_cpu:
        yield f"{path}.precision: fp16, and a CPU cannot train in it: use fp32 (or bf16)"
    yield from _not_on_apple(path, training.device, training.precision)


def _not_on_apple(path: str, device: str, precision: str) -> Iterator[str]:
    if device == "mps" and precision != "fp32":
        yield f"{path}.precision: {precision}, and device mps computes in fp32 alone: use fp32"


def _absent_device(key: str, device: str, needed: int, gpus: int) -> Iterator[str]:
    """Yield the fault of a CUDA device that is not among the `gpus` here; torch alone knows about `mps`."""
    if device in ("cpu", "mps") or (device == "auto" and needed == 1):
        return
    number = device.partition(":")[2]
    wanted = int(number) + 1 if number else needed
    if wanted > gpus:
        yield f"{key}: {device} needs {wanted} GPU{'s' if wanted > 1 else ''}, and this machine shows {gpus}"
