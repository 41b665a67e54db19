"""The manifest of a store: what was stored, from what, in which shards, and a checksum over all of it."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assertkd.errors import UserError
from assertkd.files import read_json, write_json
from assertkd.logits.codecs.head import RERUN

MANIFEST_FILE = "manifest.json"
FORMAT_VERSION = 2

RULES = {"train_predictions": "compress_predictions", "unlabelled": "compress_unlabelled"}
"""Store to the rule that writes it; `compress_logits` writes the others."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Provenance(_Section):
    """SHA-256 of what the teacher's answers came from: tokenizer file, teacher's weights, file of the records."""

    tokenizer: Sha256
    teacher: Sha256
    corpus: Sha256


class Identity(_Section):
    """Everything that decides what the bytes of a store are. Two stores of one identity hold the same.

    Attributes:
        codec: its name.
        parameters: the codec's.
        head_sha256: of the head file; None where the codec keeps no head.
        temperatures: those that the distillation is configured for.
        examples_per_shard: examples at which a shard is closed.
        shard_bytes: bytes of arrays at which it is closed, if it has no more examples than that.
        teacher_pass: settings of the teacher's pass that decide its answers, where they differ from the defaults.
    """

    codec: str
    parameters: dict[str, Any]
    vocab_size: Size
    hidden_size: Size
    head_sha256: Sha256 | None
    temperatures: list[float]
    provenance: Provenance
    examples_per_shard: Size
    shard_bytes: Size
    teacher_pass: dict[str, Any] = Field(default={}, exclude_if=lambda settings: not settings)

    def fingerprint(self) -> str:
        """Return the SHA-256 that stands in every shard, so that no shard of another store passes for one of this."""
        return _sha256(self.model_dump())


class ShardEntry(_Section):
    """One shard: its file in the store's folder, its examples (`rows`) and their target tokens, and checksums.

    `header_sha256` is that of the file's header, its length included.
    """

    file: Annotated[str, Field(pattern=r"^shard-\d{5,}\.safetensors$")]
    rows: Count
    tokens: Count
    bytes: Count
    sha256: Sha256
    header_sha256: Sha256


class Manifest(_Section):
    """A store; `complete` is false while shards are missing."""

    complete: bool
    identity: Identity
    shards: list[ShardEntry]

    @property
    def rows(self) -> int:
        """Examples in all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def tokens(self) -> int:
        """Target tokens in all shards."""
        return sum(shard.tokens for shard in self.shards)


def rule_of(folder: Path) -> str:
    """Return the name of the rule that writes the store in this folder of a run."""
    return RULES.get(folder.name, "compress_logits")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into `folder`, whole."""
    content = {"format_version": FORMAT_VERSION, "rows": manifest.rows, "tokens": manifest.tokens}
    content |= manifest.model_dump()
    write_json(folder / MANIFEST_FILE, content | {"checksum": _sha256(content)})


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the store in `folder`, complete or not.

    Raises:
        UserError: it is missing, of another format version, damaged or edited.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise UserError(f"{path}: no such file, so there are no logits in {folder}", "Run `compress_logits` first.")
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a manifest", RERUN)
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path}: format version {version!r}, but this version of AssertKD reads {FORMAT_VERSION}",
            f"Rerun `{rule_of(folder)}`, which replaces the store.",
        )
    if content.pop("checksum", None) != _sha256(content):
        raise UserError(f"{path}: damaged or edited (its checksum does not agree)", RERUN)
    sections = {name: content.get(name) for name in Manifest.model_fields}
    try:
        return Manifest.model_validate(sections)
    except ValidationError as fault:
        raise UserError(f"{path}: not a manifest ({fault.errors()[0]['msg']})", RERUN) from None


def _sha256(content: Any) -> str:
    """Return the SHA-256 of a JSON value, however it is laid out as text."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
