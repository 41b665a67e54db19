"""Faults of a run whose options are each well-formed, but that cannot be run together."""

from collections.abc import Sequence

from assertkd.errors import UserError
from assertkd.losses.loss_plan import plan_loss
from assertkd.settings.layers import missing_layers
from assertkd.settings.load import RunSettings
from assertkd.settings.model import SCRATCH
from assertkd.settings.params import learns_along_predictions
from assertkd.synthetic.families import families_named


def check(run: RunSettings) -> None:
    """Refuse what is well-formed but cannot be run.

    Raises:
        UserError: listing every such fault.
    """
    faults: dict[str, None] = {}
    if run.data.source == "embedded" and run.data.embedded.families is not None:
        try:
            families_named(run.data.embedded.families)
        except UserError as fault:
            faults[f"{fault.problem}. {fault.remedy}"] = None
    trainings = {"teacher": run.teacher.training} | {f"variants.{n}": v.training for n, v in run.variants.items()}
    for path, training in trainings.items():
        longest = run.data.max_input_len + run.data.max_output_len
        if training.token_budget is not None and training.token_budget < longest:
            faults[
                f"{path}.training.token_budget: {training.token_budget} is below the longest example, "
                f"data.max_input_len + data.max_output_len = {longest}"
            ] = None
    sound = []
    for name, variant in run.variants.items():
        layers = variant.model.layers
        if layers is not None and run.teacher.model.name == SCRATCH and not run.data.has_external_teacher:
            sizes = run.teacher.model.scratch
            held = {"encoder": sizes.encoder_layers, "decoder": sizes.decoder_layers}
            for line in missing_layers(layers, held):
                faults[f"variants.{name}.model.teacher_layers: {line}"] = None
        try:
            plan_loss(variant.loss)
            sound.append(name)
        except UserError as fault:
            faults[f"variants.{name}: {fault.problem}"] = None
    if run.data.has_external_teacher:
        faults |= dict.fromkeys(_faults_of_given_teacher(run, sound))
    if faults:
        raise UserError("\n".join(faults), "Mend config.yaml.")


def _faults_of_given_teacher(run: RunSettings, variants: Sequence[str]) -> list[str]:
    faults = []
    if run.tokenizer.name is None:
        faults.append("tokenizer.name: is needed with data.distillation_jsonl: the tokenizer that the teacher had")
    if run.logits.codec == "hidden":
        faults.append(
            "logits.codec: `hidden` stores what enters the teacher's head, which data.distillation_jsonl does not "
            "hold: use `dense` or `topk`"
        )
    needs_teacher = "needs the teacher itself, and data.distillation_jsonl gives its answers alone"
    if run.data.unlabelled is not None:
        faults.append(f"data.unlabelled: {needs_teacher}")
    for name, variant in run.variants.items():
        if variant.model.layers is not None:
            faults.append(f"variants.{name}.model.teacher_layers: {needs_teacher}")
        if variant.on_policy.fraction:
            faults.append(f"variants.{name}.on_policy: {needs_teacher}")
    for name in variants:
        if learns_along_predictions(run, name):
            faults.append(f"variants.{name}.targets: logits along its predictions: {needs_teacher}")
    return faults
