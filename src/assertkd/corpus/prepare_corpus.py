"""The rule `prepare_corpus`: raw records in, three clean splits, their tokenizer and an audit of every record out."""

import logging
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from assertkd.corpus.leakage import TEST_FILE, focal_key, in_common, test_class, triple_key
from assertkd.corpus.params import PrepareCorpusParams, Reading
from assertkd.corpus.record_audit import RecordAudit
from assertkd.corpus.split import split_off
from assertkd.corpus.tokenizer import choose_tokenizer
from assertkd.corpus.visible_answers import SHOWN
from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.layout import SPLITS, CorpusLayout
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, write_records
from assertkd.settings import DataSettings
from assertkd.synthetic import generate

log = logging.getLogger(__name__)


def prepare_corpus(params: PrepareCorpusParams, folder: Path) -> dict[str, Any]:
    """Write `train.jsonl`, `validation.jsonl`, `test.jsonl`, `tokenizer/`, `rejected.jsonl` and `quality.json`.

    Duplicates are removed first, then records that would leak: from validation and training every record whose triple
    or near-duplicate focal method (equal up to literals, comments and layout) is in the test, and from training every
    one whose triple or focal method is in validation.

    Args:
        params: where records come from, how they are split, and which tokenizer counts their tokens.
        folder: where the files go.

    Returns:
        The content of `quality.json`.

    Raises:
        UserError: an input file is missing or empty, a split is left without records, or (with `on_bad_record: error`)
            a record is bad.
    """
    data, audit = params.data, RecordAudit()
    splits = _without_leaks(_split(_read(data, audit), data), audit)
    random.Random(data.split_seed).shuffle(splits["train"])
    tokenizer = choose_tokenizer(params.tokenizer, params.teacher, splits["train"], decoder_only=params.decoder_only)
    prompt = Prompt(tokenizer, data.max_input_len, data.max_output_len)
    over_long: dict[str, int] = {}
    for name in SPLITS:
        long = [record for record in splits[name] if prompt.target_length(record.assertion) > data.max_output_len]
        over_long[name] = len(long)
        if name != "test":
            reason = f"{name}: assertion longer than max_output_len ({data.max_output_len} tokens)"
            splits[name] = audit.without_overlap(splits[name], long, attrgetter("id"), reason)
        if not splits[name]:
            raise UserError(
                f"No record is left for the {name} split; rejected: {audit.summary()}",
                "Give more records, or correct those that are rejected.",
            )
    layout = CorpusLayout(folder)
    for name in SPLITS:
        write_records(layout.split(name), splits[name])
    audit.write_rejections(layout.rejected)
    tokenizer.save_pretrained(str(layout.tokenizer))
    quality = {
        "read": audit.counts,
        "kept": {name: len(splits[name]) for name in SPLITS},
        "rejected": audit.rejections_by_reason(),
        "renamed_ids": audit.renamed_ids,
        "placeholders": dict(audit.placeholders.most_common()),
        "visible_answers": {name: _visible_answers(audit, splits[name]) for name in SPLITS},
        "in_common_with_training": in_common({name: splits[name] for name in ("validation", "test")}, splits["train"]),
        "on_visible_answer": data.on_visible_answer,
        "tokenizer": {"name": params.tokenizer.name or params.teacher, "entries": len(tokenizer)},
        "splits": {name: _statistics(splits[name], prompt, over_long[name]) for name in SPLITS},
    }
    warning = visible_answers_warning(quality)
    warnings = [] if warning is None else [warning]
    quality["warnings"] = warnings
    write_json(layout.quality, quality)
    log.info("kept %s; rejected %s", quality["kept"], audit.summary())
    for text in warnings:
        log.warning("%s", text)
        print(f"Warning: {text}", file=sys.stderr)
    return quality


