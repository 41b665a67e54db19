"""What a student keeps of its teacher: gaps in every metric, and how often the two write the same."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assertkd.evaluation.metrics.exact_match import exact_match
from assertkd.evaluation.metrics.overlap import f1
from assertkd.evaluation.significance import bootstrap_intervals


def compare_with_teacher(
    student_texts: Sequence[str],
    teacher_texts: Sequence[str],
    student_metrics: Mapping[str, NDArray[np.float64]],
    teacher_metrics: Mapping[str, NDArray[np.float64]],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Return gaps and agreement of a student and its teacher on the same examples, each with a paired interval.

    Args:
        student_texts: the student's predictions.
        teacher_texts: the teacher's, in the same order.
        student_metrics: per metric the student's value for every example, shape (n,).
        teacher_metrics: the same for the teacher, same names.
        resamples: bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        `gaps`: per metric teacher − student, positive where the teacher is better; `output_agreement`: mean token F1
        between the two predictions; `exact_agreement`: share of examples where both write the same tokens. Each is
        {mean, low, high}.
    """
    pairs = list(zip(student_texts, teacher_texts, strict=True))
    columns = [teacher_metrics[name] - values for name, values in student_metrics.items()]
    columns.append(np.array([f1(student, teacher) for student, teacher in pairs]))
    columns.append(np.array([exact_match(student, teacher) for student, teacher in pairs]))
    *gaps, agreement, exact = bootstrap_intervals(np.stack(columns, axis=1), resamples, seed)
    return {
        "gaps": {name: gap.as_dict() for name, gap in zip(student_metrics, gaps, strict=True)},
        "output_agreement": agreement.as_dict(),
        "exact_agreement": exact.as_dict(),
    }
