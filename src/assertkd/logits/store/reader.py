"""Reads stores of logits, any example at a time, from any process; faults are named by shard and example."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from assertkd.batching.distributions import TeacherView
from assertkd.batching.examples import Example, Payload
from assertkd.corpus.targets import read_teacher_predictions
from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.layout import LogitsLayout, ModelLayout
from assertkd.logits.codecs.head import HEAD_FILE, RERUN, StoredHead
from assertkd.logits.codecs.registry import build_codec
from assertkd.logits.store.manifest import MANIFEST_FILE, read_manifest, rule_of
from assertkd.logits.store.shard import ShardIndex, read_example, read_index, target_hash
from assertkd.prompts.prompt import Prompt

NO_LIMIT = 1 << 20
"""Longer than any input or target, for a `Prompt` that cuts nothing: the store knows where its targets were cut."""


class StoreReader:
    """A finished store. Opening it reads the manifest and the shards' headers; examples are read on request.

    No file stays open, so a reader may be used in loader workers however they are started.

    Attributes:
        folder: the store, as `StoreWriter` left it.
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
        self.head: StoredHead | None = None
        if self.codec.keeps_head:
            path = folder / HEAD_FILE
            if identity.head_sha256 is None or not path.is_file():
                raise UserError(f"{path}: no such file, so the hidden vectors give no logits", RERUN)
            self.head = StoredHead(path.absolute(), identity.head_sha256, identity.vocab_size, identity.hidden_size)
        fingerprint = identity.fingerprint()
        self._shards = [read_index(folder, shard, self.codec.layout, fingerprint) for shard in self.manifest.shards]
        self._places = {example_id: (shard, row) for shard in self._shards for row, example_id in enumerate(shard.ids)}
        if len(self._places) != self.manifest.rows:
            raise UserError(f"{folder}: an example id comes twice", RERUN)

    @classmethod
    def of_inputs(cls, folder: Path, *, records: Path, tokenizer: Path) -> Self:
        """Return the reader of a store, which must come from these files.

        Args:
            folder: the store.
            records: the JSONL file whose records it is about.
            tokenizer: folder of the tokenizer, or of a model that has it.

        Raises:
            UserError: the store cannot be opened, or was made from other files (each that differs is named).
        """
        store = cls(folder)
        written = store.manifest.identity.provenance
        differs = {
            "tokenizer": written.tokenizer != sha256_of_file(ModelLayout(tokenizer).tokenizer),
            "corpus": written.corpus != sha256_of_file(records),
        }
        if any(differs.values()):
            raise UserError(f"{folder}: written with {_others(differs)}", f"Rerun `{rule_of(folder)}`.")
        return store

    def __contains__(self, example_id: object) -> bool:
        return example_id in self._places

    def ids(self) -> Iterator[str]:
        """Yield the ids of the examples in the order of writing."""
        return iter(self._places)

    def tokens(self, example_id: str) -> int:
        """Return the number of target tokens of one example; UserError if there is no such example."""
        shard, row = self._place(example_id)
        return int(shard.tokens[row])

    def is_for(self, example_id: str, target_ids: Sequence[int]) -> bool:
        """Return whether an example was written with this target; UserError if there is no such example."""
        shard, row = self._place(example_id)
        return bool(len(target_ids) == shard.tokens[row] and target_hash(target_ids) == shard.targets[row])

    def read(self, example_id: str, target_ids: Sequence[int]) -> Payload:
        """Return what the teacher knew of one example at its target: the codec's arrays, for `collate_views`.

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

    def read_example(self, example: Example) -> Payload:
        """Return `read` of the example at its target."""
        return self.read(example.id, example.target_ids)

    def collate_views(self, payloads: Sequence[Payload]) -> TeacherView:
        """Return one view over the payloads of a batch, in their order."""
        return self.codec.collate(payloads, self.head)

    def verify(self) -> None:
        """Read every file once; UserError if the SHA-256 of one is not the manifest's."""
        files = {shard.path: entry.sha256 for entry, shard in zip(self.manifest.shards, self._shards, strict=True)}
        if self.head is not None:
            files[self.head.path] = self.head.sha256
        for path, sha256 in files.items():
            if sha256_of_file(path) != sha256:
                raise UserError(f"{path}: damaged (SHA-256 differs)", RERUN)

    def _place(self, example_id: str) -> tuple[ShardIndex, int]:
        if example_id not in self._places:
            raise UserError(f"{self.folder}: holds no example {example_id!r}", RERUN)
        return self._places[example_id]


class JoinedStores:
    """Several stores of one teacher as one: an example is read from the store that was written with its target.

    Their examples may share ids, since a record has logits on each of its targets. `vocab_size` is that of all.

    Raises:
        UserError: two differ in teacher, tokenizer or codec.
    """

    def __init__(self, stores: Sequence[StoreReader]) -> None:
        self._stores = stores
        self.vocab_size = stores[0].codec.vocab_size
        first = stores[0].manifest.identity
        for store in stores[1:]:
            other = store.manifest.identity
            differs = {
                "teacher": first.provenance.teacher != other.provenance.teacher,
                "tokenizer": first.provenance.tokenizer != other.provenance.tokenizer,
                "codec": (first.codec, first.parameters) != (other.codec, other.parameters),
            }
            if any(differs.values()):
                raise UserError(f"{store.folder}: written with {_others(differs)} than {stores[0].folder}", RERUN)

    def read(self, example_id: str, target_ids: Sequence[int]) -> Payload:
        """Return what the teacher knew of an example at exactly this target, as `StoreReader.read` does."""
        holders = [store for store in self._stores if example_id in store]
        for store in holders:
            if store.is_for(example_id, target_ids):
                return store.read(example_id, target_ids)
        # Says what is wrong: no such example, or another target.
        return (holders or self._stores)[0].read(example_id, target_ids)

    def read_example(self, example: Example) -> Payload:
        """Return `read` of the example at its target."""
        return self.read(example.id, example.target_ids)

    def collate_views(self, payloads: Sequence[Payload]) -> TeacherView:
        """Return one view over the payloads of a batch, in their order."""
        return self._stores[0].collate_views(payloads)


def stored_target(
    reader: StoreReader, prompt: Prompt, example_id: str, texts: Iterable[str | None]
) -> tuple[str, list[int]]:
    """Return the text that an example's logits were computed for, and its T token ids.

    `texts` are what the target may have been, as gold and the teacher's prediction; None is passed over. The prompt has
    the run's tokenizer and no limits.

    Raises:
        UserError: the store has no such example, or its target was none of the texts.
    """
    tokens = reader.tokens(example_id)
    for text in texts:
        if text is None:
            continue
        ids = prompt.encode_target(text)
        ids = [*ids[: tokens - 1], ids[-1]]
        if reader.is_for(example_id, ids):
            return text, ids
    raise UserError(
        f"example {example_id!r}: its logits in {reader.folder} belong neither to its assertion nor to the teacher's "
        "prediction",
        "Name the corpus and the tokenizer that the store was written with.",
    )


def stored_predictions(logits: Path, split: str) -> dict[str, str]:
    """Return record id to the teacher's prediction, from the folder of a run's stores; empty where it has none."""
    path = LogitsLayout(logits).teacher_predictions
    return read_teacher_predictions(path, split) if path.is_file() else {}


def _others(differs: Mapping[str, bool]) -> str:
    return " and ".join(f"another {name}" for name, is_other in differs.items() if is_other)
