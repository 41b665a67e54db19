"""Fidelity of the logit cache: the rate–distortion figure of the logits stage, for the page."""

from collections.abc import Mapping
from typing import Any

from assertkd.logits.fidelity.figure import fidelity_chart, fidelity_points
from assertkd.report.figures.figure import DATA, Figure


def rate_distortion(report: Mapping[str, Any]) -> Figure | None:
    """Return bytes a target token against mean KL divergence of every codec, a panel a temperature.

    Args:
        report: `fidelity.json` of `compress_logits`.
    """
    points = fidelity_points(report)
    if not points:
        return None
    return Figure(
        "fidelity",
        "What the cache takes and what it loses",
        "Lower and further left is better. A triangle on the upper edge: the divergence is infinite, since tokens that "
        "the teacher gives some probability have none in the stored form.",
        fidelity_chart(points, DATA),
        points,
    )
