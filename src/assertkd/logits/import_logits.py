"""The rule `compress_logits` where the teacher ran elsewhere: stores from interchange files."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.corpus.targets import Supervision, write_teacher_predictions
from assertkd.errors import UserError
from assertkd.files import sha256_of_file, write_json
from assertkd.layout import SPLITS, CorpusLayout, LogitsLayout, ModelLayout
from assertkd.logits.codecs.registry import build_codec, codec_parameters
from assertkd.logits.fidelity.imported import imported_fidelity
from assertkd.logits.fidelity.measure import draw_sample
from assertkd.logits.interchange.import_file import NO_HEAD, ExternalExample, each_once, sha256_of_files, write_stores
from assertkd.logits.interchange.lines import read_interchange
from assertkd.logits.interchange.token_names import TokenNames
from assertkd.logits.params import ImportLogitsParams
from assertkd.logits.store.manifest import Provenance
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records
from assertkd.settings.logits import FidelitySettings


@dataclass(frozen=True, slots=True)
class _CorpusRecord:
    """A record of the corpus. Its target is its assertion, or where it is not labelled the teacher's prediction."""

    split: str
    assertion: str
    labelled: bool


def import_logits(params: ImportLogitsParams, files: Sequence[Path], corpus: Path, folder: Path) -> None:
    """Write `{split}/` stores, `teacher_predictions.jsonl` and `fidelity.json` to `folder` in place of a teacher.

    Lines whose record `prepare_corpus` did not take are passed over. Memory holds the corpus's texts, one line, and
    those that the fidelity is measured on.

    Args:
        params: the codec, which must take logits, the size of a shard, what the targets are, and the fidelity's sample.
        files: interchange files, those that the corpus was made from.
        corpus: folder with `{split}.jsonl` and `tokenizer/`.

    Raises:
        UserError: a line is damaged or for another target (file:line is named), or a record has no line (its id is).
    """
    inputs, outputs, supervision = CorpusLayout(corpus), LogitsLayout(folder), params.supervision
    tokenizer = load_tokenizer(inputs.tokenizer)
    prompt = Prompt(tokenizer, supervision.max_input_len, supervision.max_output_len)
    digests = sha256_of_file(ModelLayout(inputs.tokenizer).tokenizer), sha256_of_files(files)
    stores = {
        split: (
            outputs.store(split),
            Provenance(tokenizer=digests[0], teacher=digests[1], corpus=sha256_of_file(inputs.split(split))),
        )
        for split in SPLITS
    }
    predictions: dict[str, dict[str, str]] = {split: {} for split in SPLITS}
    records = _corpus_records(inputs, supervision)
    drawn, sample = _sampled_ids(records, prompt, params.logits.fidelity), list[ExternalExample]()
    parameters, names = codec_parameters(params.logits, params.temperatures), TokenNames(tokenizer)
    manifests = write_stores(
        _keeping(drawn, sample, _examples_of_corpus(files, records, prompt, predictions)),
        stores,
        params.logits.codec,
        parameters,
        names=names,
        temperatures=params.temperatures,
        examples_per_shard=params.logits.examples_per_shard,
    )
    codec = build_codec(params.logits.codec, manifests["train"].identity.vocab_size, NO_HEAD, parameters)
    distributions = (one.line.distributions(one.target_ids, names, codec.vocab_size) for one in sample)
    report = imported_fidelity(distributions, codec, params.temperatures)
    report["sample"] |= {"split": "train", "seed": params.logits.fidelity.seed}
    write_json(outputs.fidelity, report)
    write_teacher_predictions(outputs.teacher_predictions, predictions)


def _sampled_ids(records: Mapping[str, _CorpusRecord], prompt: Prompt, options: FidelitySettings) -> set[str]:
    """Return random training records that together have about `options.positions` target tokens."""
    ids = [record for record, found in records.items() if found.split == "train"]
    # A prediction that is the target is not known yet; it is about as long as the assertion.
    lengths = [len(prompt.encode_target(records[record].assertion)) for record in ids]
    return {ids[number] for number in draw_sample(lengths, options.positions, options.seed)}


def _keeping(
    ids: Collection[str], kept: list[ExternalExample], examples: Iterator[ExternalExample]
) -> Iterator[ExternalExample]:
    """Yield the examples, and add those with these ids to `kept` on the way."""
    for example in examples:
        if example.line.id in ids:
            kept.append(example)
        yield example


def _corpus_records(corpus: CorpusLayout, supervision: Supervision) -> dict[str, _CorpusRecord]:
    by_id = {}
    for split in SPLITS:
        records = list(read_records(corpus.split(split)))
        gold = supervision.gold_ids(split, [record.id for record in records])
        by_id.update({record.id: _CorpusRecord(split, record.assertion, record.id in gold) for record in records})
    return by_id


def _examples_of_corpus(
    files: Sequence[Path],
    records: Mapping[str, _CorpusRecord],
    prompt: Prompt,
    predictions: dict[str, dict[str, str]],
) -> Iterator[ExternalExample]:
    """Yield the lines of the corpus's records, and add their predictions to `predictions` by split on the way."""
    missing = dict.fromkeys(records)
    # What is no JSON, `prepare_corpus` has rejected by the rule that the config sets for bad records.
    for line in each_once(line for file in files for line in read_interchange(file, strict=False)):
        record = records.get(line.id)
        if record is None:
            continue
        del missing[line.id]
        if line.prediction is not None:
            predictions[record.split][line.id] = line.prediction
        target = record.assertion if record.labelled else line.prediction
        if target is None:
            raise UserError(
                f"{line.where}: teacher_prediction is missing, which is the target where gold is withheld",
                "Give it in every line, or set data.labelled_share: 1.",
            )
        target_ids = prompt.encode_target(target)
        assertion = record.assertion if line.assertion is None else line.assertion
        if (line.target_ids or prompt.encode_target(assertion)) != target_ids:
            wanted, remedy = "assertion's tokens", "Set tokenizer.name and data.max_output_len to the teacher's."
            if not record.labelled:
                wanted = "tokens of the teacher's prediction"
                remedy = "Set data.labelled_share: 1 where the logits are the gold assertions'."
            raise UserError(f"{line.where}: the logits are for another target than the {wanted}", remedy)
        yield ExternalExample(line, record.split, target_ids)
    if missing:
        raise UserError(
            f"{', '.join(map(str, files))}: no logits for {len(missing)} records of the corpus "
            f"(first {next(iter(missing))!r})",
            "Rerun `prepare_corpus` if the files have changed since.",
        )
