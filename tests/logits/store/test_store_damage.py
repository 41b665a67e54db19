import hashlib
import json
import shutil
from pathlib import Path

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
from assertkd.logits.store.manifest import MANIFEST_FILE, Provenance, ShardEntry, _sha256, read_manifest, rule_of
from assertkd.logits.store.reader import StoreReader
from assertkd.logits.store.shard import read_index
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
    path.write_text(json.dumps(content | {"checksum": _sha256(content)}))


def assert_refused(folder: Path, examples: list, *named: str) -> None:
    with pytest.raises(UserError) as fault:
        read_everything(folder, examples)
    for name in named:
        assert name in fault.value.problem
    assert "compress_logits" in fault.value.remedy


def test_missing_store_and_unfinished_store(tmp_path, head, examples, provenance) -> None:
    assert_refused(tmp_path / "nowhere", examples, "manifest.json: no such file")
    writer = StoreWriter(tmp_path / "train", HiddenCodec(50, 24), head, provenance)
    writer.add(examples[0].id, examples[0].target_ids, examples[0].hidden)
    assert_refused(writer.unfinished, examples, "manifest.json", "unfinished")


def test_missing_shard(store, examples) -> None:
    (store / "shard-00001.safetensors").unlink()
    assert_refused(store, examples, "shard-00001.safetensors: no such file")


def test_shard_that_vanishes_after_opening(store, examples) -> None:
    reader = StoreReader(store)
    (store / "shard-00001.safetensors").unlink()
    with pytest.raises(UserError, match=r"shard-00001\.safetensors: no such file"):
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
    assert_refused(store, examples, "shard-00000.safetensors", "another store")


@pytest.mark.parametrize("cut", [1, 40, 600])
def test_truncated_shard(store, examples, cut: int) -> None:
    path = store / "shard-00002.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    assert_refused(store, examples, "shard-00002.safetensors", f"has {len(data) - cut} bytes", f"says {len(data)}")

    def shorten(content: dict) -> None:
        content["shards"][2]["bytes"] -= cut

    edit_manifest(store, shorten)
    assert_refused(store, examples, "shard-00002.safetensors", "declared sizes")


def test_flipped_bit_names_shard_and_example(store, examples) -> None:
    path = store / "shard-00001.safetensors"
    manifest = read_manifest(store)
    index = read_index(store, manifest.shards[1], HiddenCodec(50, 24).layout, manifest.identity.fingerprint())
    data = bytearray(path.read_bytes())
    data[int(index.bounds["levels"][5]) + 10] ^= 4
    path.write_bytes(data)
    assert_refused(store, examples, f"shard-00001.safetensors: example '{examples[21].id}': ")
    reader = StoreReader(store)
    for example in [*examples[:21], *examples[22:]]:
        reader.read(example.id, example.target_ids)
    with pytest.raises(UserError, match="damaged"):
        reader.verify()


def test_unknown_version_codec_and_parameter(store, examples) -> None:
    original = (store / MANIFEST_FILE).read_bytes()
    for edit, named in (
        (lambda content: content.update(format_version=3), "format version 3"),
        (lambda content: content["identity"].update(codec="zip"), "'zip'"),
        (lambda content: content["identity"]["parameters"].update(bits=4), "bits"),
        (lambda content: content["identity"].update(vocab_size="many"), "integer"),
        (lambda content: content["shards"][0].update(file="../shard-00000.safetensors"), "pattern"),
        (lambda content: content.pop("identity"), "not a manifest"),
    ):
        (store / MANIFEST_FILE).write_bytes(original)
        edit_manifest(store, edit)
        assert_refused(store, examples, "manifest.json", named)
    (store / MANIFEST_FILE).write_bytes(original.replace(b'"rows": 16', b'"rows": 15', 1))
    assert_refused(store, examples, "manifest.json", "checksum")
    (store / MANIFEST_FILE).write_text("[]")
    assert_refused(store, examples, "manifest.json")


@pytest.mark.parametrize(("store_name", "rule"), [("test", "compress_logits"), ("unlabelled", "compress_unlabelled"),
                                                  ("train_predictions", "compress_predictions")])  # fmt: skip
def test_a_store_of_version_1_is_refused_with_the_rule_to_rerun(tmp_path, store_name: str, rule: str) -> None:
    manifest = {"format_version": 1, "rows": 0, "tokens": 0, "complete": True, "identity": {}, "shards": []}
    (tmp_path / store_name).mkdir()
    (tmp_path / store_name / MANIFEST_FILE).write_text(json.dumps(manifest | {"checksum": _sha256(manifest)}))
    with pytest.raises(UserError, match="format version 1, but this version of AssertKD reads 2") as fault:
        StoreReader(tmp_path / store_name)
    assert f"`{rule}`" in fault.value.remedy