def _read(data: DataSettings, audit: RecordAudit) -> dict[str, list[Record]]:
    """Return the splits that are given, `train` among them, each without duplicates."""
    if not data.has_external_teacher and data.source == "embedded":
        records = list(generate(data.embedded.records, data.embedded.seed, data.embedded.families))
        audit.counts["embedded"] = len(records)
        records = audit.apply_visible_answer_policy(records, data.on_visible_answer)
        return {"train": audit.without_duplicates(records)}
    if "train" not in data.files:
        raise UserError("data.train_file: is needed, since data.source is `files`", "Set it to a JSONL file.")
    # A teacher's logits are for all that stands in a line.
    reading = Reading.of(data)
    if data.has_external_teacher:
        reading = reading.model_copy(update={"multiple": "join"})
    files = {name: Path(data.files[name]) for name in reversed(SPLITS) if name in data.files}
    return {name: audit.without_duplicates(audit.read_all(path, reading)) for name, path in files.items()}


def _split(splits: dict[str, list[Record]], data: DataSettings) -> dict[str, list[Record]]:
    """Return all splits: those that are not given are split off the training records."""
    shares = {"test": data.test_share, "validation": data.validation_share}
    shares = {name: share for name, share in shares.items() if name not in splits}
    if not shares:
        return splits
    records, split_by = splits["train"], data.split_by
    if split_by == "auto":
        split_by = "project" if all(record.project for record in records) else "record"
    if split_by == "record":
        return splits | split_off(records, shares, focal_key, data.split_seed)
    name = TEST_FILE if split_by == "test_class" else "project"
    group: Callable[[Record], str | None] = test_class if split_by == "test_class" else attrgetter("project")
    unnamed = next((record.id for record in records if not group(record)), None)
    if unnamed is not None:
        raise UserError(
            f"data.split_by is `{split_by}`, but record {unnamed!r} names no {name}",
            f"Set data.split_by: record, or give every record a {name}.",
        )
    return splits | split_off(records, shares, lambda record: str(group(record)), data.split_seed)


def _without_leaks(splits: dict[str, list[Record]], audit: RecordAudit) -> dict[str, list[Record]]:
    """Return the splits, with no record of the test in validation and none of either in training."""
    kept = dict(splits)
    for name, other in (("validation", "test"), ("train", "test"), ("train", "validation")):
        for key, what in ((triple_key, "record"), (focal_key, "focal method up to literals")):
            reason = f"{name}: same {what} as in {other}"
            kept[name] = audit.without_overlap(kept[name], kept[other], key, reason)
    return kept


def input_statistics(records: Sequence[Record], prompt: Prompt) -> dict[str, Any]:
    """Return the number of projects and of truncated inputs, and percentiles of the inputs' lengths in tokens."""
    inputs = [prompt.encode_record(record) for record in records]
    return {
        "projects": len({record.project for record in records if record.project}),
        "inputs_cut": sum(encoded.cut > 0 for encoded in inputs),
        "input_tokens": _percentiles([len(encoded.ids) for encoded in inputs]),
    }


def _visible_answers(audit: RecordAudit, records: Sequence[Record]) -> dict[str, Any]:
    """Return how many of these records were read with a test that shows their assertion, their share, and the kinds."""
    kinds = audit.shown_by_kind(records)
    count = sum(kinds.values())
    return {"records": count, "share": count / len(records), **kinds}


def visible_answers_warning(quality: Mapping[str, Any]) -> str | None:
    """Return what is to be said of tests that show their assertion; None where there are none, or they are masked."""
    of_splits = quality["visible_answers"]
    count = sum(one["records"] for one in of_splits.values())
    if not count or quality["on_visible_answer"] == "mask":
        return None
    total = sum(quality["kept"].values())
    shares = ", ".join(f"{one['share']:.1%} of {name}" for name, one in of_splits.items())
    return (
        f"{count} of {total} records ({count / total:.1%}; {shares}) {SHOWN}: visible_answers in quality.json counts "
        "them by kind, and data.on_visible_answer: reject (or mask) takes them out."
    )


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
