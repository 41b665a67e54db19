"""The corpus stage: raw records in, three clean splits, their tokenizer and an account of every record out."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from assertkd.corpus.leakage import drop_duplicates, focal_key, partition_seen, triple_key
from assertkd.corpus.record_audit import RecordAudit
from assertkd.corpus.split import shuffled, split_off
from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import DataSettings, ModelSettings, TokenizerSettings
from assertkd.settings.model import SCRATCH
from assertkd.synthetic import generate

SPLITS = ("train", "validation", "test")

log = logging.getLogger(__name__)


def prepare_corpus(
    data: DataSettings, tokenizer_settings: TokenizerSettings, teacher: ModelSettings, folder: Path
) -> dict[str, Any]:
    """Write `train.jsonl`, `validation.jsonl`, `test.jsonl`, `tokenizer/`, `rejected.jsonl` and `quality.json`.

    Duplicates go first; then whatever would leak: a record whose triple or near-duplicate focal method (equal up to
    literals, comments and layout) stands in the test goes from validation and training, one that stands in validation
    goes from training.

    Args:
        data: where records come from and how they are split.
        tokenizer_settings: which tokenizer counts their tokens.
        teacher: the run's teacher, whose tokenizer is the default.
        folder: where the files go.

    Returns:
        The content of `quality.json`.

    Raises:
        UserError: an input file is missing or empty, a split is left without records, or (with `on_bad_record: error`)
            a record is bad.
    """
    account = RecordAudit()
    splits = (
        _from_files(data, account) if data.has_external_teacher or data.source == "files" else _embedded(data, account)
    )
    splits = _without_leaks(splits, account)
    splits["train"] = shuffled(splits["train"], data.split_seed)
    tokenizer = _tokenizer(tokenizer_settings, teacher, splits["train"])
    prompt = Prompt(tokenizer, data.max_input_len, data.max_output_len)
    over_long: dict[str, int] = {}
    for name in SPLITS:
        fits = [prompt.target_length(record.assertion) <= data.max_output_len for record in splits[name]]
        over_long[name] = fits.count(False)
        if name != "test":
            reason = f"{name}: assertion longer than max_output_len ({data.max_output_len} tokens)"
            account.drop([r for r, fit in zip(splits[name], fits, strict=True) if not fit], reason)
            splits[name] = [record for record, fit in zip(splits[name], fits, strict=True) if fit]
        if not splits[name]:
            raise UserError(
                f"No record is left for the {name} split; rejected: {account.summary()}",
                "Give more records, or mend those that rejected.jsonl names.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        write_records(folder / f"{name}.jsonl", splits[name])
    account.write_rejected(folder / "rejected.jsonl")
    save_tokenizer(tokenizer, folder / "tokenizer")
    quality = {
        "read": account.read,
        "kept": {name: len(splits[name]) for name in SPLITS},
        "rejected": account.rejected(),
        "renamed_ids": account.renamed_ids,
        "tokenizer": {"name": tokenizer_settings.name or teacher.name, "entries": len(tokenizer)},
        "splits": {name: _describe(splits[name], prompt, over_long[name]) for name in SPLITS},
    }
    write_json(folder / "quality.json", quality)
    log.info("kept %s; rejected %s", quality["kept"], account.summary())
    return quality


def _embedded(data: DataSettings, account: RecordAudit) -> dict[str, list[Record]]:
    records = list(generate(data.embedded.records, data.embedded.seed, data.embedded.families))
    account.read["embedded"] = len(records)
    first, again = drop_duplicates(records)
    account.drop(again, "duplicate of an earlier record")
    return _split(first, {"test": data.test_share, "validation": data.validation_share}, data)


def _from_files(data: DataSettings, account: RecordAudit) -> dict[str, list[Record]]:
    files = data.files
    if "train" not in files:
        raise UserError("data.train_file: is needed, since data.source is `files`", "Set it to a JSONL file.")
    # A teacher's logits are for all that stands in a line.
    multiple = "join" if data.has_external_teacher else data.multiple
    stop = data.on_bad_record == "error"
    given = {
        name: account.read_file(Path(files[name]), multiple, data.max_characters, stop_at_bad=stop)
        for name in reversed(SPLITS)
        if name in files
    }
    shares = {
        name: share
        for name, share in (("test", data.test_share), ("validation", data.validation_share))
        if name not in given
    }
    return _split(given.pop("train"), shares, data) | given


def _split(records: list[Record], shares: dict[str, float], data: DataSettings) -> dict[str, list[Record]]:
    if not shares:
        return {"train": records}
    by_project = data.split_by == "project" or (data.split_by == "auto" and all(r.project for r in records))
    unnamed = next((record.id for record in records if not record.project), None)
    if by_project and unnamed is not None:
        raise UserError(
            f"data.split_by is `project`, but record {unnamed!r} names no project",
            "Set data.split_by: record, or give every record a project.",
        )
    return split_off(records, shares, (lambda r: str(r.project)) if by_project else focal_key, data.split_seed)


def _without_leaks(splits: dict[str, list[Record]], account: RecordAudit) -> dict[str, list[Record]]:
    """Drop from validation what stands in the test, and from training what stands in either."""
    kept = dict(splits)
    for name, others in (("validation", ("test",)), ("train", ("test", "validation"))):
        for other in others:
            for key, what in ((triple_key, "record"), (focal_key, "focal method up to literals")):
                fresh, leaking = partition_seen(kept[name], key, {key(record) for record in kept[other]})
                account.drop(leaking, f"{name}: same {what} as in {other}")
                kept[name] = fresh
    return kept


def _tokenizer(
    settings: TokenizerSettings, teacher: ModelSettings, records: Sequence[Record]
) -> PreTrainedTokenizerFast:
    name = settings.name or (None if teacher.name == SCRATCH else teacher.name)
    if name is not None:
        return load_tokenizer(name)
    texts = (
        text for r in records for text in (r.focal_method, *r.test_method.split(MARKER), r.assertion) if text.strip()
    )
    return train_tokenizer(texts, settings.vocab_size)


def describe_inputs(records: Sequence[Record], prompt: Prompt) -> dict[str, Any]:
    """Return what `quality.json` says of the inputs of some records: projects, cut ones, lengths in tokens."""
    inputs = [prompt.encode_record(record) for record in records]
    return {
        "projects": len({record.project for record in records if record.project}),
        "inputs_cut": sum(encoded.cut > 0 for encoded in inputs),
        "input_tokens": _percentiles([len(encoded.ids) for encoded in inputs]),
    }


def _describe(records: Sequence[Record], prompt: Prompt, over_long: int) -> dict[str, Any]:
    targets = [prompt.target_length(record.assertion) for record in records]
    kinds = Counter(record.assertion.partition("(")[0].rpartition(".")[2].strip()[:40] for record in records)
    return {
        **describe_inputs(records, prompt),
        "targets_over_max_output_len": over_long,
        "target_tokens": _percentiles(targets),
        "assertion_kinds": dict(kinds.most_common(12)),
    }


def _percentiles(lengths: Sequence[int]) -> dict[str, int]:
    values = np.percentile(lengths, [50, 90, 99, 100], method="inverted_cdf")
    return dict(zip(("p50", "p90", "p99", "max"), (int(value) for value in values), strict=True))
