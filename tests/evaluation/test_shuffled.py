"""The control that compares predictions with the assertions of other tests."""

from collections import Counter
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertkd.evaluation import shuffled as module
from assertkd.evaluation.example_scores import Answered, score_chunk
from assertkd.evaluation.shuffled import shuffled_code_quality, with_other_references
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.predictions import Prediction


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(PACKAGED)


def quality(predictions: list[Prediction], encoder: TextEncoder) -> float:
    scores = score_chunk([Answered(one) for one in predictions], encoder, 10.0)
    return fmean(one.values["code_quality_score"] for one in scores)


GOLD = ["assertEquals(3, stack.size());", "assertTrue(queue.isEmpty());", "assertNull(map.get(key));", "fail();"]


@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_each_prediction_meets_the_reference_of_another_test(count: int, seed: int) -> None:
    predictions = [Prediction(f"{index}", f"p{index}", f"r{index}") for index in range(count)]
    pairs = [(int(one.prediction[1:]), int(one.reference[1:])) for one in with_other_references(predictions, seed)]
    assert all(own != other for own, other in pairs)
    assert Counter(own for own, _ in pairs) == Counter(other for _, other in pairs) == Counter(range(count))


def test_another_seed_deals_otherwise() -> None:
    predictions = [Prediction(f"{index}", f"p{index}", f"r{index}") for index in range(20)]
    assert (
        with_other_references(predictions, 1)
        == with_other_references(predictions, 1)
        != with_other_references(predictions, 2)
    )


def test_a_text_that_is_the_same_for_every_test_loses_nothing(encoder: TextEncoder) -> None:
    constant = [Prediction(f"{index}", "assertTrue(result);", gold) for index, gold in enumerate(GOLD)]
    assert shuffled_code_quality(constant, 4, encoder, seed=42) == pytest.approx(quality(constant, encoder))


def test_assertions_that_fit_their_tests_lose(encoder: TextEncoder) -> None:
    right = [Prediction(f"{index}", gold, gold) for index, gold in enumerate(GOLD)]
    # Four tests can be dealt as one circle in six ways; each is the mean of its pairs.
    pairs = {
        (own, other): quality([Prediction("one", GOLD[own], GOLD[other])], encoder)
        for own in range(4)
        for other in range(4)
        if own != other
    }
    circles = [(0, *rest) for rest in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1))]
    possible = [fmean(pairs[one[(place + 1) % 4], one[place]] for place in range(4)) for one in circles]
    found = shuffled_code_quality(right, 4, encoder, seed=42)
    assert min(abs(found - value) for value in possible) < 1e-6
    assert max(possible) < 0.8


def test_of_many_predictions_some_at_even_distances_are_taken(
    encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_EXAMPLES", 2)
    many = [Prediction(f"{index}", GOLD[index % 4], GOLD[index % 4]) for index in range(8)]
    # The first and the fifth, of the same text.
    assert shuffled_code_quality(iter(many), 8, encoder, seed=42) == pytest.approx(1.0)
