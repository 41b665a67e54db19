import hashlib
import json
import zlib

import numpy as np
import pytest
import torch
from safetensors import safe_open
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


def done(writer: StoreWriter, examples: list) -> int:
    return sum(writer.is_done(example.id) for example in examples)


@pytest.mark.parametrize("codec", CODECS)
def test_every_example_comes_back_in_any_order(tmp_path, write_store, head, examples, codec) -> None:
    folder = write_store(tmp_path / "train", codec, examples)
    encode = codec.encoder(head)
    reader = StoreReader(folder)
    assert list(reader.ids()) == [example.id for example in examples]
    for example in [*examples[::-3], *examples]:
        expected, arrays = encode(example.hidden), reader.read(example.id, example.target_ids)
        assert arrays.keys() == expected.keys()
        for name, array in arrays.items():
            assert array.dtype == expected[name].dtype
            assert np.array_equal(array, expected[name])
    reader.verify()


def test_manifest_says_what_is_there(tmp_path, write_store, examples, provenance) -> None:
    folder = write_store(tmp_path / "train", HiddenCodec(50, 24), examples, temperatures=[1.0, 4.0])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format_version"] == 2
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


@pytest.mark.parametrize("codec", CODECS)
def test_a_shard_is_a_safetensors_file(tmp_path, write_store, head, examples, codec) -> None:
    """Read with nothing but the safetensors package and the description of the format."""
    folder = write_store(tmp_path / "train", codec, examples)
    encode = codec.encoder(head)
    arrays = [encode(example.hidden) for example in examples[:16]]
    with safe_open(folder / "shard-00000.safetensors", framework="np") as shard:
        assert set(shard.keys()) == set(codec.layout)
        for name in codec.layout:
            tensor, expected = shard.get_tensor(name), np.concatenate([one[name] for one in arrays])
            assert tensor.dtype == expected.dtype
            assert np.array_equal(tensor, expected)
        metadata = shard.metadata()
    assert json.loads(metadata["ids"]) == [example.id for example in examples[:16]]
    assert json.loads(metadata["tokens"]) == [len(example.target_ids) for example in examples[:16]]
    for name, rows in json.loads(metadata["rows"]).items():
        assert rows == [len(one[name]) for one in arrays]
    for value, one in zip(json.loads(metadata["crc32"]), arrays, strict=True):
        assert value == zlib.crc32(b"".join(one[name].tobytes() for name in codec.layout))
    target = hashlib.sha256(np.array(examples[0].target_ids, "<i4").tobytes()).digest()
    assert json.loads(metadata["targets"])[0] == int.from_bytes(target[:8], "little")


def test_reading_one_example_reads_its_bytes_alone(tmp_path, write_store, head, examples, monkeypatch) -> None:
    codec = HiddenCodec(50, 24)
    reader = StoreReader(write_store(tmp_path / "train", codec, examples))
    sizes = []
    pread = shard_module.os.pread

    def watched(handle: int, size: int, start: int) -> bytes:
        sizes.append(size)
        return pread(handle, size, start)

    monkeypatch.setattr(shard_module.os, "pread", watched)
    reader.read(examples[20].id, examples[20].target_ids)
    assert sum(sizes) == len(examples[20].target_ids) * (24 + 2)


def test_a_shard_is_closed_at_a_number_of_bytes_too(tmp_path, write_store, examples) -> None:
    codec = DenseCodec(50, 24)
    folder = write_store(tmp_path / "train", codec, examples, shard_bytes=1000)
    reader = StoreReader(folder)
    assert len(reader.manifest.shards) > 3
    for entry in reader.manifest.shards[:-1]:
        assert 1000 <= 100 * entry.tokens < 1000 + 100 * max(len(example.target_ids) for example in examples)
        assert entry.rows < 16
    assert content(write_store(tmp_path / "again", codec, examples, shard_bytes=1000)) == content(folder)


@pytest.mark.parametrize("stopped_after", [0, 7, 16, 17, 39, 40])
def test_a_resumed_store_is_byte_for_byte_the_uninterrupted_one(
    tmp_path, write_store, head, examples, provenance, stopped_after: int
) -> None:
    codec = HiddenCodec(50, 24)
    whole = write_store(tmp_path / "whole", codec, examples)
    folder = tmp_path / "resumed"

    writer = StoreWriter(folder, codec, head, provenance, examples_per_shard=16)
    for example in examples[:stopped_after]:
        writer.add(example.id, example.target_ids, example.hidden)
    assert not folder.exists()
    assert not list(writer.unfinished.glob(".*"))
    leftover = writer.unfinished / ".shard-00009.safetensors.1.partial"
    leftover.write_bytes(b"what a kill -9 leaves behind")

    writer = StoreWriter(folder, codec, head, provenance, examples_per_shard=16)
    assert done(writer, examples) == stopped_after // 16 * 16
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
        {"examples_per_shard": 8},
        {"shard_bytes": 10_000},
        {"teacher_pass": {"precision": "bf16"}},
        {"codec": HiddenCodec(50, 24, group_size=8)},
        {"corpus": "4" * 64},
        {"head": 2.0},
    ],
)
def test_shards_of_another_identity_are_not_resumed(tmp_path, head, examples, provenance, change: dict) -> None:
    def write(head: np.ndarray, provenance: object, codec=HiddenCodec(50, 24), **options: object) -> int:  # noqa: B008
        writer = StoreWriter(tmp_path / "train", codec, head, provenance, **({"examples_per_shard": 4} | options))
        resumed = done(writer, examples)
        for example in examples[resumed : resumed + 9]:
            writer.add(example.id, example.target_ids, example.hidden)
        return resumed

    assert write(head, provenance) == 0
    assert write(head, provenance) == 8
    changed = provenance.model_copy(update={"corpus": change.pop("corpus", provenance.corpus)})
    # Another offset of the columns, since a mere factor would leave the balanced head as it is.
    other_head = head + change.pop("head", 0.0)
    assert write(other_head, changed, **change) == 0


