"""One shard file: a header, independent LZ4 frames that hold blocks of examples, and the index of what lies where.

    header   magic, version, fingerprint of the store, counts, place and size of the index
    blocks   LZ4 frames with content checksum (xxh32), each the encoded examples of one block end to end
    index    one LZ4 frame with content checksum: the blocks, the examples, the length of each id, the ids (UTF-8)

Integers are little-endian. The index stands last because the blocks are written as they come.
"""

import hashlib
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import lz4.frame
import numpy as np
import numpy.typing as npt

from assertkd.errors import UserError
from assertkd.files import sha256_of_file, written_whole
from assertkd.logits.codecs.head import RERUN
from assertkd.logits.store.manifest import FORMAT_VERSION, ShardEntry

MAGIC = b"AKDLOGIT"
HEADER = struct.Struct("<8sI16sIIQQQQ")

BLOCK = np.dtype([("offset", "<u8"), ("stored", "<u8"), ("size", "<u8")])
EXAMPLE = np.dtype([("target", "<u8"), ("block", "<u4"), ("tokens", "<u4"), ("start", "<u8"), ("size", "<u8")])
ID_LENGTH = np.dtype("<u4")

LARGEST_RATIO = 256
"""More than LZ4 can compress by (255), so a declared size beyond it is false."""

Table = npt.NDArray[np.void]


def target_hash(target_ids: Sequence[int] | npt.NDArray[np.integer]) -> int:
    """Return the first 8 bytes of the SHA-256 of the target's token ids (int32, little-endian) as an integer."""
    digest = hashlib.sha256(np.asarray(target_ids, dtype="<i4").tobytes()).digest()
    return int.from_bytes(digest[:8], "little")


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """What lies where in a shard.

    Attributes:
        path: the shard.
        ids: of its examples, in order.
        examples: one `EXAMPLE` a row: hash of the target, block, tokens, start and size of its bytes in the block.
        blocks: one `BLOCK` a block: offset and size of the frame in the file, size of what it holds.
    """

    path: Path
    ids: list[str]
    examples: Table
    blocks: Table


class ShardWriter:
    """Writes one shard under a temporary name; `close` gives it its own. Holds one block in memory.

    Args:
        path: the shard's file.
        fingerprint: of the store, 16 bytes.
        block_bytes: encoded bytes at which a block is closed.
    """

    def __init__(self, path: Path, fingerprint: bytes, block_bytes: int) -> None:
        self.path = path
        self.rows = 0
        self._fingerprint = fingerprint
        self._block_bytes = block_bytes
        self._ids: list[bytes] = []
        self._examples: list[tuple[int, int, int, int, int]] = []
        self._blocks: list[tuple[int, int, int]] = []
        self._block = bytearray()
        self._stack = ExitStack()
        self._handle: IO[Any] = self._stack.enter_context(written_whole(path, "wb"))
        self._handle.write(bytes(HEADER.size))

    def add(self, example_id: str, target: int, tokens: int, data: bytes) -> None:
        """Append one example: its id, the `target_hash` of its target, its number of target tokens, its bytes."""
        self._ids.append(example_id.encode())
        self._examples.append((target, len(self._blocks), tokens, len(self._block), len(data)))
        self._block += data
        self.rows += 1
        if len(self._block) >= self._block_bytes:
            self._write_block()

    def close(self) -> ShardEntry:
        """Write what is left, the index and the header, put the file in its place, and return its manifest entry."""
        if self._block:
            self._write_block()
        examples = np.array(self._examples, EXAMPLE)
        lengths = np.array([len(name) for name in self._ids], ID_LENGTH)
        tables = (np.array(self._blocks, BLOCK).tobytes(), examples.tobytes(), lengths.tobytes())
        index = b"".join((*tables, *self._ids))
        offset, stored = self._write_frame(index)
        tokens = int(examples["tokens"].sum(dtype=np.int64))
        counts = (len(self._blocks), self.rows, tokens, offset, stored, len(index))
        header = HEADER.pack(MAGIC, FORMAT_VERSION, self._fingerprint, *counts)
        self._handle.seek(0)
        self._handle.write(header)
        self._stack.close()
        return ShardEntry(
            file=self.path.name,
            rows=self.rows,
            tokens=tokens,
            blocks=len(self._blocks),
            bytes=offset + stored,
            sha256=sha256_of_file(self.path),
        )

    def abandon(self) -> None:
        """Remove what was written; after `close` there is nothing to remove."""
        unfinished = RuntimeError("the shard was abandoned")
        self._stack.__exit__(RuntimeError, unfinished, None)

    def _write_block(self) -> None:
        self._blocks.append((*self._write_frame(self._block), len(self._block)))
        self._block.clear()

    def _write_frame(self, content: bytes | bytearray) -> tuple[int, int]:
        frame = lz4.frame.compress(bytes(content), content_checksum=True, store_size=True)
        offset = self._handle.tell()
        self._handle.write(frame)
        return offset, len(frame)


