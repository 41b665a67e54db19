"""Faults of a run whose options are each well-formed, but that cannot be run together."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from assertkd.errors import UserError
from assertkd.losses.registry import TokenComponent, component_of
from assertkd.records import LOGPROBS, teacher_distributions
from assertkd.settings import RunSettings, TrainingSettings
from assertkd.settings.model import SCRATCH, missing_layers, wider_than_teacher
from assertkd.students.params import DistillStudentParams, encoder_slug
from assertkd.synthetic.families import families_named


def validate(run: RunSettings, source: str = "config.yaml") -> None:
    """Refuse a run that is well-formed but cannot be run.

    Args:
        run: the run.
        source: where its settings are from, for the remedy.

    Raises:
        UserError: listing every such fault.
    """
    faults = [*_families(run), *_token_budgets(run), *_external_files(run)]
    students = {}
    for name in run.variants:
        try:
            students[name] = DistillStudentParams.from_run(run, name)
        except UserError as fault:
            faults.append(f"variants.{name}: {fault.problem}")
    faults += _untrained_components(run, students)
    faults += _encoders(students)
    faults += _own_tokenizers(students)
    faults += _cut_vocabulary(run)
    faults += _external_teacher(run, students) if run.has_external_teacher else _layers(run, students)
    if faults:
        raise UserError("\n".join(faults), f"Correct {source}.")


def _trainings(run: RunSettings) -> dict[str, TrainingSettings]:
    """Return the training settings of teacher and variants by the path of their section."""
    pretraining = {"teacher.pretrain": run.teacher.pretrain.training} if run.is_pretrained else {}
    students = {f"variants.{name}": variant.training for name, variant in run.variants.items()}
    return {**pretraining, "teacher": run.teacher.training, **students}


def _untrained_components(run: RunSettings, students: Mapping[str, DistillStudentParams]) -> Iterator[str]:
    for name, student in students.items():
        loss = run.variants[name].loss
        # In the presets a weight of 0 is asked for by its name: alpha, say.
        for component in student.loss.components if loss.function == "multi_component" else ():
            if not component.trains:
                cause = "its start value is 0" if loss.weights is None else "loss.weights gives it 0"
                yield (
                    f"variants.{name}.loss.components: {component.name} never has a weight above 0, since {cause}: "
                    f"give it a weight in loss.weights, set loss.dynamic_weighting: true with an end above 0, or "
                    f"remove it"
                )


def _cut_vocabulary(run: RunSettings) -> Iterator[str]:
    if run.has_external_teacher and run.tokenizer.keep == "corpus":
        yield "tokenizer.keep: corpus: a teacher that ran elsewhere, or a server, has the whole vocabulary: set all"


def _families(run: RunSettings) -> Iterator[str]:
    if run.data.source == "embedded" and run.data.embedded.families is not None:
        try:
            families_named(run.data.embedded.families)
        except UserError as fault:
            yield f"{fault.problem}. {fault.remedy}"


def _external_files(run: RunSettings) -> Iterator[str]:
    for name, file in run.evaluation.external.items():
        if not Path(file).is_file():
            yield f"evaluation.external.{name}: {file}: {'is a folder' if Path(file).is_dir() else 'no such file'}"


def _token_budgets(run: RunSettings) -> Iterator[str]:
    longest = run.data.max_input_len + run.data.max_output_len
    for path, training in _trainings(run).items():
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
    sizes = model.scratch
    held = {"encoder": sizes.encoder_layers, "decoder": sizes.decoder_layers}
    if sizes.family == "causal":
        held.pop("encoder")
    for name, student in students.items():
        if model.name == SCRATCH and student.model.layers is not None:
            if sizes.family == "causal" and student.model.teacher_decoder_layers is not None:
                yield f"variants.{name}.model.teacher_decoder_layers: the teacher has one stack, of teacher_layers"
            for line in missing_layers(student.model.layers, held):
                yield f"variants.{name}.model.teacher_layers: {line}"
            for line in wider_than_teacher(
                student.model.teacher_heads, sizes.heads, student.model.teacher_d_ff, sizes.d_ff
            ):
                yield f"variants.{name}.{line}"
        if model.name == SCRATCH and student.loss.hidden is not None and (depth := _depth(student)) is not None:
            try:
                student.loss.hidden.pairs(depth, sizes.decoder_layers)
            except UserError as fault:
                yield f"variants.{name}.{fault.problem}"


def _depth(student: DistillStudentParams) -> int | None:
    """Return the number of a student's layers that write; None where only its files say it."""
    if student.model.layers is not None:
        return len(student.model.layers["decoder"])
    return student.model.scratch.decoder_layers if student.model.name == SCRATCH else None


