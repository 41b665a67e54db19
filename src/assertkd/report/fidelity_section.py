"""The logit cache on the page: the picture, and one line for each codec."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assertkd.report.corpus_tables import Table


@dataclass(frozen=True, slots=True)
class FidelitySection:
    """What the page shows of the logit cache.

    Attributes:
        picture: the SVG as a data URI; a browser runs no script of an image and fetches nothing for it.
        table: one row a codec.
        positions: measured target tokens.
        split: where they come from.
    """

    picture: str
    table: Table
    positions: str
    split: str


def fidelity_section(report: Mapping[str, Any], picture: str) -> FidelitySection:
    """Return the section.

    Args:
        report: what `compress_logits` wrote as `fidelity.json`.
        picture: its `fidelity.svg`.
    """
    temperatures = list(dict.fromkeys(tau for line in report["codecs"] for tau in line.get("kl", {})))
    headings = ["bytes a token", *(f"KL, T = {tau}" for tau in temperatures), "99th percentile, T = 1"]
    headings += ["encode, MB/s", "decode, MB/s", "rebuild, µs a token"]
    rows = [
        (line["name"] + (" (in use)" if line["name"] == report["in_use"] else ""), _cells(line, temperatures))
        for line in report["codecs"]
    ]
    return FidelitySection(
        picture="data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode(),
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
