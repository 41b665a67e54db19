"""Reads a store of logits, any example at a time, from any process; faults are named by shard and example."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from assertkd.batching.distributions import TeacherView
from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.layout import ModelLayout
from assertkd.logits.codecs.head import HEAD_FILE, RERUN, StoredHead
from assertkd.logits.codecs.registry import build_codec
from assertkd.logits.store.manifest import MANIFEST_FILE, read_manifest, rule_of
from assertkd.logits.store.shard import ShardIndex, read_example, read_index, target_hash


class StoreReader:
    """A finished store. Opening it reads the manifest and the shards' headers; examples are read on request.

    No file stays open, so a reader may be used in loader workers however they are started.

    Args:
        folder: the store, as `StoreWriter` left it.

    Attributes:
        manifest: what the store says of itself.
        codec: the codec that it was written with.
        head: the handle on its head; None where the codec keeps none.

    Raises:
        UserError: the store is missing, unfinished or of another format version, or a manifest or header is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        if not self.manifest.complete:
            raise UserError(f"{folder / MANIFEST_FILE}: the store is unfinished", RERUN)
        identity = self.manifest.identity
        try:
            self.codec = build_codec(identity.codec, identity.vocab_size, identity.hidden_size, identity.parameters)
        except UserError as fault:
            raise UserError(f"{folder / MANIFEST_FILE}: {fault.problem}", RERUN) from None
        self.head = self._find_head(identity.head_sha256)
        fingerprint = identity.fingerprint()
        self._shards = [read_index(folder, shard, self.codec.layout, fingerprint) for shard in self.manifest.shards]
        self._places = {example_id: (shard, row) for shard in self._shards for row, example_id in enumerate(shard.ids)}
        if len(self._places) != self.manifest.rows:
            raise UserError(f"{folder}: an example id comes twice", RERUN)

    @classmethod
    def of_inputs(cls, folder: Path, *, records: Path, tokenizer: Path, teacher: Path | None = None) -> Self:
        """Return the reader of a store, which must come from these files.

        Args:
            folder: the store.
            records: the JSONL file whose records it is about.
            tokenizer: folder of the tokenizer, or of a model that has it.
            teacher: the teacher's weights, where they are at hand.

        Raises:
            UserError: the store cannot be opened, or was made from other files (each that differs is named).
        """
        store = cls(folder)
        store.expect(
            tokenizer=sha256_of_file(ModelLayout(tokenizer).tokenizer),
            teacher=None if teacher is None else sha256_of_file(teacher),
            corpus=sha256_of_file(records),
        )
        return store

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._places)

    def __contains__(self, example_id: object) -> bool:
        """Return whether the store holds an example of this id."""
        return example_id in self._places

    def ids(self) -> Iterator[str]:
        """Yield the ids of the examples in the order of writing."""
        return iter(self._places)

    def tokens(self, example_id: str) -> int:
        """Return T, the number of target tokens of one example.

        Raises:
            UserError: there is no such example.
        """
        shard, row = self._place(example_id)
        return int(shard.tokens[row])

    def is_for(self, example_id: str, target_ids: Sequence[int] | npt.NDArray[np.integer]) -> bool:
        """Return whether these token ids are the target that an example was written with.

        Raises:
            UserError: there is no such example.
        """
        shard, row = self._place(example_id)
        return bool(len(target_ids) == shard.tokens[row] and target_hash(target_ids) == shard.targets[row])

    def read(self, example_id: str, target_ids: Sequence[int] | npt.NDArray[np.integer]) -> Payload:
        """Return what the teacher knew of one example, for `collate_views`.

        Args:
            example_id: as it was written.
            target_ids: the token ids of its target, end of sequence included, as the caller is about to train on.

        Returns:
            The codec's arrays.

        Raises:
            UserError: there is no such example, its target was another one, or its bytes are missing or damaged.
        """
        shard, row = self._place(example_id)
        if not self.is_for(example_id, target_ids):
            raise UserError(
                f"example {example_id!r}: the {shard.tokens[row]} target tokens of its logits in {shard.path} "
                f"are not the {len(target_ids)} of the caller (another corpus or tokenizer)",
                RERUN,
            )
        arrays = read_example(shard, row)
        try:
            self.codec.validate(arrays, len(target_ids))
        except ValueError as fault:
            raise UserError(f"{shard.path}: example {example_id!r}: {fault}", RERUN) from None
        return arrays

    def collate_views(self, payloads: Sequence[Payload]) -> TeacherView:
        """Return one view over the payloads of a batch, in their order."""
        return self.codec.collate(payloads, self.head)

    def expect(self, *, tokenizer: str | None = None, teacher: str | None = None, corpus: str | None = None) -> None:
        """Check the SHA-256 of the store's inputs; None is not checked.

        Raises:
            UserError: one differs (each that does is named).
        """
        expected = {"tokenizer": tokenizer, "teacher": teacher, "corpus": corpus}
        actual = self.manifest.identity.provenance.model_dump()
        differing = [name for name, value in expected.items() if value is not None and value != actual[name]]
        if differing:
            raise UserError(
                f"{self.folder}: written with another {' and another '.join(differing)}",
                f"Rerun `{rule_of(self.folder)}`.",
            )

    def verify(self) -> None:
        """Read every file once and compare its SHA-256 with the manifest's.

        Raises:
            UserError: a file differs.
        """
        for entry, shard in zip(self.manifest.shards, self._shards, strict=True):
            if sha256_of_file(shard.path) != entry.sha256:
                raise UserError(f"{shard.path}: damaged (SHA-256 differs)", RERUN)
        if self.head is not None and sha256_of_file(self.head.path) != self.head.sha256:
            raise UserError(f"{self.head.path}: damaged (SHA-256 differs)", RERUN)

    def _place(self, example_id: str) -> tuple[ShardIndex, int]:
        if example_id not in self._places:
            raise UserError(f"{self.folder}: holds no example {example_id!r}", RERUN)
        return self._places[example_id]

    def _find_head(self, sha256: str | None) -> StoredHead | None:
        if not self.codec.keeps_head:
            return None
        path = self.folder / HEAD_FILE
        if sha256 is None or not path.is_file():
            raise UserError(f"{path}: no such file, so the hidden vectors give no logits", RERUN)
        return StoredHead(path.absolute(), sha256, self.codec.vocab_size, self.codec.hidden_size)
