"""A store of the teacher's logits on records, made for the evaluation of one model outside a run."""

import logging
from dataclasses import replace
from pathlib import Path

from assertkd.batching.examples import Example
from assertkd.corpus.targets import Supervision
from assertkd.errors import UserError
from assertkd.evaluation.evaluation_records import EvaluationRecords
from assertkd.files import sha256_of_file
from assertkd.layout import ModelLayout
from assertkd.logits.interchange.import_file import ExternalExample, write_stores
from assertkd.logits.interchange.lines import InterchangeLine
from assertkd.logits.interchange.token_names import TokenNames
from assertkd.logits.params import LogitsParams
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.reader import StoreReader
from assertkd.logits.teacher_pass import TeacherPass
from assertkd.models.exported import is_export
from assertkd.models.length_limits import Limits
from assertkd.models.registry import vocab_size
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records
from assertkd.settings import EvaluationSettings, LogitsSettings

log = logging.getLogger(__name__)


def store_teacher_logits(
    settings: EvaluationSettings, model: Path, limits: Limits, teacher: Path, records_file: Path, folder: Path
) -> Path | None:
    """Write the store of a teacher's logits on the records to `folder`, and return it.

    None, with a warning, where model and teacher have not the same tokenizer and vocabulary, or one is an export: then
    there is no divergence of the one from the other.

    Args:
        settings: device, batch size and temperature.
        model: whose divergence is to be measured.
        limits: its lengths.
        teacher: the teacher's folder.
        records_file: as `write_records` writes it.
        folder: of the store.
    """
    if is_export(model) or is_export(teacher):
        log.warning("the divergence from the teacher is not measured: an export gives no distributions")
        return None
    tokenizers = [ModelLayout(one).tokenizer for one in (model, teacher)]
    if not all(file.is_file() for file in tokenizers):
        log.warning("the divergence from the teacher is not measured: a model has no tokenizer.json to compare")
        return None
    if len({sha256_of_file(file) for file in tokenizers}) > 1 or vocab_size(model) != vocab_size(teacher):
        log.warning("the divergence from the teacher is not measured: %s has another vocabulary", teacher)
        return None
    logits = LogitsSettings(device=settings.device, batch_size=settings.batch_size)
    supervision = Supervision(limits.input, limits.output, labelled_share=1.0, seed=0)
    params = LogitsParams(logits=logits, temperatures=(), supervision=supervision)
    teacher_pass = TeacherPass(params, teacher)
    records, inputs = teacher_pass.read(records_file)
    examples = [
        Example(record.id, ids, teacher_pass.prompt.encode_target(record.assertion))
        for record, ids in zip(records, inputs, strict=True)
    ]
    teacher_pass.compress(examples, "records", records_file, folder)
    return folder


def store_external_teacher_logits(
    model: Path, limits: Limits, records: EvaluationRecords, records_file: Path, folder: Path
) -> Path | None:
    """Write the store of the logits that all lines of records hold to `folder`, and return it.

    None, with a warning, where they do not fit the model: they are for other tokens, or for another vocabulary.

    Args:
        model: whose divergence is to be measured.
        limits: its lengths.
        records: all of them, and their lines.
        records_file: those of the records that are evaluated, as `write_records` writes them.
        folder: of the store.
    """
    if is_export(model):
        log.warning("the divergence from the teacher is not measured: an export gives no distributions")
        return None
    if not ModelLayout(model).tokenizer.is_file():
        log.warning("the divergence from the teacher is not measured: %s has no tokenizer.json", model)
        return None
    tokenizer = load_tokenizer(model)
    prompt = Prompt(tokenizer, *limits)
    targets = {record.id: prompt.encode_target(record.assertion) for record in read_records(records_file)}
    digests = sha256_of_file(ModelLayout(model).tokenizer), sha256_of_file(records_file)
    provenance = Provenance(tokenizer=digests[0], teacher=digests[1], corpus=digests[1])
    examples = (_external_example(replace(line, id=id_), targets[id_]) for id_, line in records.lines(targets))
    names = TokenNames(tokenizer)
    try:
        write_stores(examples, {"test": (folder, provenance)}, "dense", {}, names=names, temperatures=())
    except UserError as fault:
        log.warning("the divergence from the teacher is not measured: %s", fault.problem)
        return None
    if StoreReader(folder).codec.vocab_size != vocab_size(model):
        log.warning("the divergence from the teacher is not measured: the logits have another vocabulary")
        return None
    return folder


def _external_example(line: InterchangeLine, target_ids: list[int]) -> ExternalExample:
    if line.target_ids not in (None, target_ids):
        raise UserError(f"{line.where}: the logits are for other tokens", "Name the teacher with --teacher.")
    return ExternalExample(line, "test", target_ids)
