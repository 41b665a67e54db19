"""The rule `prepare_unlabelled`: records without an assertion, cleaned, and kept apart from the splits."""

import logging
from operator import attrgetter
from pathlib import Path
from typing import Any

from assertkd.corpus.leakage import focal_key, input_key, test_class
from assertkd.corpus.params import PrepareUnlabelledParams, Reading
from assertkd.corpus.prepare_corpus import input_statistics
from assertkd.corpus.record_audit import RecordAudit
from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.layout import CorpusLayout
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records, write_records

log = logging.getLogger(__name__)


def prepare_unlabelled(params: PrepareUnlabelledParams, path: Path, corpus: Path) -> dict[str, Any]:
    """Write `unlabelled.jsonl`, `unlabelled_rejected.jsonl` and `unlabelled_quality.json` to `corpus`.

    Left out are duplicates; records whose focal method (up to literals, comments and layout) is in the test or
    validation split, or whose project or test class is, if the corpus was split by it; records whose focal method and
    test are in the training split.

    Args:
        params: limits, what is done with bad records, and which splits share no project with the others.
        path: JSONL file of records; their assertions are ignored.
        corpus: folder that `prepare_corpus` wrote.

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
    reading = Reading(
        format=params.format,
        multiple="join",
        max_characters=params.max_characters,
        on_bad_record=params.on_bad_record,
    )
    kept = audit.read_all(path, reading, labelled=False)
    kept = audit.without_duplicates(kept)
    for name, key, what in (
        ("test", focal_key, "focal method up to literals"),
        ("validation", focal_key, "focal method up to literals"),
        ("train", input_key, "focal method and test"),
    ):
        kept = audit.without_overlap(kept, splits[name], key, f"same {what} as in {name}")
    by_project = all(record.project for records in splits.values() for record in records)
    for name in params.projects_apart if by_project else ():
        kept = audit.without_overlap(kept, splits[name], attrgetter("project"), f"same project as in {name}")
    for name in params.test_classes_apart:
        # A record that names no test class is in one of its own.
        kept = audit.without_overlap(
            kept, splits[name], lambda record: test_class(record) or record.id, f"same test class as in {name}"
        )
    if not kept:
        raise UserError(
            f"{path}: no unlabelled record is left; rejected: {audit.summary()}",
            "Give more records, or leave data.unlabelled out.",
        )
    write_records(layout.unlabelled, kept)
    audit.write_rejections(layout.unlabelled_rejected)
    prompt = Prompt(load_tokenizer(layout.tokenizer), params.max_input_len, params.max_output_len)
    quality = {
        "read": audit.counts,
        "kept": len(kept),
        "rejected": audit.rejections_by_reason(),
        "renamed_ids": audit.renamed_ids,
        "placeholders": dict(audit.placeholders.most_common()),
        **input_statistics(kept, prompt),
    }
    write_json(layout.unlabelled_quality, quality)
    log.info("kept %d unlabelled records; rejected %s", len(kept), audit.summary())
    return quality
