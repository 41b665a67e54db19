"""Whether a logit cache is faithful at a distillation temperature."""

from collections.abc import Mapping
from typing import Any

LARGEST_KL = 1e-2
"""Mean KL(full || stored) in nats beyond which students learn from something else than the teacher."""


def temperature_warning(report: Mapping[str, Any], temperature: float) -> str | None:
    """Return what is wrong with distilling at a temperature from a run's cache; None where it is faithful.

    A temperature that was not measured has the worse figure of the two measured ones around it.

    Args:
        report: `fidelity.json`.
        temperature: of the distillation.
    """
    figures = _figures(report)
    below = [tau for tau in figures if tau <= temperature]
    above = [tau for tau in figures if tau >= temperature]
    around = {*below[-1:], *above[:1]}
    if not around:
        return None
    worst = max(around, key=lambda tau: figures[tau])
    if figures[worst] <= LARGEST_KL:
        return None
    return (
        f"the logit cache ({report['in_use']}) is {figures[worst]:.2g} nats of KL divergence from the teacher at "
        f"T = {worst:g} (mean over positions; more than {LARGEST_KL:g} is another teacher), and loss.temperature is "
        f"{temperature:g}. Use the codec `hidden` or `dense`, a smaller logits.topk.tolerance with a larger max_k, or "
        "a lower temperature."
    )


def _figures(report: Mapping[str, Any]) -> dict[float, float]:
    """Return measured temperature, ascending, to mean divergence of the codec in use.

    Where it does not store a temperature, the figure is that of the same codec with other stored temperatures.
    """
    used = next(line for line in report["codecs"] if line["name"] == report["in_use"])
    figures: dict[float, float] = {}
    for line in [used, *(line for line in report["codecs"] if _identity(line) == _identity(used))]:
        for tau, kl in line.get("kl", {}).items():
            if kl is not None:
                figures.setdefault(float(tau), float("inf") if kl["mean"] is None else kl["mean"])
    return dict(sorted(figures.items()))


def _identity(line: Mapping[str, Any]) -> Any:
    """Return a codec and its parameters but the stored temperatures, which change no figure at any one of them."""
    parameters = line.get("parameters", {})
    return line["codec"], {name: value for name, value in parameters.items() if name != "temperatures"}
