"""A shard: one safetensors file with the arrays of its examples. `safetensors.safe_open` reads it.

Each tensor is one of the codec's arrays (`Codec.layout`), the rows of the examples one behind the other. The header's
metadata say which rows are whose. They are JSON texts, lists in the order of the examples:

    ids        of the examples
    targets    `target_hash` of each target
    tokens     number of tokens of each target
    crc32      of each example's bytes, array by array
    rows       array name to the number of rows of each example
    store      fingerprint of the store, in hexadecimal; no list

The manifest holds the SHA-256 of the header, so opening a shard checks all of the above; the CRC-32 checks an example
when it is read.

Files are written and read here and not by the safetensors package: it would copy a whole shard to write it, and map a
whole shard into memory to read an example of it.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.files import sha256_of_file, written_whole
from assertkd.logits.codecs.codec import Layout
from assertkd.logits.codecs.head import RERUN
from assertkd.logits.store.manifest import ShardEntry

LENGTH_BYTES = 8
"""A file begins with the length of its header, as a little-endian integer."""


def target_hash(target_ids: Sequence[int]) -> int:
    """Return the first 8 bytes of the SHA-256 of the target's token ids (int32, little-endian) as an integer."""
    digest = hashlib.sha256(np.asarray(target_ids, dtype="<i4").tobytes()).digest()
    return int.from_bytes(digest[:8], "little")


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """One example as a shard takes it: `target` is the `target_hash` of its `tokens` target tokens."""

    id: str
    target: int
    tokens: int
    arrays: Payload


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """What lies where in a shard; lists and arrays in the order of its examples.

    Attributes:
        path: the shard.
        targets: `target_hash` of each.
        tokens: target tokens of each.
        bounds: array name to where each example's rows begin in the file, and where the last one's end.
    """

    path: Path
    ids: list[str]
    targets: npt.NDArray[np.uint64]
    tokens: npt.NDArray[np.int64]
    crc32: npt.NDArray[np.uint32]
    layout: Layout
    bounds: dict[str, npt.NDArray[np.int64]]


def write_shard(path: Path, layout: Layout, fingerprint: str, examples: Sequence[EncodedExample]) -> ShardEntry:
    """Write a shard, whole, and return its manifest entry. The same examples give the same bytes."""
    tokens = [example.tokens for example in examples]
    rows = {name: [len(example.arrays[name]) for example in examples] for name in layout}
    metadata = {
        "ids": [example.id for example in examples],
        "targets": [example.target for example in examples],
        "tokens": tokens,
        "crc32": [zlib.crc32(b"".join(example.arrays[name].tobytes() for name in layout)) for example in examples],
        "rows": rows,
    }
    content = {"__metadata__": {name: json.dumps(value) for name, value in metadata.items()} | {"store": fingerprint}}
    header = json.dumps(content | _tensors(layout, rows)).encode()
    header += b" " * (-len(header) % LENGTH_BYTES)
    header = len(header).to_bytes(LENGTH_BYTES, "little") + header
    with written_whole(path, "wb") as handle:
        handle.write(header)
        for name in layout:
            for example in examples:
                handle.write(example.arrays[name].tobytes())
    return ShardEntry(
        file=path.name,
        rows=len(examples),
        tokens=sum(tokens),
        bytes=path.stat().st_size,
        sha256=sha256_of_file(path),
        header_sha256=hashlib.sha256(header).hexdigest(),
    )


def read_index(folder: Path, entry: ShardEntry, layout: Layout, fingerprint: str) -> ShardIndex:
    """Return the index of the shard that `entry` describes.

    Raises:
        UserError: the shard is missing, cut short, damaged or of another store.
    """
    path = folder / entry.file
    if not path.is_file():
        raise UserError(f"{path}: no such file, though the manifest names it", RERUN)
    length = path.stat().st_size
    if length != entry.bytes:
        raise _damaged(path, f"has {length} bytes, the manifest says {entry.bytes}")
    with path.open("rb") as handle:
        prefix = handle.read(LENGTH_BYTES)
        declared = int.from_bytes(prefix, "little")
        if declared > length - LENGTH_BYTES:
            raise _damaged(path, f"declares a header of {declared} bytes in a file of {length}")
        header = prefix + handle.read(declared)
    if hashlib.sha256(header).hexdigest() != entry.header_sha256:
        raise _damaged(path, "header: damaged, or that of another store (SHA-256 differs)")
    try:
        content = json.loads(header[LENGTH_BYTES:])
        metadata = content.pop("__metadata__")
        if metadata.pop("store") != fingerprint:
            raise _damaged(path, "header: the shard belongs to another store")
        index = {name: json.loads(value) for name, value in metadata.items()}
        rows = index["rows"]
        lists = [*(index[name] for name in ("ids", "targets", "tokens", "crc32")), *rows.values()]
        sound = all(len(values) == entry.rows for values in lists) and sum(index["tokens"]) == entry.tokens
        sound = sound and all(count >= 0 for counts in rows.values() for count in counts)
        tensors = _tensors(layout, rows)
        offsets = {name: tensor["data_offsets"] for name, tensor in tensors.items()}
        if not sound or content != tensors or len(header) + max(end for _, end in offsets.values()) != length:
            raise _damaged(path, "header: declared sizes do not fit the file")
        bounds = {
            name: len(header) + start + _row_bytes(layout, name) * np.cumsum([0, *rows[name]], dtype=np.int64)
            for name, (start, _) in offsets.items()
        }
        targets, crc32 = np.array(index["targets"], np.uint64), np.array(index["crc32"], np.uint32)
        return ShardIndex(path, index["ids"], targets, np.array(index["tokens"], np.int64), crc32, layout, bounds)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as fault:
        raise _damaged(path, f"header: not that of a shard ({fault!r})") from None


def read_example(index: ShardIndex, number: int) -> Payload:
    """Return the read-only arrays of one example of a shard; UserError if it is missing or its checksum differs."""
    data = {}
    try:
        with index.path.open("rb", buffering=0) as file:
            for name, bounds in index.bounds.items():
                start, end = bounds[number : number + 2].tolist()
                data[name] = os.pread(file.fileno(), end - start, start)
    except FileNotFoundError:
        raise UserError(f"{index.path}: no such file, though it was there", RERUN) from None
    if zlib.crc32(b"".join(data.values())) != index.crc32[number]:
        raise _damaged(index.path, f"example {index.ids[number]!r}: its bytes are not those that were written")
    return {name: np.frombuffer(data[name], dtype).reshape(-1, *shape) for name, (dtype, shape) in index.layout.items()}


def _tensors(layout: Layout, rows: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return the header's description of the tensors, which lie one behind the other in the order of the layout."""
    tensors, end = {}, 0
    for name, (dtype, shape) in layout.items():
        count, start = sum(rows[name]), end
        end += count * _row_bytes(layout, name)
        type_name = f"{dtype.kind.upper()}{8 * dtype.itemsize}"
        tensors[name] = {"dtype": type_name, "shape": [count, *shape], "data_offsets": [start, end]}
    return tensors


def _row_bytes(layout: Layout, name: str) -> int:
    dtype, shape = layout[name]
    return dtype.itemsize * prod(shape)


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path}: {what}", RERUN)
