"""The logit cache on the page: the rate–distortion figure, and one line for each codec."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assertkd.report.corpus_tables import Table
from assertkd.report.figures.fidelity import rate_distortion
from assertkd.report.figures.figure import Figure


@dataclass(frozen=True, slots=True)
class FidelitySection:
    """The section on the logit cache.

    Attributes:
        figure: bytes against divergence; None where no codec has either.
        table: one row a codec.
        positions: measured target tokens.
        split: where they come from.
    """

    figure: Figure | None
    table: Table
    positions: str
    split: str


def fidelity_section(report: Mapping[str, Any]) -> FidelitySection:
    """Return the section.

    Args:
        report: `fidelity.json` of `compress_logits`.
    """
    temperatures = list(dict.fromkeys(tau for line in report["codecs"] for tau in line.get("kl", {})))
    headings = ["bytes a token", *(f"KL, T = {tau}" for tau in temperatures), "99th percentile, T = 1"]
    headings += ["encode, MB/s", "decode, MB/s", "rebuild, µs a token"]
    rows = [
        (line["name"] + (" (in use)" if line["name"] == report["in_use"] else ""), _cells(line, temperatures))
        for line in report["codecs"]
    ]
    return FidelitySection(
        figure=rate_distortion(report),
        table=Table("", headings, rows),
        positions=f"{report['sample']['positions']:,}",
        split=report["sample"]["split"],
    )


def _cells(line: Mapping[str, Any], temperatures: list[str]) -> list[str]:
    if "refused" in line:
        return ["refused", *[""] * (len(temperatures) + 4)]
    return [
        f"{line['bytes_per_token']:,.1f}",
        *(_divergence(line["kl"][tau], "mean") for tau in temperatures),
        _divergence(line["kl"].get("1"), "p99"),
        f"{line['encode_mb_per_s']:,.0f}",
        f"{line['decode_mb_per_s']:,.0f}",
        f"{line['rebuild_us_per_token']:,.1f}",
    ]


def _divergence(kl: Mapping[str, float | None] | None, which: str) -> str:
    if kl is None:
        return "not stored"
    value = kl[which]
    return f"∞ ({kl['mass_dropped']:.1%} dropped)" if value is None else f"{value:.1e}"