def _own_tokenizers(students: Mapping[str, DistillStudentParams]) -> Iterator[str]:
    """Yield where a student with a tokenizer of its own is to be compared with its teacher token by token."""
    for name, student in students.items():
        if student.model.tokenizer is None:
            continue
        for weighted in student.loss.components:
            component = component_of(weighted.name)
            if isinstance(component, TokenComponent) and component.needs_teacher and not component.aligns_tokenizers:
                yield (
                    f"variants.{name}.loss: {weighted.name} compares teacher and student token by token, and the "
                    "student has a tokenizer of its own (model.tokenizer): use uld (multi_component), or learn the "
                    "teacher's texts alone (targets: teacher, components: [ce])"
                )
        if student.loss.hidden is not None:
            yield (
                f"variants.{name}.loss: hidden compares teacher and student token by token, and the student has a "
                "tokenizer of its own (model.tokenizer): remove one of the two"
            )
        if student.on_policy is not None:
            yield (
                f"variants.{name}.on_policy: the teacher scores the student's tokens, and the student has a tokenizer "
                "of its own (model.tokenizer): remove one of the two"
            )


def _external_teacher(run: RunSettings, students: Mapping[str, DistillStudentParams]) -> Iterator[str]:
    is_served = run.logits.server.url is not None
    source = "logits.server" if is_served else "data.distillation_jsonl"
    if is_served and run.data.has_external_teacher:
        yield "logits.server.url: the files of data.distillation_jsonl have a teacher already: remove one of the two"
    if run.tokenizer.name is None:
        yield f"tokenizer.name: is needed with {source}: the tokenizer that the teacher had"
    if is_served:
        if run.tokenizer.prompt == "placeholder":
            yield (
                "tokenizer.prompt: `placeholder` ends in an end token, behind which a served model does not go on: use "
                "`infilling`, `continuation` or null"
            )
        if run.logits.codec != "topk":
            yield (
                f"logits.codec: `{run.logits.codec}` stores the whole distribution, and a server gives the "
                "log-probabilities of the likeliest tokens: use `topk`"
            )
    elif run.logits.codec == "hidden":
        yield (
            "logits.codec: `hidden` stores what enters the teacher's head, which data.distillation_jsonl does not "
            "hold: use `dense` or `topk`"
        )
    elif run.logits.codec != "topk":
        for split, file in run.data.files.items():
            if teacher_distributions(Path(file)) == LOGPROBS:
                yield (
                    f"logits.codec: `{run.logits.codec}` stores the whole distribution, and data.distillation_jsonl."
                    f"{split}, {file}, gives {LOGPROBS}, those of the likeliest tokens: use `topk`"
                )
    needs_teacher = f"needs the teacher itself, and {source} gives its answers alone"
    if run.data.unlabelled is not None:
        yield f"data.unlabelled: {needs_teacher}"
    for name, student in students.items():
        if student.model.layers is not None:
            yield f"variants.{name}.model.teacher_layers: {needs_teacher}"
        if student.loss.hidden is not None:
            yield f"variants.{name}.loss: hidden {needs_teacher}"
        if student.on_policy is not None:
            yield f"variants.{name}.on_policy: {needs_teacher}"
        if "train_predictions" in student.target_policy.stores:
            yield f"variants.{name}.targets: logits along its predictions: {needs_teacher}"