def test_shard_of_another_store(tmp_path, store, write_store, examples) -> None:
    other = write_store(tmp_path / "other", HiddenCodec(50, 24), examples, temperatures=[3.0])
    shutil.copy(other / "shard-00001.safetensors", store / "shard-00001.safetensors")
    assert (other / "shard-00001.safetensors").stat().st_size == read_manifest(store).shards[1].bytes
    assert_refused(store, examples, "shard-00001.safetensors", "another store")


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


@pytest.mark.parametrize("name", ["train", "train_predictions", "unlabelled"])
def test_a_store_is_opened_for_the_files_that_it_was_made_from(tmp_path, head, examples, name: str) -> None:
    records, tokenizer = tmp_path / "train.jsonl", tmp_path / "tokenizer"
    tokenizer.mkdir()
    files = {"corpus": records, "tokenizer": tokenizer / "tokenizer.json"}
    for number, file in enumerate(files.values()):
        file.write_text(f"content {number}")
    hashes = {input_name: sha256_of_file(file) for input_name, file in files.items()}
    writer = StoreWriter(tmp_path / name, HiddenCodec(50, 24), head, Provenance(teacher="2" * 64, **hashes))
    writer.add(examples[0].id, examples[0].target_ids, examples[0].hidden)
    writer.finish()
    assert examples[0].id in StoreReader.of_inputs(tmp_path / name, records=records, tokenizer=tokenizer)
    records.write_text("prepared again")
    with pytest.raises(UserError, match=f"{name}: written with another corpus\n") as fault:
        StoreReader.of_inputs(tmp_path / name, records=records, tokenizer=tokenizer)
    assert f"`{rule_of(tmp_path / name)}`" in fault.value.remedy
    (tokenizer / "tokenizer.json").write_text("trained again")
    with pytest.raises(UserError, match="another tokenizer and another corpus\n"):
        StoreReader.of_inputs(tmp_path / name, records=records, tokenizer=tokenizer)


@pytest.mark.parametrize("declared", [1 << 40, 1 << 63])
def test_false_sizes_are_refused_before_memory_is_taken(store, examples, declared: int) -> None:
    """A file that asks for a header of a terabyte."""
    path = store / "shard-00000.safetensors"
    data = bytearray(path.read_bytes())
    data[:8] = declared.to_bytes(8, "little")
    path.write_bytes(data)
    assert_refused(store, examples, "shard-00000.safetensors", f"declares a header of {declared} bytes")


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["levels"].update(shape=[1 << 40, 24]),
        lambda header: header["levels"].update(data_offsets=[0, 1 << 40]),
        lambda header: header["levels"].update(dtype="F32"),
        lambda header: header.update(more=header["levels"]),
        lambda header: header.pop("scales"),
        lambda header: header["__metadata__"].update(rows='{"levels": [1], "scales": [1]}'),
        lambda header: header["__metadata__"].update(rows='{"levels": [-1], "scales": [1]}'),
        lambda header: header["__metadata__"].update(rows="[]"),
        lambda header: header["__metadata__"].update(ids='["a"]'),
        lambda header: header["__metadata__"].pop("crc32"),
        lambda header: header.pop("__metadata__"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused_though_its_checksum_is_right(store, examples, change) -> None:
    """As a program of another version, or an attacker, might write it."""
    path = store / "shard-00000.safetensors"
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    change(header)
    raw = json.dumps(header).encode()
    raw = len(raw).to_bytes(8, "little") + raw
    path.write_bytes(raw + data[end:])

    def declare(content: dict) -> None:
        digest = hashlib.sha256(raw).hexdigest()
        content["shards"][0].update(header_sha256=digest, bytes=path.stat().st_size)

    edit_manifest(store, declare)
    assert_refused(store, examples, "shard-00000.safetensors: header: ")


def test_a_file_shorter_than_the_length_of_its_header_is_refused(tmp_path) -> None:
    path = tmp_path / "shard-00000.safetensors"
    path.write_bytes(b"1234")
    entry = ShardEntry(
        file=path.name, rows=0, tokens=0, bytes=4, sha256=sha256_of_file(path), header_sha256=sha256_of_file(path)
    )
    with pytest.raises(UserError, match="declares a header of"):
        read_index(tmp_path, entry, {}, "")


@pytest.mark.parametrize("codec", [HiddenCodec(50, 24), DenseCodec(50, 24), TopKCodec(50, 24, (4.0,))])
def test_no_flipped_byte_passes_unseen(tmp_path, write_store, examples, codec) -> None:
    """Three hundred random flips anywhere in the store: an error of ours, or nothing changed."""
    some = examples[:9]
    store = write_store(tmp_path / "train", codec, some, examples_per_shard=5)
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
