"""Faults of a run whose options are each well-formed, but that cannot be run together."""

from collections.abc import Callable, Iterator

from assertkd.errors import UserError
from assertkd.settings import RunSettings
from assertkd.settings.model import SCRATCH, missing_layers
from assertkd.students.params import DistillStudentParams
from assertkd.synthetic.families import families_named


def validate(run: RunSettings) -> None:
    """Refuse a run that is well-formed but cannot be run.

    Raises:
        UserError: listing every such fault.
    """
    faults = dict.fromkeys(fault for check in CHECKS for fault in check(run))
    if faults:
        raise UserError("\n".join(faults), "Correct config.yaml.")


def _families(run: RunSettings) -> Iterator[str]:
    if run.data.source == "embedded" and run.data.embedded.families is not None:
        try:
            families_named(run.data.embedded.families)
        except UserError as fault:
            yield f"{fault.problem}. {fault.remedy}"


def _token_budgets(run: RunSettings) -> Iterator[str]:
    longest = run.data.max_input_len + run.data.max_output_len
    trainings = {"teacher": run.teacher.training} | {f"variants.{n}": v.training for n, v in run.variants.items()}
    for path, training in trainings.items():
        if training.token_budget is not None and training.token_budget < longest:
            yield (
                f"{path}.training.token_budget: {training.token_budget} is below the longest example, "
                f"data.max_input_len + data.max_output_len = {longest}"
            )


def _variants(run: RunSettings) -> Iterator[str]:
    sizes = run.teacher.model.scratch
    teacher_layers = {"encoder": sizes.encoder_layers, "decoder": sizes.decoder_layers}
    for name, variant in run.variants.items():
        layers = variant.model.layers
        if layers is not None and run.teacher.model.name == SCRATCH and not run.data.has_external_teacher:
            for line in missing_layers(layers, teacher_layers):
                yield f"variants.{name}.model.teacher_layers: {line}"
        try:
            DistillStudentParams.from_run(run, name)
        except UserError as fault:
            yield f"variants.{name}: {fault.problem}"


def _external_teacher(run: RunSettings) -> Iterator[str]:
    if not run.data.has_external_teacher:
        return
    if run.tokenizer.name is None:
        yield "tokenizer.name: is needed with data.distillation_jsonl: the tokenizer that the teacher had"
    if run.logits.codec == "hidden":
        yield (
            "logits.codec: `hidden` stores what enters the teacher's head, which data.distillation_jsonl does not "
            "hold: use `dense` or `topk`"
        )
    needs_teacher = "needs the teacher itself, and data.distillation_jsonl gives its answers alone"
    if run.data.unlabelled is not None:
        yield f"data.unlabelled: {needs_teacher}"
    for name, variant in run.variants.items():
        if variant.model.layers is not None:
            yield f"variants.{name}.model.teacher_layers: {needs_teacher}"
        if variant.on_policy.fraction:
            yield f"variants.{name}.on_policy: {needs_teacher}"
    for name in run.variants:
        try:
            policy = DistillStudentParams.from_run(run, name).target_policy
        except UserError:
            # `_variants` says what is wrong with it.
            continue
        if "train_predictions" in policy.stores:
            yield f"variants.{name}.targets: logits along its predictions: {needs_teacher}"


CHECKS: tuple[Callable[[RunSettings], Iterator[str]], ...] = (
    _families,
    _token_budgets,
    _variants,
    _external_teacher,
)
