"""Risks of sampled predictions: zero at the gold text, higher for worse ones, and one minus the very metric."""

import numpy as np
import pytest
import torch

from assertkd.errors import UserError
from assertkd.losses.contrastive import contrastive
from assertkd.losses.metric_risk import metric_risk
from assertkd.losses.registry import COMPONENTS, metric_of
from assertkd.losses.semantic import semantic
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.pans import pans as pans_metric
from assertkd.metrics.registry import pair_metrics
from assertkd.metrics.semantic_similarity import cosines, semantic_similarity
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.models.encoders import TextEncoder

pans, ast = COMPONENTS["pans"].compute, COMPONENTS["ast"].compute
GOLDS = ["assertEquals(3, list.size());", "assertTrue(queue.isEmpty());"]
BATCH_GOLDS = [*GOLDS, "assertNull(map.get(key));", GOLDS[0], 'assertEquals("abc", text.trim());', "fail();"]
# Per gold: itself, near to it, far from it, blank.
PREDICTIONS = [
    [GOLDS[0], "assertEquals(4, list.size());", "throw new RuntimeException(message);", ""],
    [GOLDS[1], "assertTrue(stack.isEmpty());", "int i = 0; i++; } }", " "],
]


@pytest.fixture
def batch(minilm: TextEncoder) -> TextBatch:
    minilm.pin(sorted(set(BATCH_GOLDS)), minilm.encode(sorted(set(BATCH_GOLDS))))
    return TextBatch(PREDICTIONS, GOLDS, BATCH_GOLDS, {"semantic": minilm, "contrastive": minilm})


def is_of_example_and_sample(risks: torch.Tensor) -> bool:
    return risks.shape == (2, 4) and risks.dtype == torch.float32 and risks.device.type == "cpu"


@pytest.mark.parametrize("risk", [semantic, pans])
def test_zero_at_the_gold_text_and_growing_with_the_distance(risk: object, batch: TextBatch) -> None:
    risks = risk(batch)
    assert is_of_example_and_sample(risks)
    assert risks[:, 0].tolist() == [0.0, 0.0]
    assert (risks[:, 1] > 0.01).all()
    assert (risks[:, 2] > risks[:, 1] + 0.1).all()
    assert risks[:, 3].tolist() == [1.0, 1.0]


def test_ast_is_1_where_there_is_not_one_statement(batch: TextBatch) -> None:
    risks = ast(batch)
    assert is_of_example_and_sample(risks)
    assert risks.tolist() == [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]]


def test_contrastive_grows_with_the_distance(batch: TextBatch) -> None:
    risks = contrastive(batch, temperature=0.1)
    assert is_of_example_and_sample(risks)
    assert (risks[:, 0] > 0).all()
    assert (risks[:, 0] < 0.1).all()
    assert (risks.diff(dim=1)[:, :2] > 0).all()
    assert (risks[:, 3] > risks[:, 1]).all()


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_contrastive_against_the_formula(batch: TextBatch, minilm: TextEncoder, temperature: float) -> None:
    mean = minilm.encode(sorted(set(BATCH_GOLDS))).numpy().astype(np.float64).mean(axis=0)

    def vector(text: str) -> np.ndarray:
        if not text.strip():
            return np.zeros(384)
        centred = minilm.encode([text])[0].numpy().astype(np.float64) - mean
        return centred / np.linalg.norm(centred)

    expected = np.zeros((2, 4))
    for i, gold in enumerate(GOLDS):
        for k, prediction in enumerate(PREDICTIONS[i]):
            positive = np.exp(vector(gold) @ vector(prediction) / temperature)
            others = sum(np.exp(vector(gold) @ vector(h) / temperature) for h in BATCH_GOLDS if h != gold)
            bound = np.log(1 + sum(h != gold for h in BATCH_GOLDS))
            expected[i, k] = min(-np.log(positive / (positive + others)), bound)
    assert contrastive(batch, temperature).numpy() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert len(np.unique(expected)) > 2


def test_contrastive_without_another_gold_tells_nothing(minilm: TextEncoder) -> None:
    minilm.pin(GOLDS, minilm.encode(GOLDS))
    alone = TextBatch([["fail();", GOLDS[0]]], GOLDS[:1], [GOLDS[0], f" {GOLDS[0]}"], {"contrastive": minilm})
    assert contrastive(alone, 0.1).tolist() == [[0.0, 0.0]]


def test_contrastive_asks_for_the_corpus(tiny_encoder: TextEncoder) -> None:
    with pytest.raises(ValueError, match="no corpus is pinned"):
        contrastive(TextBatch([["a"]], ["b"], ["b"], {"contrastive": tiny_encoder}), 0.1)


def test_each_risk_is_one_minus_the_metric_that_evaluation_uses(batch: TextBatch, minilm: TextEncoder) -> None:
    predictions = [text for samples in PREDICTIONS for text in samples]
    references = [gold for gold in GOLDS for _ in range(4)]
    pairs = list(zip(predictions, references, strict=True))
    assert pans(batch).flatten().tolist() == pytest.approx([1 - pans_metric(*pair) for pair in pairs], abs=1e-6)
    assert ast(batch).flatten().tolist() == [1 - syntax_validity(*pair) for pair in pairs]
    similarity = semantic_similarity(minilm, predictions, references)
    is_positive = cosines(minilm, predictions, references) >= 0
    assert is_positive.sum() >= 6
    risks = semantic(batch).flatten().numpy()
    assert risks[is_positive] == pytest.approx(1 - similarity[is_positive], abs=1e-6)
    assert (risks[~is_positive] > 1).all()
    for name, metric in pair_metrics().items():
        named = metric_risk(batch, metric_of(f"risk:{name}"))
        assert is_of_example_and_sample(named)
        assert named.flatten().tolist() == pytest.approx([1 - metric(*pair) for pair in pairs], abs=1e-6)


def test_semantic_still_tells_apart_below_a_cosine_of_0(tiny_encoder: TextEncoder) -> None:
    vector = tiny_encoder.embed(["a"])[0]
    tiny_encoder.pin(["gold", "against", "half against"], vector * vector.new_tensor([[1.0], [-1.0], [-0.5]]))
    risks = semantic(TextBatch([["half against", "against"]], ["gold"], ["gold"], {"semantic": tiny_encoder}))
    assert risks.tolist() == [pytest.approx([1.5, 2.0], abs=1e-6)]


def test_a_pair_is_measured_once() -> None:
    calls: list[tuple[str, str]] = []

    def metric(prediction: str, reference: str) -> float:
        calls.append((prediction, reference))
        return 0.25

    repeated = TextBatch([["a", "a", "b"], ["a", "b", "b"]], ["g", "g"], ["g", "g"])
    assert metric_risk(repeated, metric).tolist() == [[0.75] * 3] * 2
    assert calls == [("a", "g"), ("b", "g")]


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(UserError, match="there is no metric 'bleuu'"):
        metric_of("risk:bleuu")
