"""What each rule of the workflow is given: exactly the settings it uses, resolved, as JSON values.

The workflow reruns a rule when these change, and only then; so nothing may stand here that a rule does not use.
"""

from typing import Any

from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.settings.load import RunSettings
from assertkd.settings.model import SCRATCH, ModelSettings, StudentModelSettings
from assertkd.settings.training import TrainingSettings

Params = dict[str, Any]


def mine_corpus(run: RunSettings) -> Params:
    """Return the folders of Java projects, how they are mined, and the longest test that the corpus takes."""
    return run.data.model_dump(mode="json", include={"java_sources", "mining", "max_characters"})


def mined_records(run: RunSettings) -> str:
    """Return the file that `mine_corpus` writes its records to."""
    return f"results/{run.name}/corpus/mined.jsonl"


def prepare_corpus(run: RunSettings) -> Params:
    """Return `data` (without what students alone use), `tokenizer` and the teacher's name where it names that too.

    Mined records are files like any others here.
    """
    names_of_files = {"source", "train_file", "validation_file", "test_file", "multiple"}
    mining = {"java_sources", "mining"}
    if run.data.has_external_teacher:
        unused = {"embedded", *names_of_files, *mining}
    elif run.data.source == "embedded":
        unused = {"distillation_jsonl", "on_bad_record", "max_characters", *mining, *names_of_files} - {"source"}
    else:
        unused = {"embedded", "distillation_jsonl", *mining}
    data = run.data
    if data.is_mined:
        data = data.model_copy(update={"source": "files", "train_file": mined_records(run)})
    named = run.tokenizer.name is not None
    trained = not named and run.teacher.model.name == SCRATCH
    return {
        "data": data.model_dump(mode="json", exclude=unused | {"labelled_share", "unlabelled"}),
        "tokenizer": run.tokenizer.model_dump(mode="json", exclude=set() if trained else {"vocab_size"}),
        "teacher": SCRATCH if named else run.teacher.model.name,
    }


def prepare_unlabelled(run: RunSettings) -> Params:
    """Return how records are checked, the limits, and which splits share no project with the others."""
    split_off = {"validation", "test"} - set(run.data.files)
    return {
        "projects_apart": sorted(split_off) if run.data.split_by != "record" else [],
        "on_bad_record": run.data.on_bad_record,
        "max_characters": run.data.max_characters,
        **_limits(run),
    }


def train_teacher(run: RunSettings) -> Params:
    """Return the teacher's model, training, seed and token limits."""
    return {
        "model": _model(run.teacher.model),
        "training": _training(run.teacher.training),
        "seed": run.teacher.seed,
        "limits": _limits(run),
    }


def compress_logits(run: RunSettings) -> Params:
    """Return the codec with its own options, the pass's settings and the targets' definition.

    Of the codec `topk` also the temperatures that it is read at: the evaluation's, and those of the variants
    that learn from the teacher's distributions.
    """
    unused = {"hidden", "topk"} - {run.logits.codec}
    given: Params = {"logits": run.logits.model_dump(mode="json", exclude=unused), "supervision": _supervision(run)}
    if run.logits.codec == "topk":
        plans = [loss(run, variant) for variant in run.variants]
        read = {plan.temperature for plan in plans if plan.temperature is not None}
        given["temperatures"] = sorted({1.0, run.evaluation.eval_temperature, *read})
    return given


def compress_predictions(run: RunSettings) -> Params:
    """Return what `compress_logits` uses, without the beams of the predictions and the fidelity report."""
    return _without(compress_logits(run), "num_beams", "fidelity")


def compress_unlabelled(run: RunSettings) -> Params:
    """Return what `compress_logits` uses, without the fidelity report; of the targets' definition the limits alone."""
    params = _without(compress_logits(run), "fidelity")
    del params["supervision"]
    return params | {"limits": _limits(run)}


def import_logits(run: RunSettings) -> Params:
    """Return what `compress_logits` uses where files stand in for the teacher: codec, shards, the targets."""
    return _without(compress_logits(run), "batch_size", "num_beams", "device", "fidelity")


def distill_student(run: RunSettings, variant: str) -> Params:
    """Return one variant's model, training, resolved loss and the targets' definition."""
    settings = run.variants[variant]
    return {
        "model": _model(settings.model),
        "training": _training(settings.training),
        "loss": loss(run, variant).model_dump(mode="json"),
        "on_policy": settings.on_policy.model_dump(mode="json") if settings.on_policy.fraction else None,
        "targets": settings.targets,
        "learns_withheld": _learns_withheld(run, variant),
        "learns_unlabelled": learns_unlabelled(run, variant),
        "supervision": _supervision(run),
    }


def predict(run: RunSettings, is_student: bool) -> Params:
    """Return the decoding settings; for a student, also the temperature of its divergence from the teacher."""
    names = {"limit", "batch_size", "num_beams", "device"} | ({"eval_temperature"} if is_student else set())
    return {"evaluation": run.evaluation.model_dump(mode="json", include=names), "limits": _limits(run)}


def predict_external_teacher(run: RunSettings) -> Params:
    """Return how many test records are judged."""
    return {"limit": run.evaluation.limit}


def execute_gold(run: RunSettings) -> Params:
    """Return how assertions are executed, and of how many test records."""
    return {"execute": run.evaluation.execute.model_dump(mode="json"), "limit": run.evaluation.limit}


