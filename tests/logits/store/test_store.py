import json

import lz4.frame
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.store import shard as shard_module
from assertkd.logits.store.reader import StoreReader
from assertkd.logits.store.writer import StoreWriter

CODECS = [DenseCodec(50, 24), HiddenCodec(50, 24), HiddenCodec(50, 24, dtype="float16"), TopKCodec(50, 24, (4.0,))]


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("codec", CODECS)
def test_every_example_comes_back_in_any_order(tmp_path, write_store, head, examples, codec) -> None:
    folder = write_store(tmp_path / "train", codec, examples)
    encode = codec.encoder(head)
    reader = StoreReader(folder)
    assert len(reader) == 40
    assert list(reader.ids()) == [example.id for example in examples]
    for example in [*examples[::-3], *examples]:
        expected = codec.decode(encode(example.hidden), len(example.target_ids))
        assert np.array_equal(reader.read(example.id, example.target_ids), expected)
    reader.verify()


def test_manifest_says_what_is_there(tmp_path, write_store, examples, provenance) -> None:
    folder = write_store(tmp_path / "train", HiddenCodec(50, 24), examples, temperatures=[1.0, 4.0])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format_version"] == 1
    assert manifest["complete"] is True
    assert manifest["rows"] == 40
    assert manifest["tokens"] == sum(len(example.target_ids) for example in examples)
    identity = manifest["identity"]
    assert identity["codec"] == "hidden"
    assert identity["parameters"] == {"dtype": "int8", "group_size": 64}
    assert (identity["vocab_size"], identity["hidden_size"]) == (50, 24)
    assert identity["temperatures"] == [1.0, 4.0]
    assert identity["provenance"] == provenance.model_dump()
    assert identity["head_sha256"] == sha256_of_file(folder / "head.safetensors")
    assert [entry["rows"] for entry in manifest["shards"]] == [16, 16, 8]
    for entry in manifest["shards"]:
        path = folder / entry["file"]
        assert entry["bytes"] == path.stat().st_size
        assert entry["sha256"] == sha256_of_file(path)


def test_a_shard_is_a_header_and_plain_lz4_frames(tmp_path, write_store, head, examples) -> None:
    """Read with nothing but lz4 and the numbers in the description of the format."""
    codec = HiddenCodec(50, 24)
    folder = write_store(tmp_path / "train", codec, examples)
    data = (folder / "shard-00000.lz4").read_bytes()
    assert data[:8] == b"AKDLOGIT"
    blocks, rows = np.frombuffer(data, "<u4", 2, 28)
    tokens, index_offset, index_bytes, _ = np.frombuffer(data, "<u8", 4, 36)
    assert (rows, tokens) == (16, sum(len(example.target_ids) for example in examples[:16]))
    assert index_offset + index_bytes == len(data)
    rest, frames = data[68:], []
    while rest:
        frame, consumed = lz4.frame.decompress(rest, return_bytes_read=True)
        assert lz4.frame.get_frame_info(rest)["content_checksum"]
        frames.append(frame)
        rest = rest[consumed:]
    assert len(frames) == blocks + 1 > 3
    assert b"".join(frames[:-1]) == b"".join(map(codec.encoder(head), (example.hidden for example in examples[:16])))
    assert frames[-1].endswith("".join(example.id for example in examples[:16]).encode())


def test_reading_one_example_decompresses_one_block(tmp_path, write_store, examples, monkeypatch) -> None:
    reader = StoreReader(write_store(tmp_path / "train", HiddenCodec(50, 24), examples))
    sizes = []
    decompress = lz4.frame.decompress

    def watched(frame: bytes, **options: bool) -> object:
        sizes.append(len(frame))
        return decompress(frame, **options)

    monkeypatch.setattr(shard_module.lz4.frame, "decompress", watched)
    reader.read(examples[20].id, examples[20].target_ids)
    assert len(sizes) == 1
    assert sizes[0] < 1200
    reader.read(examples[20].id, examples[20].target_ids)
    assert len(sizes) == 1


@pytest.mark.parametrize("stopped_after", [0, 7, 16, 17, 39, 40])
def test_a_resumed_store_is_byte_for_byte_the_uninterrupted_one(
    tmp_path, write_store, head, examples, provenance, stopped_after: int
) -> None:
    codec = HiddenCodec(50, 24)
    whole = write_store(tmp_path / "whole", codec, examples)
    folder = tmp_path / "resumed"

    sizes = {"rows_per_shard": 16, "block_bytes": 600}
    with pytest.raises(KeyboardInterrupt), StoreWriter(folder, codec, head, provenance, **sizes) as writer:
        for example in examples[:stopped_after]:
            writer.add(example.id, example.target_ids, example.hidden)
        raise KeyboardInterrupt
    assert not folder.exists()
    assert not list(writer.unfinished.glob(".*"))
    leftover = writer.unfinished / ".shard-00009.lz4.1.partial"
    leftover.write_bytes(b"what a kill -9 leaves behind")

    with StoreWriter(folder, codec, head, provenance, **sizes) as writer:
        assert writer.done_examples == stopped_after // 16 * 16
        for example in examples:
            if not writer.is_done(example.id):
                writer.add(example.id, example.target_ids, example.hidden)
        writer.finish()
    assert content(folder) == content(whole)
    assert not writer.unfinished.exists()


