"""Writes a store of logits shard by shard; a killed run resumes behind its last finished shard."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.files import sha256_of_file, written_whole
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.head import HEAD_FILE, Float32, balance_head, head_bytes
from assertkd.logits.codecs.support import TopLogprobs
from assertkd.logits.store.manifest import Identity, Manifest, Provenance, ShardEntry, read_manifest, write_manifest
from assertkd.logits.store.shard import EncodedExample, read_index, target_hash, write_shard

OWN_FILE = re.compile(
    r"(manifest\.json|head\.safetensors|shard-\d+\.(safetensors|lz4)|\..+\.partial|\.snakemake_timestamp)"
)
"""Names of a store's files; version 1 had `.lz4`."""


class StoreWriter:
    """Writes the examples of one split, in order, into `{folder}.unfinished`, which `finish` renames to `folder`.

    If `{folder}.unfinished` holds shards of the same identity (codec, head, provenance, sizes), they are kept:
    examples for which `is_done` is true must be left out, the others added in the order of an uninterrupted run,
    and the store comes out byte for byte the same. Shards of any other identity are removed.
    Memory holds the arrays of one shard and the ids.

    Args:
        folder: where the finished store is to stand. A store that stands there is replaced at the end.
        codec: how examples are encoded.
        head: (V, d), the teacher's LM head; None where examples come as logits, which the codec then has to take.
        provenance: hashes of what the teacher's answers come from.
        temperatures: those that the distillation is configured for, for the manifest.
        teacher_pass: settings of the teacher's pass that differ from the defaults, for the manifest.
        examples_per_shard: examples at which a shard is closed; what a kill costs at most.
        shard_bytes: bytes of arrays at which a shard is closed even if it has fewer examples.
    """

    def __init__(
        self,
        folder: Path,
        codec: Codec,
        head: Float32 | None,
        provenance: Provenance,
        *,
        temperatures: Sequence[float] = (),
        teacher_pass: Mapping[str, Any] | None = None,
        examples_per_shard: int = 1024,
        shard_bytes: int = 1 << 28,
    ) -> None:
        self.folder = folder
        self.unfinished = folder.with_name(f"{folder.name}.unfinished")
        self._codec = codec
        self._encode = codec.encode_logits if head is None else codec.encoder(head)
        stored_head = head_bytes(balance_head(head)) if head is not None and codec.keeps_head else None
        self._identity = Identity(
            codec=codec.name,
            parameters=codec.parameters,
            vocab_size=codec.vocab_size,
            hidden_size=codec.hidden_size,
            head_sha256=hashlib.sha256(stored_head).hexdigest() if stored_head is not None else None,
            temperatures=[float(temperature) for temperature in temperatures],
            provenance=provenance,
            examples_per_shard=examples_per_shard,
            shard_bytes=shard_bytes,
            teacher_pass=dict(teacher_pass or {}),
        )
        self._shards: list[ShardEntry] = []
        self._done: set[str] = set()
        self._pending: list[EncodedExample] = []
        self._pending_bytes = 0
        self._resume()
        if stored_head is not None:
            with written_whole(self.unfinished / HEAD_FILE, "wb") as handle:
                handle.write(stored_head)
        self._write_manifest(complete=False)

    def is_done(self, example_id: str) -> bool:
        """Return whether this example has been added, in this run or one that it resumes."""
        return example_id in self._done

    def add(
        self, example_id: str, target_ids: Sequence[int], rows: Float32 | TopLogprobs, where: str | None = None
    ) -> None:
        """Encode and append one example.

        Args:
            example_id: unique in the store.
            target_ids: the T token ids of its target, the end of sequence included.
            rows: (T, d), the vectors that enter the teacher's head at these tokens; without a head (T, V), logits, or
                what is given of the likeliest tokens.
            where: its place, for messages; its id if None.

        Raises:
            UserError: the id was added before, or the codec cannot hold the rows.
            ValueError: the target is empty, or lengths or shapes disagree.
        """
        self._append(example_id, target_ids, rows, where, None)

    def add_all(self, examples: Sequence[tuple[str, Sequence[int], Float32]]) -> None:
        """Do as `add` does with ids, targets and vectors of examples, in their order.

        Those of as many tokens are encoded together, where the codec can: the same bytes in a fraction of the time.

        Raises:
            UserError: as `add`.
            ValueError: as `add`.
        """
        alike: dict[int, dict[str, Float32]] = {}
        for example_id, _, rows in examples:
            alike.setdefault(len(rows), {})[example_id] = rows
        encoded: dict[str, Payload] = {}
        for group in alike.values() if self._codec.encodes_several else ():
            # A fault is that of one example, which is found below.
            with suppress(UserError):
                arrays = self._encode(np.stack([*group.values()]))
                for number, example_id in enumerate(group):
                    encoded[example_id] = {name: array[number] for name, array in arrays.items()}
        for example_id, target_ids, rows in examples:
            self._append(example_id, target_ids, rows, None, encoded.get(example_id))

    def _append(
        self,
        example_id: str,
        target_ids: Sequence[int],
        rows: Float32 | TopLogprobs,
        where: str | None,
        arrays: Payload | None,
    ) -> None:
        """Append one example; `arrays` is what it is encoded as, None where that is still to be done."""
        if len(target_ids) == 0:
            raise ValueError(f"{example_id}: the target has no tokens")
        if example_id in self._done:
            raise UserError(
                f"example {example_id!r} comes twice", "Give every record an id of its own: rerun `prepare_corpus`."
            )
        try:
            if arrays is None:
                arrays = self._codec.encode_top(rows) if isinstance(rows, TopLogprobs) else self._encode(rows)
        except UserError as fault:
            raise UserError(f"{where or f'example {example_id!r}'}: {fault.problem}", fault.remedy) from None
        self._codec.validate(arrays, len(target_ids))
        self._pending.append(EncodedExample(example_id, target_hash(target_ids), len(target_ids), arrays))
        self._pending_bytes += sum(array.nbytes for array in arrays.values())
        self._done.add(example_id)
        if len(self._pending) == self._identity.examples_per_shard or self._pending_bytes >= self._identity.shard_bytes:
            self._close_shard()

    def finish(self) -> Manifest:
        """Put the store in its folder, and return its manifest; UserError if others' files are there."""
        if self._pending:
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
        # What is missing or damaged ends what can be resumed.
        with suppress(UserError):
            manifest = read_manifest(self.unfinished)
            resumable = manifest.shards if manifest.identity == self._identity else []
            for shard in resumable:
                index = read_index(self.unfinished, shard, self._codec.layout, self._identity.fingerprint())
                if sha256_of_file(index.path) != shard.sha256:
                    break
                self._shards.append(shard)
                self._done.update(index.ids)
        _remove_own_files(self.unfinished, keep=[shard.file for shard in self._shards])

    def _close_shard(self) -> None:
        path = self.unfinished / f"shard-{len(self._shards):05d}.safetensors"
        self._shards.append(write_shard(path, self._codec.layout, self._identity.fingerprint(), self._pending))
        self._pending, self._pending_bytes = [], 0
        self._write_manifest(complete=False)

    def _write_manifest(self, *, complete: bool) -> Manifest:
        manifest = Manifest(complete=complete, identity=self._identity, shards=list(self._shards))
        write_manifest(self.unfinished, manifest)
        return manifest


def _remove_own_files(folder: Path, keep: Collection[str] = ()) -> None:
    for path in folder.glob("*"):
        if OWN_FILE.fullmatch(path.name) and path.name not in keep:
            path.unlink()
