"""Weights of loss components over training."""

from collections.abc import Mapping

START_AND_END: Mapping[str, tuple[float, float]] = {
    "ce": (0.35, 0.25),
    "kl": (0.60, 0.35),
    "uld": (0.60, 0.35),
    "pans": (0.05, 0.25),
    "ast": (0.00, 0.15),
    "focal": (0.20, 0.15),
    "jsd": (0.75, 0.60),
    "semantic": (0.05, 0.25),
    "contrastive": (0.01, 0.015),
}
"""Weight of each component at the first and at the last optimizer step."""

UNLISTED = (0.10, 0.10)
"""The same for a component that the table does not name."""


def progress(step: int, steps: int) -> float:
    """Return how far training is at step `step` of `steps`, counted from 0: 0 at the first, 1 at the last."""
    return step / (steps - 1) if steps > 1 else 0.0
