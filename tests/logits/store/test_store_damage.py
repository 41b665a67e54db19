import json
import shutil
import struct
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import torch

from assertkd.batching.distributions import BucketedDistribution
from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.logits.codecs import head as head_module
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.store.manifest import MANIFEST_FILE, ShardEntry, _checksum, read_manifest
from assertkd.logits.store.reader import StoreReader
from assertkd.logits.store.shard import HEADER, read_block, read_index
from assertkd.logits.store.writer import StoreWriter


@pytest.fixture
def store(tmp_path, write_store, examples) -> Path:
    return write_store(tmp_path / "train", HiddenCodec(50, 24), examples)


def read_everything(folder: Path, examples: list) -> bytes:
    """Every number that the store gives, and everything that its manifest says."""
    head_module._load.cache_clear()
    reader = StoreReader(folder)
    view = reader.collate_views([reader.read(example.id, example.target_ids) for example in examples])
    rows = slice(0, view.num_tokens)
    if isinstance(view, BucketedDistribution):
        parts = [view.buckets(rows, temperature) for temperature in view.temperatures]
        numbers = b"".join(x.numpy().tobytes() for part in parts for x in (part.ids, part.log_p, part.log_tail))
    else:
        numbers = view.logits(rows).numpy().tobytes()
    return numbers + repr(reader.manifest).encode()


def edit_manifest(folder: Path, edit) -> None:
    """Change the manifest and make its checksum right again, as a program of another version would."""
    path = folder / MANIFEST_FILE
    content = json.loads(path.read_text())
    del content["checksum"]
    edit(content)
    path.write_text(json.dumps(content | {"checksum": _checksum(content)}))


def assert_refused(folder: Path, examples: list, *named: str) -> None:
    with pytest.raises(UserError) as fault:
        read_everything(folder, examples)
    for name in named:
        assert name in fault.value.problem
    assert "compress_logits" in fault.value.remedy


def test_missing_store_and_unfinished_store(tmp_path, head, examples, provenance) -> None:
    assert_refused(tmp_path / "nowhere", examples, "manifest.json: no such file")
    with StoreWriter(tmp_path / "train", HiddenCodec(50, 24), head, provenance) as writer:
        writer.add(examples[0].id, examples[0].target_ids, examples[0].hidden)
    assert_refused(writer.unfinished, examples, "manifest.json", "unfinished")


def test_missing_shard(store, examples) -> None:
    (store / "shard-00001.lz4").unlink()
    assert_refused(store, examples, "shard-00001.lz4: no such file")


def test_shard_that_vanishes_after_opening(store, examples) -> None:
    reader = StoreReader(store)
    (store / "shard-00001.lz4").unlink()
    with pytest.raises(UserError, match=r"shard-00001\.lz4: no such file"):
        reader.read(examples[20].id, examples[20].target_ids)


def test_missing_head(store, examples) -> None:
    (store / "head.safetensors").unlink()
    assert_refused(store, examples, "head.safetensors: no such file")


def test_damaged_head(store, examples) -> None:
    path = store / "head.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    assert_refused(store, examples, "head.safetensors", "SHA-256")
    with pytest.raises(UserError, match=r"head\.safetensors: damaged"):
        StoreReader(store).verify()


def test_head_of_other_sizes(store, examples) -> None:
    def widen(content: dict) -> None:
        content["identity"]["vocab_size"] = 51

    reader = StoreReader(store)
    larger = type(reader.head)(reader.head.path, reader.head.sha256, 51, 24)
    head_module._load.cache_clear()
    with pytest.raises(UserError, match=r"holds .*50, 24.* not .*51, 24"):
        larger.weight(torch.device("cpu"))
    edit_manifest(store, widen)
    assert_refused(store, examples, "shard-00000.lz4", "another store")


@pytest.mark.parametrize("cut", [1, 40, 600])
def test_truncated_shard(store, examples, cut: int) -> None:
    path = store / "shard-00002.lz4"
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    assert_refused(store, examples, "shard-00002.lz4", f"has {len(data) - cut} bytes", f"says {len(data)}")

    def shorten(content: dict) -> None:
        content["shards"][2]["bytes"] -= cut

    edit_manifest(store, shorten)
    assert_refused(store, examples, "shard-00002.lz4", "declared sizes")


def test_flipped_bit_names_shard_and_block(store, examples) -> None:
    path = store / "shard-00001.lz4"
    manifest = read_manifest(store)
    index = read_index(store, manifest.shards[1], manifest.identity.fingerprint())
    data = bytearray(path.read_bytes())
    data[int(index.blocks[2]["offset"]) + 50] ^= 4
    path.write_bytes(data)
    assert_refused(store, examples, "shard-00001.lz4: block 2: ")
    reader = StoreReader(store)
    for example in examples[:16]:
        reader.read(example.id, example.target_ids)
    with pytest.raises(UserError, match="damaged"):
        reader.verify()


