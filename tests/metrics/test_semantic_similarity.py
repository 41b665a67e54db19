"""Semantic similarity with real sentence embeddings."""

import numpy as np
import pytest

from assertkd.metrics.semantic_similarity import cosines, semantic_similarity
from assertkd.models.encoders import TextEncoder

REFERENCE = "assertEquals(0, list.size());"
PARAPHRASE = "assertTrue(list.isEmpty());"
UNRELATED = 'throw new IllegalStateException("the connection was closed by the remote host");'


def test_a_paraphrase_is_nearer_than_an_unrelated_statement(minilm: TextEncoder) -> None:
    paraphrase, unrelated = semantic_similarity(minilm, [PARAPHRASE, UNRELATED], [REFERENCE, REFERENCE])
    assert 1 > paraphrase > unrelated + 0.1
    assert unrelated >= 0


def test_equal_texts_have_1_and_a_blank_one_0(minilm: TextEncoder) -> None:
    values = semantic_similarity(minilm, [f" {REFERENCE}\n", "", REFERENCE, " "], [REFERENCE, REFERENCE, "", ""])
    assert values.tolist() == [1.0, 0.0, 0.0, 1.0]


def test_against_dot_products(minilm: TextEncoder) -> None:
    texts, references = [PARAPHRASE, UNRELATED, "Assert.fail();"], [REFERENCE, REFERENCE, "fail();"]
    a, b = minilm.embed(texts).numpy(), minilm.embed(references).numpy()
    expected = [float(np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y)) for x, y in zip(a, b, strict=True)]
    assert cosines(minilm, texts, references) == pytest.approx(expected, abs=1e-6)


def test_the_metric_is_cut_off_below_0_and_the_cosine_is_not(tiny_encoder: TextEncoder) -> None:
    vector = tiny_encoder.embed(["a"])[0]
    tiny_encoder.pin(["up", "down", "aslant"], vector * vector.new_tensor([[1.0], [-1.0], [0.5]]))
    assert cosines(tiny_encoder, ["up", "up"], ["down", "aslant"]) == pytest.approx([-1.0, 0.5], abs=1e-6)
    assert semantic_similarity(tiny_encoder, ["up", "up"], ["down", "aslant"]) == pytest.approx([0.0, 0.5], abs=1e-6)


def test_no_texts_and_uneven_texts(minilm: TextEncoder) -> None:
    assert semantic_similarity(minilm, [], []).shape == (0,)
    with pytest.raises(ValueError, match="2 predictions, but 1 references"):
        semantic_similarity(minilm, ["a", "b"], ["a"])
