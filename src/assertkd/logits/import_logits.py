"""Stores of logits that are given as interchange files: the logits stage of a run whose teacher ran elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.corpus.split import labelled_ids
from assertkd.corpus.targets import Supervision, write_teacher_predictions
from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.logits.codecs.registry import codec_parameters
from assertkd.logits.interchange.import_file import ExternalExample, each_once, sha256_of_files, write_stores
from assertkd.logits.interchange.lines import FILES, read_interchange
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.pairing import PREDICTIONS
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records
from assertkd.settings import LogitsSettings


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A record of the corpus that needs logits: along its assertion, or where not labelled along the prediction."""

    split: str
    assertion: str
    labelled: bool


def import_logits(
    settings: LogitsSettings,
    supervision: Supervision,
    files: Sequence[Path],
    corpus: Path,
    folder: Path,
    temperatures: Sequence[float] = (),
) -> None:
    """Write `{split}/` stores and `teacher_predictions.jsonl` to `folder` from files in place of a teacher.

    Lines whose record `prepare_corpus` did not take are passed over. Memory holds the corpus's texts and one line.

    Args:
        settings: the codec, which must take logits, and the size of a shard.
        supervision: what the targets are.
        files: interchange files, those that the corpus was made from.
        corpus: folder with `{split}.jsonl` and `tokenizer/`.
        folder: where the stores go.
        temperatures: those that the codec `topk` keeps the tail's mass at, besides 1.

    Raises:
        UserError: a line is damaged or for another target (file:line is named), or a record has no line (its id is).
    """
    prompt = Prompt(load_tokenizer(corpus / "tokenizer"), supervision.max_input_len, supervision.max_output_len)
    tokenizer, teacher = sha256_of_file(corpus / "tokenizer" / "tokenizer.json"), sha256_of_files(files)
    provenance = {
        split: Provenance(tokenizer=tokenizer, teacher=teacher, corpus=sha256_of_file(corpus / f"{split}.jsonl"))
        for split in FILES
    }
    predictions: dict[str, dict[str, str]] = {split: {} for split in FILES}
    examples = _examples_of_corpus(files, _wanted(corpus, supervision), prompt, predictions)
    write_stores(
        examples,
        {split: folder / split for split in FILES},
        provenance,
        codec=(settings.codec, codec_parameters(settings, temperatures)),
        entries=len(prompt.tokenizer),
        rows_per_shard=settings.examples_per_shard,
        temperatures=temperatures,
    )
    write_teacher_predictions(folder / PREDICTIONS, predictions)


def _wanted(corpus: Path, supervision: Supervision) -> dict[str, _Wanted]:
    wanted = {}
    for split in FILES:
        records = list(read_records(corpus / f"{split}.jsonl"))
        gold = {record.id for record in records}
        if split == "train":
            gold = labelled_ids([record.id for record in records], supervision.labelled_share, supervision.seed)
        wanted.update({record.id: _Wanted(split, record.assertion, record.id in gold) for record in records})
    return wanted


def _examples_of_corpus(
    files: Sequence[Path], wanted: Mapping[str, _Wanted], prompt: Prompt, predictions: dict[str, dict[str, str]]
) -> Iterator[ExternalExample]:
    """Yield the lines of the wanted records, and put down their predictions by split on the way."""
    left = dict.fromkeys(wanted)
    # What is no JSON, `prepare_corpus` has rejected by the rule that the config sets for bad records.
    for line in each_once(line for file in files for line in read_interchange(file, strict=False)):
        record = wanted.get(line.id)
        if record is None:
            continue
        del left[line.id]
        if line.prediction is not None:
            predictions[record.split][line.id] = line.prediction
        target = record.assertion if record.labelled else line.prediction
        if target is None:
            raise UserError(
                f"{line.where}: teacher_prediction is missing, which is the target where gold is withheld",
                "Give it in every line, or set data.labelled_share: 1.",
            )
        target_ids = prompt.encode_target(target)
        given = record.assertion if line.assertion is None else line.assertion
        if (line.target_ids or prompt.encode_target(given)) != target_ids:
            raise UserError(
                f"{line.where}: the logits are for another target than the "
                + ("assertion's tokens" if record.labelled else "tokens of the teacher's prediction"),
                "Set tokenizer.name and data.max_output_len to the teacher's."
                if record.labelled
                else "Set data.labelled_share: 1 where the logits are the gold assertions'.",
            )
        yield ExternalExample(line, record.split, target_ids)
    if left:
        named = ", ".join(map(str, files))
        raise UserError(
            f"{named}: no logits for {len(left)} records of the corpus (first {next(iter(left))!r})",
            "Rerun `prepare_corpus` if the files have changed since.",
        )