def test_unknown_version_codec_and_parameter(store, examples) -> None:
    original = (store / MANIFEST_FILE).read_bytes()
    for edit, named in (
        (lambda content: content.update(format_version=2), "format version 2"),
        (lambda content: content["identity"].update(codec="zip"), "'zip'"),
        (lambda content: content["identity"]["parameters"].update(bits=4), "bits"),
        (lambda content: content["identity"].update(vocab_size="many"), "integer"),
        (lambda content: content["shards"][0].update(file="../shard-00000.lz4"), "pattern"),
        (lambda content: content.pop("identity"), "not a manifest"),
    ):
        (store / MANIFEST_FILE).write_bytes(original)
        edit_manifest(store, edit)
        assert_refused(store, examples, "manifest.json", named)
    (store / MANIFEST_FILE).write_bytes(original.replace(b'"rows": 16', b'"rows": 15', 1))
    assert_refused(store, examples, "manifest.json", "checksum")
    (store / MANIFEST_FILE).write_text("[]")
    assert_refused(store, examples, "manifest.json")


def test_shard_of_another_version(store, examples) -> None:
    path = store / "shard-00000.lz4"
    data = bytearray(path.read_bytes())
    data[8:12] = struct.pack("<I", 7)
    path.write_bytes(data)
    assert_refused(store, examples, "shard-00000.lz4", "format version 7")


def test_shard_of_another_store(tmp_path, store, write_store, examples) -> None:
    other = write_store(tmp_path / "other", HiddenCodec(50, 24), examples, temperatures=[3.0])
    shutil.copy(other / "shard-00001.lz4", store / "shard-00001.lz4")
    assert (other / "shard-00001.lz4").stat().st_size == read_manifest(store).shards[1].bytes
    assert_refused(store, examples, "shard-00001.lz4", "another store")


def test_other_target_tokens_are_refused(store, examples) -> None:
    reader = StoreReader(store)
    example = examples[7]
    swapped = [*example.target_ids[:-1], (example.target_ids[-1] + 1) % 50]
    for wrong in (swapped, [*example.target_ids, 1], example.target_ids[:-1], examples[8].target_ids):
        with pytest.raises(UserError) as fault:
            reader.read(example.id, wrong)
        assert example.id in fault.value.problem
        assert "compress_logits" in fault.value.remedy
    with pytest.raises(UserError, match="holds no example 'unheard of'"):
        reader.read("unheard of", [1])


def test_other_inputs_are_named(store) -> None:
    reader = StoreReader(store)
    reader.expect(tokenizer="1" * 64, teacher="2" * 64, corpus="3" * 64)
    reader.expect()
    with pytest.raises(UserError, match="another tokenizer and another corpus"):
        reader.expect(tokenizer="9" * 64, teacher="2" * 64, corpus="9" * 64)


def test_false_sizes_are_refused_before_memory_is_taken(store, examples) -> None:
    """A header that asks for a terabyte."""
    path = store / "shard-00000.lz4"
    data = bytearray(path.read_bytes())
    fields = list(HEADER.unpack_from(data))
    fields[-1] = 1 << 40
    data[: HEADER.size] = HEADER.pack(*fields)
    path.write_bytes(data)
    assert_refused(store, examples, "shard-00000.lz4", "declares 1099511627776 bytes")


def test_frame_that_declares_another_size_is_refused(store) -> None:
    manifest = read_manifest(store)
    index = read_index(store, manifest.shards[0], manifest.identity.fingerprint())
    path = store / "shard-00000.lz4"
    data = bytearray(path.read_bytes())
    offset, stored, _ = index.blocks[0].tolist()
    content = lz4.frame.decompress(bytes(data[offset : offset + stored]))
    unchecked = lz4.frame.compress(content, content_checksum=False, store_size=True)
    data[offset : offset + len(unchecked)] = unchecked
    path.write_bytes(data)
    with pytest.raises(UserError, match="block 0: its frame declares"):
        read_block(index, 0)


def test_an_entry_shorter_than_a_header_is_refused(tmp_path) -> None:
    path = tmp_path / "shard-00000.lz4"
    path.write_bytes(b"AKDLOGIT")
    entry = ShardEntry(file=path.name, rows=0, tokens=0, blocks=0, bytes=8, sha256=sha256_of_file(path))
    with pytest.raises(UserError, match="shorter than a header"):
        read_index(tmp_path, entry, bytes(16))


@pytest.mark.parametrize("codec", [HiddenCodec(50, 24), DenseCodec(50, 24), TopKCodec(50, 24, (4.0,))])
def test_no_flipped_byte_passes_unseen(tmp_path, write_store, examples, codec) -> None:
    """Three hundred random flips anywhere in the store: an error of ours, or nothing changed."""
    some = examples[:9]
    store = write_store(tmp_path / "train", codec, some, rows_per_shard=5, block_bytes=150)
    expected = read_everything(store, some)
    files = sorted(store.iterdir())
    rng = np.random.default_rng(6)
    refused = 0
    for _ in range(300):
        path = files[rng.integers(len(files))]
        original = path.read_bytes()
        data = bytearray(original)
        data[rng.integers(len(data))] ^= int(rng.integers(1, 256)) if rng.random() < 0.5 else 1 << rng.integers(8)
        path.write_bytes(data)
        try:
            assert read_everything(store, some) == expected
        except UserError as fault:
            refused += 1
            assert "compress_logits" in fault.remedy or "stage that writes it" in fault.remedy
            assert path.name in fault.problem or "manifest" in path.name
        path.write_bytes(original)
    assert refused > 250
    assert read_everything(store, some) == expected