def test_a_run_killed_between_the_last_shard_and_the_rename_resumes(tmp_path, write_store, head, examples) -> None:
    codec = HiddenCodec(50, 24)
    folder = write_store(tmp_path / "train", codec, examples)
    expected = content(folder)
    folder.rename(tmp_path / "train.unfinished")
    write_store(folder, codec, [])
    assert content(folder) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"temperatures": [2.0]},
        {"rows_per_shard": 8},
        {"codec": HiddenCodec(50, 24, group_size=8)},
        {"corpus": "4" * 64},
        {"head": 2.0},
    ],
)
def test_shards_of_another_identity_are_not_resumed(tmp_path, head, examples, provenance, change: dict) -> None:
    def write(head: np.ndarray, provenance: object, codec=HiddenCodec(50, 24), **options: object) -> int:  # noqa: B008
        with StoreWriter(tmp_path / "train", codec, head, provenance, **({"rows_per_shard": 4} | options)) as writer:
            resumed = writer.done_examples
            for example in examples[resumed : resumed + 9]:
                writer.add(example.id, example.target_ids, example.hidden)
        return resumed

    assert write(head, provenance) == 0
    assert write(head, provenance) == 8
    changed = provenance.model_copy(update={"corpus": change.pop("corpus", provenance.corpus)})
    # Another offset of the columns, since a mere factor would leave the balanced head as it is.
    other_head = head + change.pop("head", 0.0)
    assert write(other_head, changed, **change) == 0


def test_a_damaged_shard_is_written_again_on_resuming(tmp_path, write_store, head, examples, provenance) -> None:
    codec = HiddenCodec(50, 24)
    whole = write_store(tmp_path / "whole", codec, examples)
    folder = tmp_path / "train"
    sizes = {"rows_per_shard": 16, "block_bytes": 600}
    with StoreWriter(folder, codec, head, provenance, **sizes) as writer:
        for example in examples:
            writer.add(example.id, example.target_ids, example.hidden)
    path = writer.unfinished / "shard-00001.lz4"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    write_store(folder, codec, examples)
    assert content(folder) == content(whole)


def test_a_finished_store_is_replaced_and_foreign_files_are_not(tmp_path, write_store, examples) -> None:
    folder = write_store(tmp_path / "train", HiddenCodec(50, 24), examples)
    write_store(folder, DenseCodec(50, 24), examples[:5])
    assert sorted(content(folder)) == ["manifest.json", "shard-00000.lz4"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="no part of a store"):
        write_store(folder, DenseCodec(50, 24), examples[:5])
    assert (folder / "notes.txt").read_text() == "mine"


def test_writer_refuses_what_cannot_be_stored(tmp_path, head, provenance) -> None:
    codec = HiddenCodec(50, 24)
    vectors = np.ones((2, 24), np.float32)
    with StoreWriter(tmp_path / "train", codec, head, provenance) as writer:
        writer.add("a", [1, 2], vectors)
        with pytest.raises(UserError, match="'a' comes twice"):
            writer.add("a", [1, 2], vectors)
        with pytest.raises(UserError, match=r"'b'.*NaN"):
            writer.add("b", [1, 2], vectors * np.nan)
        with pytest.raises(ValueError, match="c: 2 hidden vectors for 3"):
            writer.add("c", [1, 2, 3], vectors)
        with pytest.raises(ValueError, match="no tokens"):
            writer.add("d", [], vectors[:0])
    with pytest.raises(ValueError, match="needs the teacher's head"):
        StoreWriter(tmp_path / "other", codec, None, provenance)
    with pytest.raises(ValueError, match="shape"):
        StoreWriter(tmp_path / "other", codec, head.T, provenance)
    with pytest.raises(UserError, match="rows_per_shard"):
        StoreWriter(tmp_path / "other", codec, head, provenance, rows_per_shard=0)


def test_logits_from_elsewhere_need_no_head(tmp_path, provenance) -> None:
    codec = DenseCodec(50, 24)
    logits = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    with StoreWriter(tmp_path / "train", codec, None, provenance) as writer:
        writer.add_encoded("a", [5, 6, 1], codec.encode_logits(logits))
        writer.finish()
    assert np.array_equal(StoreReader(tmp_path / "train").read("a", [5, 6, 1]), logits.astype(np.float16))


def test_a_store_of_d_768_takes_800_bytes_a_token_at_most(tmp_path, teacher, provenance) -> None:
    head, hidden = teacher("outlier", 800, 768, 360)
    with StoreWriter(tmp_path / "train", HiddenCodec(800, 768), head, provenance) as writer:
        for number in range(20):
            writer.add(f"project/{number:06d}", range(18), hidden[number * 18 : (number + 1) * 18])
        manifest = writer.finish()
    assert sum(shard.bytes for shard in manifest.shards) <= 800 * manifest.tokens


class Examples(Dataset):
    """Reads each example through one reader, as the trainer's data set does."""

    def __init__(self, reader: StoreReader, examples: list) -> None:
        self.reader = reader
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> np.ndarray:
        return self.reader.read(*self.examples[number])


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_loader_workers_give_the_same_data(tmp_path, write_store, examples, start_method: str) -> None:
    reader = StoreReader(write_store(tmp_path / "train", HiddenCodec(50, 24), examples))
    reader.read(examples[0].id, examples[0].target_ids)
    order = np.random.default_rng(2).permutation(len(examples)).tolist()
    batches = [order[start : start + 6] for start in range(0, len(order), 6)]
    options = {"batch_sampler": batches, "collate_fn": reader.collate_views}
    # Plain values: a loader process that is spawned imports no conftest.
    data = Examples(reader, [(example.id, example.target_ids) for example in examples])
    alone = list(DataLoader(data, **options))
    shared = list(DataLoader(data, num_workers=2, multiprocessing_context=start_method, **options))
    assert len(alone) == len(shared) == 7
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one.logits(slice(0, one.num_tokens)), other.logits(slice(0, other.num_tokens)))
        assert one.num_tokens == other.num_tokens
