"""The corpus stage: raw records in, three clean splits, their tokenizer and an account of every record out."""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from assertkd.corpus.leakage import drop_duplicates, focal_key, partition_seen, triple_key
from assertkd.corpus.read import Rejection, read_raw
from assertkd.corpus.split import shuffled, split_off
from assertkd.corpus.synthetic import generate
from assertkd.errors import UserError
from assertkd.files import write_json, written_whole
from assertkd.models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from assertkd.prompts import Prompt
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import DataSettings, ModelSettings, TokenizerSettings
from assertkd.settings.schema import SCRATCH

SPLITS = ("train", "validation", "test")
WHERE_SHOWN = 20
"""Places that `quality.json` names for each reason; `rejected.jsonl` names all."""

log = logging.getLogger(__name__)


@dataclass
class _Account:
    """What became of every record that was read."""

    read: dict[str, int] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    renamed_ids: int = 0
    origin: dict[str, tuple[str, int]] = field(default_factory=dict)

    def drop(self, records: Iterable[Record], reason: str) -> None:
        for record in records:
            file, line = self.origin.get(record.id, ("embedded", 0))
            self.rejections.append(Rejection(file, line, reason, record.assertion[:200]))

    def rejected(self) -> dict[str, Any]:
        places: dict[str, list[str]] = defaultdict(list)
        for rejection in self.rejections:
            places[rejection.reason].append(f"{rejection.file}:{rejection.line}")
        return {
            reason: {"count": len(where), "where": where[:WHERE_SHOWN]}
            for reason, where in sorted(places.items(), key=lambda item: -len(item[1]))
        }


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
    account = _Account()
    splits = _from_files(data, account) if data.teacher_is_given or data.source == "files" else _embedded(data, account)
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
                f"No record is left for the {name} split; rejected: {_summary(account)}",
                "Give more records, or mend those that rejected.jsonl names.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        write_records(folder / f"{name}.jsonl", splits[name])
    with written_whole(folder / "rejected.jsonl") as handle:
        handle.writelines(json.dumps(r.as_dict(), ensure_ascii=False) + "\n" for r in account.rejections)
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
    log.info("kept %s; rejected %s", quality["kept"], _summary(account))
    return quality


def _embedded(data: DataSettings, account: _Account) -> dict[str, list[Record]]:
    records = list(generate(data.embedded.records, data.embedded.seed, data.embedded.families))
    account.read["embedded"] = len(records)
    first, again = drop_duplicates(records)
    account.drop(again, "duplicate of an earlier record")
    return _split(first, {"test": data.test_share, "validation": data.validation_share}, data)


def _from_files(data: DataSettings, account: _Account) -> dict[str, list[Record]]:
    files = data.files
    if "train" not in files:
        raise UserError("data.train_file: is needed, since data.source is `files`", "Set it to a JSONL file.")
    given = {name: _read(Path(files[name]), data, account) for name in reversed(SPLITS) if name in files}
    shares = {
        name: share
        for name, share in (("test", data.test_share), ("validation", data.validation_share))
        if name not in given
    }
    return _split(given.pop("train"), shares, data) | given


def _read(path: Path, data: DataSettings, account: _Account) -> list[Record]:
    records: list[Record] = []
    items = 0
    # A teacher's logits are for all that stands in a line.
    multiple = "join" if data.teacher_is_given else data.multiple
    for number, item in read_raw(path, multiple, data.max_characters):
        items += 1
        if isinstance(item, Rejection):
            if data.on_bad_record == "error":
                raise UserError(
                    f"{item.file}:{item.line}: {item.reason}: {item.excerpt}",
                    "Mend the line, or set data.on_bad_record: reject to go on without it.",
                )
            account.rejections.append(item)
            continue
        record = item
        if record.id in account.origin:
            account.renamed_ids += 1
        while record.id in account.origin:
            record = replace(record, id=f"{record.id}@{path.stem}:{number}")
        account.origin[record.id] = (str(path), number)
        records.append(record)
    account.read[str(path)] = items
    if not records:
        raise UserError(f"{path}: all {items} records are bad: {_summary(account)}", "Mend the file.")
    first, again = drop_duplicates(records)
    account.drop(again, "duplicate of an earlier record")
    return first


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


def _without_leaks(splits: dict[str, list[Record]], account: _Account) -> dict[str, list[Record]]:
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


def _describe(records: Sequence[Record], prompt: Prompt, over_long: int) -> dict[str, Any]:
    inputs = [prompt.encode_record(record) for record in records]
    targets = [prompt.target_length(record.assertion) for record in records]
    kinds = Counter(record.assertion.partition("(")[0].rpartition(".")[2].strip()[:40] for record in records)
    return {
        "projects": len({record.project for record in records if record.project}),
        "inputs_cut": sum(encoded.cut > 0 for encoded in inputs),
        "targets_over_max_output_len": over_long,
        "input_tokens": _percentiles([len(encoded.ids) for encoded in inputs]),
        "target_tokens": _percentiles(targets),
        "assertion_kinds": dict(kinds.most_common(12)),
    }


def _percentiles(lengths: Sequence[int]) -> dict[str, int]:
    values = np.percentile(lengths, [50, 90, 99, 100], method="inverted_cdf")
    return dict(zip(("p50", "p90", "p99", "max"), (int(value) for value in values), strict=True))


def _summary(account: _Account) -> str:
    counts = {reason: entry["count"] for reason, entry in account.rejected().items()}
    return "; ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"
