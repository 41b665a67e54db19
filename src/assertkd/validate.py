"""Faults of a run whose options are each well-formed, but that cannot be run together."""

from collections.abc import Iterator, Mapping

from assertkd.errors import UserError
from assertkd.settings import RunSettings
from assertkd.settings.model import SCRATCH, missing_layers
from assertkd.students.params import DistillStudentParams, encoder_slug
from assertkd.synthetic.families import families_named


def validate(run: RunSettings) -> None:
    """Refuse a run that is well-formed but cannot be run.

    Raises:
        UserError: listing every such fault.
    """
    faults = [*_families(run), *_token_budgets(run)]
    students = {}
    for name in run.variants:
        try:
            students[name] = DistillStudentParams.from_run(run, name)
        except UserError as fault:
            faults.append(f"variants.{name}: {fault.problem}")
    faults += _encoders(students)
    faults += _external_teacher(run, students) if run.data.has_external_teacher else _layers(run, students)
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


def _encoders(students: Mapping[str, DistillStudentParams]) -> Iterator[str]:
    names: dict[str, str] = {}
    for variant, student in students.items():
        for encoder in student.encoders:
            other = names.setdefault(encoder_slug(encoder), encoder)
            if other != encoder:
                yield (
                    f"variants.{variant}.loss: the encoders {other} and {encoder} would keep their embeddings in one "
                    f"folder, {encoder_slug(encoder)}: name only one of them"
                )


def _layers(run: RunSettings, students: Mapping[str, DistillStudentParams]) -> Iterator[str]:
    model = run.teacher.model
    held = {"encoder": model.scratch.encoder_layers, "decoder": model.scratch.decoder_layers}
    for name, student in students.items():
        if model.name == SCRATCH and student.model.layers is not None:
            for line in missing_layers(student.model.layers, held):
                yield f"variants.{name}.model.teacher_layers: {line}"


def _external_teacher(run: RunSettings, students: Mapping[str, DistillStudentParams]) -> Iterator[str]:
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
    for name, student in students.items():
        if student.model.layers is not None:
            yield f"variants.{name}.model.teacher_layers: {needs_teacher}"
        if student.on_policy is not None:
            yield f"variants.{name}.on_policy: {needs_teacher}"
        if "train_predictions" in student.target_policy.stores:
            yield f"variants.{name}.targets: logits along its predictions: {needs_teacher}"