def read_index(folder: Path, entry: ShardEntry, fingerprint: bytes) -> ShardIndex:
    """Return the index of the shard that `entry` describes.

    Raises:
        UserError: the shard is missing, cut short, damaged, of another format version or of another store.
    """
    path = folder / entry.file
    if not path.is_file():
        raise UserError(f"{path}: no such file, though the manifest names it", RERUN)
    length = path.stat().st_size
    if length != entry.bytes:
        raise _damaged(path, f"has {length} bytes, the manifest says {entry.bytes}")
    if length < HEADER.size:
        raise _damaged(path, "is shorter than a header")
    with path.open("rb") as handle:
        fields = HEADER.unpack(handle.read(HEADER.size))
        magic, version, owner, blocks, rows, tokens, offset, stored, size = fields
        if magic != MAGIC:
            raise _damaged(path, "header: does not begin like a shard of logits")
        if version != FORMAT_VERSION:
            raise _damaged(path, f"header: format version {version} is unknown, this is version {FORMAT_VERSION}")
        if owner != fingerprint:
            raise _damaged(path, "header: the shard belongs to another store")
        if (blocks, rows, tokens) != (entry.blocks, entry.rows, entry.tokens):
            raise _damaged(path, "header: counts differ from the manifest's")
        tables = blocks * BLOCK.itemsize + rows * (EXAMPLE.itemsize + ID_LENGTH.itemsize)
        if offset < HEADER.size or offset + stored != length or size < tables:
            raise _damaged(path, "header: declared sizes do not fit the file")
        content = _read_frame(handle, path, "index", offset, stored, size)
    return _parse_index(path, content, blocks, rows, offset)


def read_block(index: ShardIndex, block: int) -> bytes:
    """Return the bytes that one block of a shard holds, decompressed, its checksum verified.

    Raises:
        UserError: the shard is missing or the block is damaged.
    """
    offset, stored, size = (int(value) for value in index.blocks[block].tolist())
    try:
        with index.path.open("rb") as handle:
            return _read_frame(handle, index.path, f"block {block}", offset, stored, size)
    except FileNotFoundError:
        raise UserError(f"{index.path}: no such file, though it was there", RERUN) from None


def _parse_index(path: Path, content: bytes, blocks: int, rows: int, end: int) -> ShardIndex:
    block_table = np.frombuffer(content, BLOCK, blocks)
    example_table = np.frombuffer(content, EXAMPLE, rows, block_table.nbytes)
    lengths = np.frombuffer(content, ID_LENGTH, rows, block_table.nbytes + example_table.nbytes)
    names = content[block_table.nbytes + example_table.nbytes + lengths.nbytes :]
    ends = np.cumsum(lengths, dtype=np.int64)
    frame_ends = HEADER.size + np.cumsum(block_table["stored"], dtype=np.uint64)
    sound = (
        len(names) == lengths.sum(dtype=np.int64)
        and np.array_equal(block_table["offset"] + block_table["stored"], frame_ends)
        and (not blocks or frame_ends[-1] == end)
        and (example_table["block"] < blocks).all()
    )
    if sound:
        held = block_table["size"][example_table["block"]]
        sound = bool((example_table["start"] + example_table["size"] <= held).all())
    if not sound:
        raise _damaged(path, "index: declared places and sizes do not fit the file")
    bounds = zip([0, *ends.tolist()], ends.tolist(), strict=False)
    return ShardIndex(path, [names[a:b].decode() for a, b in bounds], example_table, block_table)


def _read_frame(handle: IO[bytes], path: Path, part: str, offset: int, stored: int, size: int) -> bytes:
    if size > LARGEST_RATIO * stored:
        raise _damaged(path, f"{part}: declares {size} bytes in a frame of {stored}")
    handle.seek(offset)
    frame = handle.read(stored)
    if len(frame) != stored:
        raise _damaged(path, f"{part}: the file ends within it")
    try:
        # The decoder takes as much memory as the frame declares, hence the look at the declaration first.
        info = lz4.frame.get_frame_info(frame)
        if info["content_size"] != size or not info["content_checksum"]:
            raise _damaged(path, f"{part}: its frame declares another size than the index")
        content, consumed = lz4.frame.decompress(frame, return_bytes_read=True)
    except RuntimeError as fault:
        raise _damaged(path, f"{part}: {fault}") from None
    if consumed != stored or len(content) != size:
        raise _damaged(path, f"{part}: its frame has another length than the index says")
    return bytes(content)


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path}: {what}", RERUN)