@pytest.mark.parametrize("place", [200, -1])
def test_a_damaged_shard_is_written_again_on_resuming(
    tmp_path, write_store, head, examples, provenance, place: int
) -> None:
    codec = HiddenCodec(50, 24)
    whole = write_store(tmp_path / "whole", codec, examples)
    folder = tmp_path / "train"
    writer = StoreWriter(folder, codec, head, provenance, examples_per_shard=16)
    for example in examples:
        writer.add(example.id, example.target_ids, example.hidden)
    path = writer.unfinished / "shard-00001.safetensors"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    write_store(folder, codec, examples)
    assert content(folder) == content(whole)


def test_a_finished_store_is_replaced_and_foreign_files_are_not(tmp_path, write_store, examples) -> None:
    folder = write_store(tmp_path / "train", HiddenCodec(50, 24), examples)
    write_store(folder, DenseCodec(50, 24), examples[:5])
    assert sorted(content(folder)) == ["manifest.json", "shard-00000.safetensors"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="no part of a store"):
        write_store(folder, DenseCodec(50, 24), examples[:5])
    assert (folder / "notes.txt").read_text() == "mine"


def test_files_of_the_former_format_are_replaced(tmp_path, write_store, examples) -> None:
    for folder in (tmp_path / "train", tmp_path / "train.unfinished"):
        folder.mkdir()
        (folder / "manifest.json").write_text('{"format_version": 1}')
        (folder / "shard-00000.lz4").write_bytes(b"AKDLOGIT")
    write_store(tmp_path / "train", DenseCodec(50, 24), examples[:5])
    assert sorted(content(tmp_path / "train")) == ["manifest.json", "shard-00000.safetensors"]


def test_writer_refuses_what_cannot_be_stored(tmp_path, head, provenance) -> None:
    codec = HiddenCodec(50, 24)
    vectors = np.ones((2, 24), np.float32)
    writer = StoreWriter(tmp_path / "train", codec, head, provenance)
    writer.add("a", [1, 2], vectors)
    with pytest.raises(UserError, match="'a' comes twice"):
        writer.add("a", [1, 2], vectors)
    with pytest.raises(UserError, match=r"'b'.*NaN"):
        writer.add("b", [1, 2], vectors * np.nan)
    with pytest.raises(ValueError, match=r"rows, expected .* for 3 tokens"):
        writer.add("c", [1, 2, 3], vectors)
    with pytest.raises(ValueError, match="no tokens"):
        writer.add("d", [], vectors[:0])


def test_logits_from_elsewhere_need_no_head(tmp_path, provenance) -> None:
    codec = DenseCodec(50, 24)
    logits = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    writer = StoreWriter(tmp_path / "train", codec, None, provenance)
    writer.add("a", [5, 6, 1], logits)
    writer.finish()
    stored = StoreReader(tmp_path / "train").read("a", [5, 6, 1])
    assert np.array_equal(stored["logits"], logits.astype(np.float16))


def test_a_store_of_d_768_takes_800_bytes_a_token_at_most(tmp_path, teacher, provenance) -> None:
    head, hidden = teacher("outlier", 800, 768, 360)
    writer = StoreWriter(tmp_path / "train", HiddenCodec(800, 768), head, provenance)
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

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        return self.reader.read(*self.examples[number])


@pytest.mark.usefixtures("preloaded")
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


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: f"{codec.name} {codec.parameters.get('dtype', '')}")
def test_examples_added_together_are_those_added_one_by_one(tmp_path, head, examples, provenance, codec) -> None:
    alone, together = (
        StoreWriter(tmp_path / name, codec, head, provenance, examples_per_shard=16) for name in ("alone", "together")
    )
    for example in examples:
        alone.add(example.id, example.target_ids, example.hidden)
    for part in (examples[:9], examples[9:9], examples[9:]):
        together.add_all([(example.id, example.target_ids, example.hidden) for example in part])
    alone.finish()
    together.finish()
    assert content(tmp_path / "alone") == content(tmp_path / "together")


@pytest.mark.parametrize("codec", CODECS[:2], ids=["dense", "hidden"])
def test_the_example_at_fault_among_many_is_named(tmp_path, head, examples, provenance, codec) -> None:
    writer = StoreWriter(tmp_path / "train", codec, head, provenance)
    added = [(example.id, example.target_ids, example.hidden.copy()) for example in examples]
    added[7][2][0, 3] = np.nan
    with pytest.raises(UserError, match=f"^example {added[7][0]!r}: the teacher's hidden vectors hold NaN"):
        writer.add_all(added)
    assert [writer.is_done(example.id) for example in examples] == [True] * 7 + [False] * (len(examples) - 7)
