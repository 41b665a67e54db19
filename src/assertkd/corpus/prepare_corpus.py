"""The rule `prepare_corpus`: raw records in, three clean splits, their tokenizer and an audit of every record out."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from assertkd.corpus.leakage import focal_key, triple_key
from assertkd.corpus.record_audit import RecordAudit
from assertkd.corpus.split import shuffled, split_off
from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.layout import SPLITS, CorpusLayout
from assertkd.models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import DataSettings, ModelSettings, TokenizerSettings
from assertkd.settings.model import SCRATCH
from assertkd.synthetic import generate

log = logging.getLogger(__name__)


def prepare_corpus(
    data: DataSettings, tokenizer_settings: TokenizerSettings, teacher: ModelSettings, folder: Path
) -> dict[str, Any]:
    """Write `train.jsonl`, `validation.jsonl`, `test.jsonl`, `tokenizer/`, `rejected.jsonl` and `quality.json`.

    Duplicates are removed first, then records that would leak: from validation and training every record whose triple
    or near-duplicate focal method (equal up to literals, comments and layout) is in the test, and from training every
    one whose triple or focal method is in validation.

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
    audit = RecordAudit()
    splits = _from_files(data, audit) if data.has_external_teacher or data.source == "files" else _embedded(data, audit)
    splits = _without_leaks(splits, audit)
    splits["train"] = shuffled(splits["train"], data.split_seed)
    tokenizer = _tokenizer(tokenizer_settings, teacher, splits["train"])
    prompt = Prompt(tokenizer, data.max_input_len, data.max_output_len)
    over_long: dict[str, int] = {}
    for name in SPLITS:
        fits = [prompt.target_length(record.assertion) <= data.max_output_len for record in splits[name]]
        over_long[name] = fits.count(False)
        if name != "test":
            reason = f"{name}: assertion longer than max_output_len ({data.max_output_len} tokens)"
            audit.reject([r for r, fit in zip(splits[name], fits, strict=True) if not fit], reason)
            splits[name] = [record for record, fit in zip(splits[name], fits, strict=True) if fit]
        if not splits[name]:
            raise UserError(
                f"No record is left for the {name} split; rejected: {audit.summary()}",
                "Give more records, or correct those that are rejected.",
            )
    layout = CorpusLayout(folder)
    for name in SPLITS:
        write_records(layout.split(name), splits[name])
    audit.write_rejections(layout.rejected)
    save_tokenizer(tokenizer, layout.tokenizer)
    quality = {
        "read": audit.counts,
        "kept": {name: len(splits[name]) for name in SPLITS},
        "rejected": audit.rejections_by_reason(),
        "renamed_ids": audit.renamed_ids,
        "tokenizer": {"name": tokenizer_settings.name or teacher.name, "entries": len(tokenizer)},
        "splits": {name: _statistics(splits[name], prompt, over_long[name]) for name in SPLITS},
    }
    write_json(layout.quality, quality)
    log.info("kept %s; rejected %s", quality["kept"], audit.summary())
    return quality


def _embedded(data: DataSettings, audit: RecordAudit) -> dict[str, list[Record]]:
    records = list(generate(data.embedded.records, data.embedded.seed, data.embedded.families))
    audit.counts["embedded"] = len(records)
    originals = audit.without_duplicates(records)
    return _split(originals, {"test": data.test_share, "validation": data.validation_share}, data)


def _from_files(data: DataSettings, audit: RecordAudit) -> dict[str, list[Record]]:
    files = data.files
    if "train" not in files:
        raise UserError("data.train_file: is needed, since data.source is `files`", "Set it to a JSONL file.")
    # A teacher's logits are for all that stands in a line.
    multiple = "join" if data.has_external_teacher else data.multiple
    stop = data.on_bad_record == "error"
    parts = {
        name: audit.read_file(Path(files[name]), multiple, data.max_characters, stop_at_bad=stop)
        for name in reversed(SPLITS)
        if name in files
    }
    shares = {
        name: share
        for name, share in (("test", data.test_share), ("validation", data.validation_share))
        if name not in parts
    }
    return _split(parts.pop("train"), shares, data) | parts


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


def _without_leaks(splits: dict[str, list[Record]], audit: RecordAudit) -> dict[str, list[Record]]:
    """Return the splits, with no record of the test in validation and none of either in training."""
    kept = dict(splits)
    for name, others in (("validation", ("test",)), ("train", ("test", "validation"))):
        for other in others:
            for key, what in ((triple_key, "record"), (focal_key, "focal method up to literals")):
                keys = {key(record) for record in kept[other]}
                kept[name] = audit.without_keys(kept[name], key, keys, f"{name}: same {what} as in {other}")
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


def input_statistics(records: Sequence[Record], prompt: Prompt) -> dict[str, Any]:
    """Return the number of projects and of truncated inputs, and percentiles of the inputs' lengths in tokens."""
    inputs = [prompt.encode_record(record) for record in records]
    return {
        "projects": len({record.project for record in records if record.project}),
        "inputs_cut": sum(encoded.cut > 0 for encoded in inputs),
        "input_tokens": _percentiles([len(encoded.ids) for encoded in inputs]),
    }


def _statistics(records: Sequence[Record], prompt: Prompt, over_long: int) -> dict[str, Any]:
    targets = [prompt.target_length(record.assertion) for record in records]
    kinds = Counter(record.assertion.partition("(")[0].rpartition(".")[2].strip()[:40] for record in records)
    return {
        **input_statistics(records, prompt),
        "targets_over_max_output_len": over_long,
        "target_tokens": _percentiles(targets),
        "assertion_kinds": dict(kinds.most_common(12)),
    }


def _percentiles(lengths: Sequence[int]) -> dict[str, int]:
    values = np.percentile(lengths, [50, 90, 99, 100], method="inverted_cdf")
    return dict(zip(("p50", "p90", "p99", "max"), (int(value) for value in values), strict=True))
