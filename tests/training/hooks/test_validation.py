"""What is said of decoded validation samples: the same as the evaluation says of predictions."""

import pytest

from assertkd.evaluation.example_scores import Answered, score_examples
from assertkd.models.encoders import TextEncoder
from assertkd.predictions import Prediction
from assertkd.settings.training import TEXT_METRICS
from assertkd.training.hooks.validation import text_figures

REFERENCES = ["assertEquals(1, list.size());", "assertTrue(queue.isEmpty());", "assertNull(map.get(key));"]
PREDICTIONS = ["assertEquals(2, list.size());", "assertTrue(queue.isEmpty());", "assertNull(map."]


def test_decoded_samples_are_judged_as_the_evaluation_judges_them(minilm: TextEncoder) -> None:
    pairs = [Prediction(str(row), *pair) for row, pair in enumerate(zip(PREDICTIONS, REFERENCES, strict=True))]
    judged = [scores.values for _, scores in score_examples(map(Answered, pairs), minilm)]
    figures = text_figures(PREDICTIONS, REFERENCES, minilm)
    assert set(figures) == {f"validation_{name}" for name in TEXT_METRICS}
    assert {"validation_semantic_similarity", "validation_code_quality_score"} < set(figures)
    for name in TEXT_METRICS:
        assert figures[f"validation_{name}"] == pytest.approx(sum(one[name] for one in judged) / 3)


def test_without_an_encoder_the_metrics_that_need_one_are_left_out() -> None:
    figures = text_figures(PREDICTIONS, REFERENCES, None)
    without = {"validation_semantic_similarity", "validation_code_quality_score"}
    assert set(figures) == {f"validation_{name}" for name in TEXT_METRICS} - without
    assert figures["validation_exact_match"] == pytest.approx(1 / 3)
