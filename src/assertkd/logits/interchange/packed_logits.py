"""One example's logits as text: base64 of one LZ4 frame of float16, little-endian, row by row (T, V)."""

import base64
import binascii
from dataclasses import dataclass

import lz4.frame
import numpy as np
import numpy.typing as npt

from assertkd.errors import UserError

DTYPE = "float16"
STORED = np.dtype("<f2")

LARGEST_RATIO = 256
"""More than LZ4 can compress by (255), so a declared size beyond it is false."""

LARGEST_SURPLUS = 1.5
"""Models pad their vocabulary to a round size. Where V follows from the size alone and is larger than the tokenizer's
entries by more than this factor, the rows are not what they are taken for (float32, or rows of padding)."""

Float16 = npt.NDArray[np.float16]


def pack_logits(logits: Float16) -> str:
    """Return logits (T, V) as text. The frame declares its size and has a checksum."""
    frame = lz4.frame.compress(logits.astype(STORED).tobytes(), content_checksum=True, store_size=True)
    return base64.b64encode(frame).decode("ascii")


@dataclass(frozen=True, slots=True)
class PackedLogits:
    """What a line holds of them.

    Attributes:
        where: file and line, for messages.
        text: from `pack_logits`, or from another program.
        shape: (T, V) as declared, or None.
    """

    where: str
    text: str
    shape: tuple[int, int] | None

    def unpacked(self, tokens: int, entries: int, vocab_size: int | None = None) -> Float16:
        """Return the logits, (T, V) float16, finite; no memory is taken for a size that was not checked first.

        Args:
            tokens: T, the number of target tokens that there have to be rows for.
            entries: entries of the tokenizer; V is at least this.
            vocab_size: V of the lines before; None for the first.

        Raises:
            UserError: they are damaged, of another shape or not finite (file:line is named).
        """
        try:
            frame = base64.b64decode(self.text, validate=True)
        except (binascii.Error, ValueError) as fault:
            raise self._damaged(f"not base64 ({fault})") from None
        if self.shape is not None:
            rows, columns = self.shape
            if rows != tokens:
                raise UserError(
                    f"{self.where}: logits for {rows} target tokens, but the target has {tokens}",
                    "Name the tokenizer and the longest target (max_output_len) that the teacher had.",
                )
            self._check_vocabulary(columns, entries, vocab_size)
            largest = STORED.itemsize * tokens * columns
        else:
            largest = int(STORED.itemsize * tokens * (vocab_size or LARGEST_SURPLUS * entries))
        content = self._decompressed(frame, largest, tokens)
        columns, rest = divmod(len(content), STORED.itemsize * tokens)
        if rest or (self.shape is not None and columns != self.shape[1]):
            rows_of = "whole rows" if self.shape is None else f"rows of {self.shape[1]}"
            raise UserError(
                f"{self.where}: {len(content)} bytes are no {rows_of} of float16 logits for {tokens} target tokens",
                "Name the tokenizer and the longest target (max_output_len) that the teacher had.",
            )
        self._check_vocabulary(columns, entries, vocab_size)
        logits = np.frombuffer(content, STORED).reshape(tokens, columns)
        if not np.isfinite(logits).all():
            raise UserError(
                f"{self.where}: the logits hold NaN or infinity",
                "Run the teacher in float32 or bfloat16 (float16 overflows in T5) and write the file again.",
            )
        return logits

    def _check_vocabulary(self, columns: int, entries: int, vocab_size: int | None) -> None:
        if columns < entries:
            raise UserError(
                f"{self.where}: {columns} logits for each target token, but the tokenizer has {entries} entries",
                "Name the tokenizer and the longest target (max_output_len) that the teacher had.",
            )
        if vocab_size is not None and columns != vocab_size:
            raise UserError(
                f"{self.where}: {columns} logits for each target token, but the lines before have {vocab_size}",
                "All lines have to come from one teacher.",
            )

    def _decompressed(self, frame: bytes, largest: int, tokens: int) -> bytes:
        """Return what the frame holds, which may be `largest` bytes at most."""
        try:
            declared = lz4.frame.get_frame_info(frame)["content_size"]
            if declared > LARGEST_RATIO * len(frame):
                raise self._damaged(f"declares {declared} bytes in a frame of {len(frame)}")
            if declared > largest:
                raise self._too_large(f"{declared} bytes", largest, tokens)
            decompressor = lz4.frame.LZ4FrameDecompressor()
            # A frame need not declare its size, hence the bound here too.
            content = bytes(decompressor.decompress(frame, max_length=min(largest, LARGEST_RATIO * len(frame))))
        except RuntimeError as fault:
            raise self._damaged(f"not a sound LZ4 frame ({fault})") from None
        if not decompressor.eof and not decompressor.needs_input:
            raise self._too_large("more", largest, tokens)
        if not decompressor.eof or decompressor.unused_data:
            raise self._damaged("the LZ4 frame is cut short, or something stands behind it")
        return content

    def _too_large(self, held: str, largest: int, tokens: int) -> UserError:
        return UserError(
            f"{self.where}: holds {held}, where float16 logits of {tokens} target tokens take {largest} bytes at most",
            "Store float16 without rows of padding, or name the tokenizer and the max_output_len that the teacher had.",
        )

    def _damaged(self, what: str) -> UserError:
        return UserError(f"{self.where}: teacher_logits_compressed: {what}", "Write the file again.")
