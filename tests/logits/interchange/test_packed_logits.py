"""Logits as text: what is packed comes back, and nothing else is let through or given memory."""

import base64
import tracemalloc
from collections.abc import Callable
from typing import Any

import lz4.frame
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from assertkd.errors import UserError
from assertkd.logits.interchange.lines import InterchangeLine, pack_logits

WHERE = "somewhere.jsonl:7"
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=16)


def line(text: str, shape: tuple[int, int] | None) -> InterchangeLine:
    return InterchangeLine(WHERE, "a", None, None, None, text, None if shape is None else list(shape))


def packed(content: bytes | np.ndarray, shape: tuple[int, int] | None = None, **options: Any) -> InterchangeLine:
    """Return bytes, or an array's, packed by nothing of ours."""
    data = content if isinstance(content, bytes) else content.astype("<f2").tobytes()
    return line(base64.b64encode(lz4.frame.compress(data, **options)).decode(), shape)


def logits(tokens: int, entries: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((tokens, entries)).astype(np.float16)


def framed(edit: Callable[[bytes], bytes]) -> InterchangeLine:
    """Return four rows of twenty logits, their frame edited."""
    frame = base64.b64decode(pack_logits(logits(4, 20)))
    return line(base64.b64encode(edit(frame)).decode(), None)


def refused(one: InterchangeLine, tokens: int, entries: int, vocab_size: int | None = None) -> str:
    """Return what is wrong with it, having checked that the place is named and that a remedy is."""
    with pytest.raises(UserError) as fault:
        one.logits(tokens, entries, vocab_size)
    assert fault.value.problem.startswith(f"{WHERE}: ")
    assert fault.value.remedy.endswith(".")
    assert "\n" not in str(fault.value).replace(f"{fault.value.problem}\n", "", 1)
    return fault.value.problem


@given(arrays.arrays(np.float16, st.tuples(st.integers(1, 9), st.integers(1, 40)), elements=FINITE))
def test_what_is_packed_comes_back_bit_for_bit(values: np.ndarray) -> None:
    tokens, entries = values.shape
    for shape in (values.shape, None):
        found = line(pack_logits(values), shape).logits(tokens, entries)
        assert found.dtype == np.float16
        assert found.shape == values.shape
        assert found.tobytes() == values.tobytes()


def test_the_text_is_base64_of_a_frame_with_size_and_checksum() -> None:
    values = logits(3, 20)
    frame = base64.b64decode(pack_logits(values))
    info = lz4.frame.get_frame_info(frame)
    assert info["content_size"] == values.nbytes
    assert info["content_checksum"]
    assert lz4.frame.decompress(frame) == values.astype("<f2").tobytes()


@pytest.mark.parametrize("options", [{"store_size": False}, {"content_checksum": True}, {"block_linked": False}])
def test_frames_of_other_programs_are_read(options: dict[str, bool]) -> None:
    values = logits(50, 1000)
    assert np.array_equal(packed(values, **options).logits(50, 1000), values)


def test_a_padded_vocabulary_follows_from_the_size() -> None:
    values = logits(4, 128)
    assert np.array_equal(packed(values).logits(4, 100), values)
    assert np.array_equal(packed(values, (4, 128)).logits(4, 50, 128), values)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (packed(logits(4, 20), (5, 20)), "logits for 5 target tokens, but the target has 4"),
        (packed(logits(4, 20), (4, 19)), "19 logits for each target token, but the tokenizer has 20 entries"),
        (packed(logits(4, 19), (4, 20)), "152 bytes are no rows of 20 of float16 logits for 4 target tokens"),
        (packed(logits(4, 24), (4, 24)), "24 logits for each target token, but the lines before have 20"),
        (packed(logits(4, 19)), "19 logits for each target token, but the tokenizer has 20 entries"),
        (packed(logits(3, 20)), "15 logits for each target token, but the tokenizer has 20 entries"),
        (packed(bytes(162)), "holds 162 bytes, where float16 logits of 4 target tokens take 160 bytes at most"),
        (packed(bytes(158)), "158 bytes are no whole rows of float16 logits for 4 target tokens"),
        (packed(bytes(162), store_size=False), "holds more, where float16 logits of 4 target tokens take 160 bytes"),
        (packed(logits(4, 20).astype(np.float32).tobytes()), "holds 320 bytes, where"),
        (packed(np.full((4, 20), np.nan)), "the logits hold NaN or infinity"),
        (packed(np.full((4, 20), np.inf), (4, 20)), "the logits hold NaN or infinity"),
        (line("no base64!", None), "teacher_logits_compressed: not base64"),
        (line("ünïcode", None), "teacher_logits_compressed: not base64"),
        (line("", None), "teacher_logits_compressed: not a sound LZ4 frame"),
        (framed(lambda frame: logits(4, 20).tobytes()), "not a sound LZ4 frame"),
        (framed(lambda frame: frame[:-9]), "the LZ4 frame is cut short"),
        (framed(lambda frame: frame + b"x"), "something stands behind it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_place(one: InterchangeLine, said: str) -> None:
    assert said in refused(one, 4, 20, 20)


def test_float32_and_rows_of_padding_are_not_taken_for_a_larger_vocabulary() -> None:
    for content in (logits(4, 20).astype(np.float32).tobytes(), np.vstack([logits(4, 20), np.zeros((4, 20))])):
        assert "take 240 bytes at most" in refused(packed(content), 4, 20)


def test_a_damaged_checksum_is_seen() -> None:
    frame = bytearray(base64.b64decode(pack_logits(logits(30, 20))))
    frame[len(frame) // 2] ^= 1
    assert "not a sound LZ4 frame" in refused(line(base64.b64encode(frame).decode(), None), 30, 20)


def test_no_memory_is_taken_for_a_false_size() -> None:
    """A frame that declares a terabyte, one that unfolds to 64 MB unasked, and a shape that asks for a terabyte."""
    context = lz4.frame.create_compression_context()
    header = lz4.frame.compress_begin(context, source_size=1 << 40)
    terabyte = header + lz4.frame.compress_chunk(context, bytes(160), return_bytearray=False)
    bomb = lz4.frame.compress(bytes(64 << 20), store_size=False)
    honest = lz4.frame.compress(logits(4, 20).tobytes(), store_size=False)
    tracemalloc.start()
    for frame, shape, said in (
        (terabyte, None, "declares 1099511627776 bytes in a frame of"),
        (bomb, None, "holds more"),
        (bomb, (4, 20), "holds more"),
        (bomb, (4, 8 << 20), "8388608 logits for each target token"),
        (honest, (4, 1 << 37), "137438953472 logits for each target token, and the tokenizer has 20 entries only"),
    ):
        assert said in refused(line(base64.b64encode(frame).decode(), shape), 4, 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.data())
def test_any_text_is_refused_or_gives_finite_rows(noise: bytes, data: st.DataObject) -> None:
    frame = bytearray(base64.b64decode(pack_logits(logits(4, 20))))
    for place in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=3)):
        frame[place] = data.draw(st.integers(0, 255))
    for content in (noise, bytes(frame), bytes(frame[: len(noise)]), bytes(frame) + noise):
        text = base64.b64encode(content).decode()
        for shape in (None, (4, 20)):
            try:
                found = line(text, shape).logits(4, 20)
            except UserError as fault:
                assert fault.problem.startswith(WHERE)
            else:
                assert found.shape[0] == 4
                assert np.isfinite(found).all()