def execute(run: RunSettings) -> Params:
    """Return how assertions are executed."""
    return {"execute": run.evaluation.execute.model_dump(mode="json")}


def score(run: RunSettings) -> Params:
    """Return the settings of the metrics and of their intervals."""
    names = {"encoder", "example_seconds", "bootstrap_resamples", "bootstrap_seed"}
    return run.evaluation.model_dump(mode="json", include=names)


def build_report(run: RunSettings) -> Params:
    """Return the page's settings, the baseline variant and the settings of the comparison with it."""
    return {
        "report": run.report.model_dump(mode="json"),
        "comparison": {
            "baseline": run.baseline,
            "resamples": run.evaluation.bootstrap_resamples,
            "seed": run.evaluation.bootstrap_seed,
        },
    }


def prefetch_models(run: RunSettings) -> Params:
    """Return the models, tokenizers and encoders that a run's jobs load by name."""
    students = [variant.model.name for variant in run.variants.values()]
    teachers = [] if run.data.has_external_teacher else [run.teacher.model.name]
    models = [name for name in dict.fromkeys([*teachers, *students]) if name != SCRATCH]
    if run.tokenizer.name is not None:
        tokenizers = [run.tokenizer.name]
    else:
        tokenizers = [] if run.teacher.model.name == SCRATCH else [run.teacher.model.name]
    named = [one.encoder for variant in run.variants for one in loss(run, variant).components]
    encoders = [name for name in dict.fromkeys(named) if name is not None]
    return {"models": models, "tokenizers": tokenizers, "encoders": encoders}


def check_cuda(run: RunSettings) -> Params:
    """Return each training of the run, alike ones once, and the sizes that decide its memory."""
    trainings: dict[str, Params] = {}
    if not run.data.has_external_teacher:
        trainings["teacher"] = {"model": _model(run.teacher.model), "training": _training(run.teacher.training)}
    for name, variant in run.variants.items():
        training = {"model": _model(variant.model), "training": _training(variant.training)}
        if training not in trainings.values():
            trainings[f"student {name}"] = training
    return {"trainings": trainings, "limits": {**_limits(run), "vocab_size": run.tokenizer.vocab_size}}


def gpus(training: TrainingSettings) -> int:
    """Return how many GPUs a training takes where there are enough."""
    return 0 if training.device == "cpu" else training.gpus


def loss(run: RunSettings, variant: str) -> LossPlan:
    """Return the resolved loss of a variant."""
    return plan_loss(run.variants[variant].loss)


def learns_from_teacher(run: RunSettings, variant: str) -> bool:
    """Return whether a variant reads the teacher's logits or predictions."""
    return bool(logits_of_student(run, variant))


def logits_of_student(run: RunSettings, variant: str) -> list[str]:
    """Return what a variant reads of the logits' folder; nothing where it learns from gold assertions alone."""
    named = []
    if loss(run, variant).needs_teacher or _learns_withheld(run, variant) or run.variants[variant].targets != "gold":
        named += ["train", "teacher_predictions.jsonl"]
    if learns_along_predictions(run, variant):
        named.append("train_predictions")
    if learns_unlabelled(run, variant):
        named += ["unlabelled", "unlabelled_predictions.jsonl"]
    return named


def uses_teacher_itself(run: RunSettings, variant: str) -> bool:
    """Return whether a variant is made of the teacher's layers or has its own outputs scored by it."""
    settings = run.variants[variant]
    return settings.model.layers is not None or settings.on_policy.fraction > 0


def learns_unlabelled(run: RunSettings, variant: str) -> bool:
    """Return whether a variant learns from the records of `data.unlabelled`."""
    return run.data.unlabelled is not None and run.variants[variant].unlabelled == "teacher"


def learns_along_predictions(run: RunSettings, variant: str) -> bool:
    """Return whether a variant reads the teacher's distributions along the teacher's own predictions."""
    return run.variants[variant].targets != "gold" and loss(run, variant).needs_teacher


def _learns_withheld(run: RunSettings, variant: str) -> bool:
    return run.data.labelled_share < 1 and run.variants[variant].unlabelled == "teacher"


def _without(params: Params, *unused: str) -> Params:
    params["logits"] = {name: value for name, value in params["logits"].items() if name not in unused}
    return params


def _model(settings: ModelSettings) -> Params:
    layers = {"teacher_layers", "teacher_decoder_layers"}
    if isinstance(settings, StudentModelSettings) and settings.layers is not None:
        return settings.model_dump(mode="json", include=layers)
    return settings.model_dump(mode="json", exclude=layers | (set() if settings.name == SCRATCH else {"scratch"}))


def _training(settings: TrainingSettings) -> Params:
    unused = set() if settings.enhanced_metrics else {"validation_samples"}
    unused |= set() if settings.epoch_sampling else {"sampling_seed"}
    return settings.model_dump(mode="json", exclude=unused)


def _limits(run: RunSettings) -> Params:
    return {"max_input_len": run.data.max_input_len, "max_output_len": run.data.max_output_len}


def _supervision(run: RunSettings) -> Params:
    # With every record labelled, the seed chooses nothing.
    seed = run.data.split_seed if run.data.labelled_share < 1 else 0
    return {**_limits(run), "labelled_share": run.data.labelled_share, "seed": seed}
