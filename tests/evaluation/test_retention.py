"""Gaps and retention of small made-up students."""

import numpy as np
import pytest
from scipy import stats

from assertkd.evaluation.retention import compare_with_teacher, performance_ratio
from assertkd.evaluation.significance import Floats

RNG = np.random.default_rng(1)
N = 200


def pairs(student: float, teacher: float) -> tuple[dict[str, Floats], dict[str, Floats], Floats]:
    """Return made-up values around two means, and agreements."""
    quality = {"student": student, "teacher": teacher}
    values = {who: np.clip(mean + 0.1 * RNG.standard_normal(N), 0, 1) for who, mean in quality.items()}
    agreement = RNG.random(N)
    return (
        {"f1": values["student"] / 2, "code_quality_score": values["student"]},
        {"f1": values["teacher"] / 2, "code_quality_score": values["teacher"]},
        np.stack([agreement, agreement > 0.5], axis=1),
    )


def test_the_figures() -> None:
    student, teacher, agreement = pairs(0.4, 0.8)
    found = compare_with_teacher(student, teacher, agreement, 2000, 1)
    quality = student["code_quality_score"].mean() / teacher["code_quality_score"].mean()
    retention = found["retention"]
    assert retention["output_agreement"]["mean"] == pytest.approx(agreement[:, 0].mean())
    assert retention["exact_agreement"]["mean"] == pytest.approx(agreement[:, 1].mean())
    assert retention["performance_ratio"]["mean"] == pytest.approx(quality)
    assert retention["knowledge_retention_score"]["mean"] == pytest.approx(0.6 * agreement[:, 0].mean() + 0.4 * quality)
    gap = found["gaps"]["f1"]
    assert gap["mean"] == pytest.approx((teacher["f1"] - student["f1"]).mean())
    assert 0 < gap["low"] < gap["mean"] < gap["high"]


def test_the_ratios_interval_against_scipys_paired_bootstrap() -> None:
    student, teacher, agreement = pairs(0.4, 0.8)
    figure = compare_with_teacher(student, teacher, agreement, 5000, 1)["retention"]["performance_ratio"]
    sample = (student["code_quality_score"], teacher["code_quality_score"])
    expected = stats.bootstrap(
        sample,
        lambda one, other, axis: one.mean(axis=axis) / other.mean(axis=axis),
        paired=True,
        n_resamples=5000,
        method="percentile",
        rng=2,
    ).confidence_interval
    assert figure["low"] == pytest.approx(expected.low, abs=0.003)
    assert figure["high"] == pytest.approx(expected.high, abs=0.003)


def test_a_student_above_its_teacher_keeps_all_and_no_more() -> None:
    retention = compare_with_teacher(*pairs(0.8, 0.4), 500, 1)["retention"]
    assert [retention["performance_ratio"][name] for name in ("mean", "low", "high")] == [1.0, 1.0, 1.0]
    assert performance_ratio(np.array([0.0, 0.3]), np.array([0.0, 0.0])).tolist() == [1.0, 1.0]


def test_the_same_model_retains_everything() -> None:
    values = {"code_quality_score": RNG.random(N)}
    found = compare_with_teacher(values, values, np.ones((N, 2)), 500, 1)
    assert found["gaps"]["code_quality_score"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    for figure in found["retention"].values():
        assert [figure[name] for name in ("mean", "low", "high")] == pytest.approx([1.0, 1.0, 1.0])
