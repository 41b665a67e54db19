"""Records without an assertion: cleaned like all others, and kept apart from what stands in a split."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from assertkd.corpus.leakage import focal_key, input_key, partition_seen
from assertkd.corpus.prepare_corpus import describe_inputs
from assertkd.corpus.record_audit import RecordAudit
from assertkd.errors import UserError
from assertkd.files import write_json
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

    Duplicates go, then records whose focal method (up to literals, comments and layout) stands in the test or the
    validation split or whose project does, then those whose focal method and test stand in the training split.

    Args:
        path: JSONL file of records; an assertion that one has is passed over.
        corpus: folder that `prepare_corpus` wrote.
        projects_apart: splits that share no project with the others, if all their records name one.
        on_bad_record: whether a bad record is put down, or stops the run.
        max_characters: longest focal method or test.
        max_input_len: longest input, in tokens.
        max_output_len: longest target, in tokens.

    Returns:
        The content of `unlabelled_quality.json`.

    Raises:
        UserError: the file is missing or empty, no record is left, or (with `on_bad_record: error`) a record is bad.
    """
    account = RecordAudit()
    splits = {name: list(read_records(corpus / f"{name}.jsonl")) for name in ("test", "validation", "train")}
    for name, records in splits.items():
        account.origin.update((record.id, (name, 0)) for record in records)
    kept = account.read_file(path, "join", max_characters, labelled=False, stop_at_bad=on_bad_record == "error")
    for name, key, what in (
        ("test", focal_key, "focal method up to literals"),
        ("validation", focal_key, "focal method up to literals"),
        ("train", input_key, "focal method and test"),
    ):
        kept, known = partition_seen(kept, key, {key(record) for record in splits[name]})
        account.drop(known, f"same {what} as in {name}")
    by_project = all(record.project for records in splits.values() for record in records)
    for name in projects_apart if by_project else ():
        projects = {record.project for record in splits[name] if record.project is not None}
        kept, known = partition_seen(kept, lambda record: record.project, projects)
        account.drop(known, f"same project as in {name}")
    if not kept:
        raise UserError(
            f"{path}: no unlabelled record is left; rejected: {account.summary()}",
            "Give more records, or leave data.unlabelled out.",
        )
    write_records(corpus / "unlabelled.jsonl", kept)
    account.write_rejected(corpus / "unlabelled_rejected.jsonl")
    quality = {
        "read": account.read,
        "kept": len(kept),
        "rejected": account.rejected(),
        "renamed_ids": account.renamed_ids,
        **describe_inputs(kept, Prompt(load_tokenizer(corpus / "tokenizer"), max_input_len, max_output_len)),
    }
    write_json(corpus / "unlabelled_quality.json", quality)
    log.info("kept %d unlabelled records; rejected %s", len(kept), account.summary())
    return quality
