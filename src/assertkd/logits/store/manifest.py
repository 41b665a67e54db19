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
FORMAT_VERSION = 1

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Provenance(_Section):
    """What the teacher's answers came from, as SHA-256 of each.

    Attributes:
        tokenizer: the tokenizer's file.
        teacher: the teacher's weights.
        corpus: the corpus file of the split.
    """

    tokenizer: Sha256
    teacher: Sha256
    corpus: Sha256


class Identity(_Section):
    """Everything that decides what the bytes of a store are. Two stores of one identity hold the same.

    Attributes:
        codec: name of the codec.
        parameters: its parameters.
        vocab_size: V.
        hidden_size: d.
        head_sha256: of the head file; None where the codec keeps no head.
        temperatures: those that the distillation is configured for.
        provenance: the inputs.
        rows_per_shard: examples a shard, the last one's excepted.
        block_bytes: encoded bytes at which a block is closed.
    """

    codec: str
    parameters: dict[str, Any]
    vocab_size: Annotated[int, Field(ge=1)]
    hidden_size: Annotated[int, Field(ge=1)]
    head_sha256: Sha256 | None
    temperatures: list[float]
    provenance: Provenance
    rows_per_shard: Annotated[int, Field(ge=1)]
    block_bytes: Annotated[int, Field(ge=1)]

    def fingerprint(self) -> bytes:
        """Return 16 bytes that stand in every shard, so that no shard of another store passes for one of this."""
        return hashlib.sha256(_canonical(self.model_dump())).digest()[:16]


class ShardEntry(_Section):
    """One shard: its file's name, and what the file must hold.

    Attributes:
        file: name in the store's folder.
        rows: examples.
        tokens: target tokens over all its examples.
        blocks: LZ4 frames, the index excepted.
        bytes: size of the file.
        sha256: of the file.
    """

    file: Annotated[str, Field(pattern=r"^shard-\d{5,}\.lz4$")]
    rows: Count
    tokens: Count
    blocks: Count
    bytes: Count
    sha256: Sha256


class Manifest(_Section):
    """A store, whole or (`complete` false) as far as it was written."""

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


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into `folder`, whole."""
    content = {"format_version": FORMAT_VERSION, "rows": manifest.rows, "tokens": manifest.tokens}
    content |= manifest.model_dump()
    write_json(folder / MANIFEST_FILE, content | {"checksum": _checksum(content)})


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
        raise UserError(f"{path}: format version {version!r} is unknown, this is version {FORMAT_VERSION}", RERUN)
    if content.pop("checksum", None) != _checksum(content):
        raise UserError(f"{path}: damaged or edited (its checksum does not agree)", RERUN)
    sections = {name: content.get(name) for name in Manifest.model_fields}
    try:
        return Manifest.model_validate(sections)
    except ValidationError as fault:
        raise UserError(f"{path}: not a manifest ({fault.errors()[0]['msg']})", RERUN) from None


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(content)).hexdigest()


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
