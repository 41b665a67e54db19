"""What a student keeps of its teacher: gaps in every metric, agreement of the two, and a score of both."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from assertkd.evaluation.significance import Floats, intervals, resampled_means

AGREEMENT_WEIGHT, PERFORMANCE_WEIGHT = 0.6, 0.4
"""Weights of output agreement and performance ratio in the knowledge retention score."""


def compare_with_teacher(
    student: Mapping[str, Floats], teacher: Mapping[str, Floats], agreement: Floats, resamples: int, seed: int
) -> dict[str, Any]:
    """Return gaps and retention of a student, each {mean, low, high} with a paired bootstrap interval.

    Args:
        student: metric name to its value of every example, shape (n,).
        teacher: the teacher's, on the same examples and under the same names.
        agreement: token F1 between the two predictions, and 1 where both write the same tokens, shape (n, 2).
        resamples: bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        `gaps`: per metric teacher − student, positive where the teacher is better. `retention`: `output_agreement`,
        the mean token F1 between the two predictions; `exact_agreement`, the share of examples where both write the
        same tokens; and where there is a code quality score, `performance_ratio`, the student's divided by the
        teacher's and at most 1, and `knowledge_retention_score` = 0.6 · output_agreement + 0.4 · performance_ratio.
    """
    names = list(student)
    columns = [*(teacher[name] - student[name] for name in names), *agreement.T]
    has_quality = "code_quality_score" in student
    if has_quality:
        columns += [side["code_quality_score"] for side in (student, teacher)]
    values = np.stack(columns, axis=1)
    # The observed means are the first row, so that they and the resampled ones are treated alike.
    means = np.concatenate([values.mean(axis=0)[None], resampled_means(values, resamples, seed)])
    labels = ["output_agreement", "exact_agreement"]
    if has_quality:
        ratio = performance_ratio(means[:, -2], means[:, -1])
        retained = AGREEMENT_WEIGHT * means[:, len(names)] + PERFORMANCE_WEIGHT * ratio
        means = np.column_stack([means[:, :-2], ratio, retained])
        labels += ["performance_ratio", "knowledge_retention_score"]
    figures = [asdict(one) for one in intervals(means[0], means[1:])]
    return {
        "gaps": dict(zip(names, figures, strict=False)),
        "retention": dict(zip(labels, figures[len(names) :], strict=True)),
    }


def performance_ratio(student: Floats, teacher: Floats) -> Floats:
    """Return student / teacher, at most 1; 1 also where the teacher has 0."""
    return np.minimum(1.0, np.divide(student, teacher, out=np.ones_like(student), where=teacher > 0))
