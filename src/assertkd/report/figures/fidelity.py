"""The logit cache on the page: the rate–distortion figure, and the table of codecs."""

from collections.abc import Mapping
from typing import Any

from assertkd.logits.fidelity.figure import fidelity_chart, fidelity_points
from assertkd.report.corpus_tables import Table
from assertkd.report.figures.figure import DATA, Figure


def rate_distortion(report: Mapping[str, Any]) -> Figure | None:
    """Return bytes a target token against mean KL divergence of every codec, a panel a temperature.

    Args:
        report: `fidelity.json`.
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


def fidelity_table(report: Mapping[str, Any]) -> Table:
    """Return size, divergence and speed of every codec.

    Args:
        report: `fidelity.json`.
    """
    temperatures = list(dict.fromkeys(tau for line in report["codecs"] for tau in line.get("kl", {})))
    headings = ["bytes a token", *(f"KL, T = {tau}" for tau in temperatures), "99th percentile, T = 1"]
    headings += ["encode, MB/s", "decode, MB/s", "rebuild, µs a token"]
    rows = [
        (line["name"] + (" (in use)" if line["name"] == report["in_use"] else ""), _cells(line, temperatures))
        for line in report["codecs"]
    ]
    return Table("", headings, rows)


def _cells(line: Mapping[str, Any], temperatures: list[str]) -> list[str]:
    if "refused" in line:
        return ["refused", *[""] * (len(temperatures) + 4)]
    return [
        f"{line['bytes_per_token']:,.1f}",
        *(_divergence(line["kl"][tau], "mean") for tau in temperatures),
        _divergence(line["kl"].get("1"), "p99"),
        # Of imported logits no speed is measured.
        f"{line['encode_mb_per_s']:,.0f}" if "encode_mb_per_s" in line else "",
        f"{line['decode_mb_per_s']:,.0f}" if "decode_mb_per_s" in line else "",
        f"{line['rebuild_us_per_token']:,.1f}" if "rebuild_us_per_token" in line else "",
    ]


def _divergence(kl: Mapping[str, float | None] | None, which: str) -> str:
    if kl is None:
        return "not stored"
    value = kl[which]
    return f"∞ ({kl['mass_dropped']:.1%} dropped)" if value is None else f"{value:.1e}"
