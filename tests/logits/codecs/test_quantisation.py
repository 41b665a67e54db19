import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assertkd.errors import UserError
from assertkd.logits.codecs.hidden import LEVELS, dequantise, feedback_weights, quantise


def plain(width: int) -> np.ndarray:
    return np.zeros((width, width), np.float32)


@settings(max_examples=80, deadline=None)
@given(
    vectors=arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 20)),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
    group_size=st.integers(1, 24),
)
def test_plain_rounding_errs_by_half_a_step_at_most(vectors: np.ndarray, group_size: int) -> None:
    levels, scales = quantise(vectors, plain(vectors.shape[1]), group_size)
    decoded = dequantise(levels, scales, group_size)
    for start in range(0, vectors.shape[1], group_size):
        group = slice(start, start + group_size)
        largest = np.abs(vectors[:, group]).max(axis=1, keepdims=True)
        # float16 scales are off by 2^-11 of themselves, which LEVELS steps add up; below 2^-24 they vanish.
        allowed = largest / LEVELS * 0.5 * (1 + 2**-10) + largest * 2**-11 + LEVELS * 2.0**-24
        assert (np.abs(decoded[:, group] - vectors[:, group]) <= allowed).all()


def test_levels_and_scales_by_hand() -> None:
    vectors = np.array([[127.0, -63.4, 0.0, 2.0, -2.0, 0.99]], np.float32)
    levels, scales = quantise(vectors, plain(6), 4)
    assert scales.tolist() == [[1.0, np.float16(2 / 127)]]
    assert levels.tolist() == [[127, -63, 0, 2, -127, 63]]
    assert np.allclose(dequantise(levels, scales, 4), [[127, -63, 0, 2, -2, 0.99]], atol=3e-3)


def test_feedback_cancels_an_error_along_a_shared_direction() -> None:
    # Two equal columns, so only the sum of their dimensions reaches the logits; the third sets the step to 0.1.
    shared, other = np.random.default_rng(0).standard_normal((2, 5000, 1))
    weights = feedback_weights(np.hstack([shared, shared, other]))
    assert weights[0, 1] == pytest.approx(1.0, abs=0.02)
    assert not np.tril(weights).any()
    vectors = np.array([[5.03, 3.34, 12.7]], np.float32)
    assert quantise(vectors, plain(3), 3)[0].tolist() == [[50, 33, 127]]
    assert quantise(vectors, weights, 3)[0].tolist() == [[51, 33, 127]]


def test_feedback_lowers_the_error_of_the_logits() -> None:
    rng = np.random.default_rng(3)
    columns = rng.standard_normal((400, 32)) * np.exp(-np.arange(32) / 6) @ rng.standard_normal((32, 32))
    vectors = rng.standard_normal((200, 32)).astype(np.float32)

    def logit_error(weights: np.ndarray) -> float:
        decoded = dequantise(*quantise(vectors, weights, 16), 16)
        return float((((decoded - vectors) @ columns.T) ** 2).mean())

    assert logit_error(feedback_weights(columns)) < 0.5 * logit_error(plain(32))


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(4)
    columns, vectors = rng.standard_normal((100, 40)), rng.standard_normal((6, 40)).astype(np.float32)
    weights = feedback_weights(columns)
    together = quantise(vectors, weights, 16)[0]
    alone = np.concatenate([quantise(vectors[row : row + 1], weights, 16)[0] for row in range(6)])
    assert np.abs(together.astype(int) - alone.astype(int)).max() <= 1


def test_zero_vectors_and_zero_columns_stay_finite() -> None:
    levels, scales = quantise(np.zeros((2, 5), np.float32), feedback_weights(np.zeros((9, 5))), 2)
    assert not levels.any()
    assert not scales.any()


def test_values_beyond_the_scales_are_refused() -> None:
    with pytest.raises(UserError, match="too large for int8"):
        quantise(np.full((1, 4), 1e7, np.float32), plain(4), 2)
