"""Writes a store of logits shard by shard; a killed run resumes behind its last finished shard."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from assertkd.errors import UserError
from assertkd.files import sha256_of_file, written_whole
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.head import HEAD_FILE, Float32, balance_head, head_bytes
from assertkd.logits.store.manifest import Identity, Manifest, Provenance, ShardEntry, read_manifest, write_manifest
from assertkd.logits.store.shard import ShardWriter, read_index, target_hash

OWN_FILE = re.compile(r"(manifest\.json|head\.safetensors|shard-\d+\.lz4|\..+\.partial|\.snakemake_timestamp)")


class StoreWriter:
    """Writes the examples of one split, in order, into `unfinished`, which `finish` makes `folder`.

    If `unfinished` holds shards of the same identity (codec, head, provenance, sizes), they are kept:
    examples for which `is_done` is true must be left out, the others added in the order of an uninterrupted run,
    and the store comes out byte for byte the same. Shards of any other identity are removed.
    Memory is bounded by one block and the ids.

    Use as a context manager, and call `finish` at the end of the block:

        with StoreWriter(folder, codec, head, provenance) as writer:
            for example in examples:
                if not writer.is_done(example.id):
                    writer.add(example.id, target_ids, hidden)
            writer.finish()

    Args:
        folder: where the finished store is to stand. A store that stands there is replaced at the end.
        codec: how examples are encoded.
        head: (V, d), the teacher's LM head; None only where all examples come through `add_encoded` and the
            codec keeps no head.
        provenance: hashes of what the teacher's answers come from.
        temperatures: those that the distillation is configured for, for the manifest.
        unfinished: folder to write into, on the same file system; `{folder}.unfinished` by default.
        rows_per_shard: examples a shard; what a kill costs at most. A multiple of the teacher's batch size lets
            a resumed run see the same batches.
        block_bytes: encoded bytes at which a block is closed. A block is what one random read decompresses,
            and larger ones gain nothing: neither codec's bytes compress.

    Raises:
        UserError: a parameter is out of its range.
        ValueError: the head is missing though the codec keeps it, or its shape differs from the codec's sizes.
    """

    def __init__(
        self,
        folder: Path,
        codec: Codec,
        head: Float32 | None,
        provenance: Provenance,
        *,
        temperatures: Sequence[float] = (),
        unfinished: Path | None = None,
        rows_per_shard: int = 1024,
        block_bytes: int = 65_536,
    ) -> None:
        if rows_per_shard < 1 or block_bytes < 1:
            raise UserError(
                f"rows_per_shard ({rows_per_shard}) and block_bytes ({block_bytes}) must be 1 or more",
                "Correct the settings of the logit store.",
            )
        if head is None and codec.keeps_head:
            raise ValueError(f"the codec `{codec.name}` needs the teacher's head")
        if head is not None and head.shape != (codec.vocab_size, codec.hidden_size):
            raise ValueError(f"head of shape {head.shape}, expected {(codec.vocab_size, codec.hidden_size)}")
        self.folder = folder
        self.unfinished = unfinished or folder.with_name(f"{folder.name}.unfinished")
        self._codec = codec
        self._encode = codec.encoder(head) if head is not None else None
        kept_head = head_bytes(balance_head(head)) if head is not None and codec.keeps_head else None
        self._identity = Identity(
            codec=codec.name,
            parameters=codec.parameters,
            vocab_size=codec.vocab_size,
            hidden_size=codec.hidden_size,
            head_sha256=hashlib.sha256(kept_head).hexdigest() if kept_head is not None else None,
            temperatures=[float(temperature) for temperature in temperatures],
            provenance=provenance,
            rows_per_shard=rows_per_shard,
            block_bytes=block_bytes,
        )
        self._shards: list[ShardEntry] = []
        self._done: set[str] = set()
        self._shard: ShardWriter | None = None
        self._resume()
        if kept_head is not None:
            with written_whole(self.unfinished / HEAD_FILE, "wb") as handle:
                handle.write(kept_head)
        self._write_manifest(complete=False)

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop the shard that is open; finished shards stay for the next run to resume from."""
        if self._shard is not None:
            self._shard.abandon()
            self._shard = None

    @property
    def done_examples(self) -> int:
        """The number of examples in finished shards."""
        return sum(shard.rows for shard in self._shards)

    def is_done(self, example_id: str) -> bool:
        """Return whether this example has been added, in this run or one that it resumes."""
        return example_id in self._done

    def add(self, example_id: str, target_ids: Sequence[int] | npt.NDArray[np.integer], hidden: Float32) -> None:
        """Encode and append one example.

        Args:
            example_id: unique in the store.
            target_ids: the T token ids of its target, the end of sequence included.
            hidden: (T, d) float32, the vectors that enter the teacher's head at these tokens.

        Raises:
            UserError: the id was added before, or the codec cannot hold the vectors (the example is named).
            ValueError: lengths or shapes disagree, or the writer has no head.
        """
        if self._encode is None:
            raise ValueError("the writer was given no head; use add_encoded")
        if len(hidden) != len(target_ids):
            raise ValueError(f"{example_id}: {len(hidden)} hidden vectors for {len(target_ids)} target tokens")
        try:
            data = self._encode(hidden)
        except UserError as fault:
            raise UserError(f"example {example_id!r}: {fault.problem}", fault.remedy) from None
        self.add_encoded(example_id, target_ids, data)

    def add_encoded(self, example_id: str, target_ids: Sequence[int] | npt.NDArray[np.integer], data: bytes) -> None:
        """Append one example that the store's codec has encoded already.

        Raises:
            UserError: the id was added before.
            ValueError: the target is empty.
        """
        if len(target_ids) == 0:
            raise ValueError(f"{example_id}: the target has no tokens")
        if example_id in self._done:
            raise UserError(
                f"example {example_id!r} comes twice", "Give every record an id of its own: rerun `prepare_corpus`."
            )
        if self._shard is None:
            path = self.unfinished / f"shard-{len(self._shards):05d}.lz4"
            self._shard = ShardWriter(path, self._identity.fingerprint(), self._identity.block_bytes)
        self._shard.add(example_id, target_hash(target_ids), len(target_ids), data)
        self._done.add(example_id)
        if self._shard.rows == self._identity.rows_per_shard:
            self._close_shard()

    def finish(self) -> Manifest:
        """Close the last shard, put the store in its folder, and return its manifest.

        Raises:
            UserError: `folder` holds files that are no part of a store.
        """
        if self._shard is not None:
            self._close_shard()
        manifest = self._write_manifest(complete=True)
        _remove_own_files(self.folder)
        if self.folder.exists():
            try:
                self.folder.rmdir()
            except OSError:
                raise UserError(
                    f"{self.folder}: holds files that are no part of a store of logits",
                    f"Move them away, then rerun `compress_logits`; the store waits in {self.unfinished}.",
                ) from None
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.unfinished.replace(self.folder)
        return manifest

    def _resume(self) -> None:
        try:
            found = read_manifest(self.unfinished)
        except UserError:
            found = None
        fingerprint = self._identity.fingerprint()
        if found is not None and found.identity == self._identity:
            for shard in found.shards:
                try:
                    index = read_index(self.unfinished, shard, fingerprint)
                except UserError:
                    break
                if sha256_of_file(index.path) != shard.sha256:
                    break
                self._shards.append(shard)
                self._done.update(index.ids)
        _remove_own_files(self.unfinished, keep={shard.file for shard in self._shards})

    def _close_shard(self) -> None:
        if self._shard is not None:
            self._shards.append(self._shard.close())
            self._shard = None
            self._write_manifest(complete=False)

    def _write_manifest(self, *, complete: bool) -> Manifest:
        manifest = Manifest(complete=complete, identity=self._identity, shards=list(self._shards))
        write_manifest(self.unfinished, manifest)
        return manifest


def _remove_own_files(folder: Path, keep: set[str] | None = None) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            if OWN_FILE.fullmatch(path.name) and path.name not in (keep or set()):
                path.unlink()
