"""The rule `prepare_unlabelled`: records without an assertion, cleaned, and kept apart from the splits."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from assertkd.corpus.leakage import focal_key, input_key
from assertkd.corpus.prepare_corpus import input_statistics
from assertkd.corpus.record_audit import RecordAudit
from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.layout import CorpusLayout
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records, write_records

log = logging.getLogger(__name__)


def prepare_unlabelled(
    path: Path,
    corpus: Path,
    *,
    projects_apart: Collection[str],
    on_bad_record: Literal["reject", "error"],
    max_characters: int,
    max_input_len: int,
    max_output_len: int,
) -> dict[str, Any]:
    """Write `unlabelled.jsonl`, `unlabelled_rejected.jsonl` and `unlabelled_quality.json` to `corpus`.

    Left out are duplicates; records whose focal method (up to literals, comments and layout) or project is in the test
    or validation split; records whose focal method and test are in the training split.

    Args:
        path: JSONL file of records; their assertions are ignored.
        corpus: folder that `prepare_corpus` wrote.
        projects_apart: splits that share no project with the others, if all their records name one.
        on_bad_record: whether a bad record is rejected or an error.
        max_characters: longest focal method or test.
        max_input_len: longest input, in tokens.
        max_output_len: longest target, in tokens.

    Returns:
        The content of `unlabelled_quality.json`.

    Raises:
        UserError: the file is missing or empty, no record is left, or (with `on_bad_record: error`) a record is bad.
    """
    audit = RecordAudit()
    layout = CorpusLayout(corpus)
    splits = {name: list(read_records(layout.split(name))) for name in ("test", "validation", "train")}
    for name, records in splits.items():
        audit.places.update((record.id, (name, 0)) for record in records)
    kept = audit.read_file(path, "join", max_characters, labelled=False, stop_at_bad=on_bad_record == "error")
    for name, key, what in (
        ("test", focal_key, "focal method up to literals"),
        ("validation", focal_key, "focal method up to literals"),
        ("train", input_key, "focal method and test"),
    ):
        kept = audit.without_keys(kept, key, {key(record) for record in splits[name]}, f"same {what} as in {name}")
    by_project = all(record.project for records in splits.values() for record in records)
    for name in projects_apart if by_project else ():
        projects = {record.project for record in splits[name] if record.project is not None}
        kept = audit.without_keys(kept, lambda record: record.project, projects, f"same project as in {name}")
    if not kept:
        raise UserError(
            f"{path}: no unlabelled record is left; rejected: {audit.summary()}",
            "Give more records, or leave data.unlabelled out.",
        )
    write_records(layout.unlabelled, kept)
    audit.write_rejections(layout.unlabelled_rejected)
    quality = {
        "read": audit.counts,
        "kept": len(kept),
        "rejected": audit.rejections_by_reason(),
        "renamed_ids": audit.renamed_ids,
        **input_statistics(kept, Prompt(load_tokenizer(layout.tokenizer), max_input_len, max_output_len)),
    }
    write_json(layout.unlabelled_quality, quality)
    log.info("kept %d unlabelled records; rejected %s", len(kept), audit.summary())
    return quality
