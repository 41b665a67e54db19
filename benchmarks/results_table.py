"""The table of docs/results.md of a finished run, from its report's own files.

    python benchmarks/results_table.py results/within_projects                            prints the table
    python benchmarks/results_table.py results/within_projects --write docs/results.md    puts it in its place there

Means over the seeds, in per cent, from `leaderboard.csv`; differences and corrected p-values from `significance.json`.
Latency is the median over the seeds.
"""

import argparse
import csv
import json
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from assertkd.evaluation.shuffled import SHUFFLED
from assertkd.report.leaderboard import DEVIATION, MEAN
from table_in_page import publish

METRICS = ("exact_match", "code_quality_score", SHUFFLED, "semantic_similarity", "syntax_validity")
KEPT = METRICS[:2]
"""Of what a table says how much of the teacher's value is kept, and the difference from the baseline."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="results/<run>, with its report")
    parser.add_argument("--write", type=Path, help="a page with a place for the table")
    options = parser.parse_args()
    if not (options.run / "report/significance.json").is_file():
        raise SystemExit(f"Error: {options.run}: holds no report\nName the folder of a finished run.")
    with (options.run / "report/leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["seed"] not in (MEAN, DEVIATION)]
    compared = json.loads((options.run / "report/significance.json").read_text(encoding="utf-8"))
    baseline, examples = compared["baseline"], compared["examples"]
    models: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        models.setdefault((row["model"], row["variant"]), []).append(row)
    teacher = models["teacher", ""]
    order = {"teacher": 0, "student": 1, "external": 2}
    ranked = sorted(models.items(), key=lambda one: (order[one[0][0]], -mean(one[1], "exact_match")))
    # Models that were scored before there was this control lack it.
    metrics = [name for name in METRICS if name != SHUFFLED or all(row.get(name) for row in rows)]
    heads = {name: name.replace("_score", "").replace("_", " ") for name in metrics}
    table = [["model", *heads.values(), *(f"{heads[name]} against {baseline}" for name in KEPT), "kept", "size", "ms"]]
    table.append(["---", *["---:"] * (len(table[0]) - 1)])
    for (kind, name), seeds in ranked:
        compared_with = compared["variants"].get(name, {})
        table.append(
            [
                f"`{name}`" if name else kind,
                *(spread(seeds, metric) for metric in metrics),
                *(against(compared_with.get(metric, {}).get("difference")) for metric in KEPT),
                kept(seeds, teacher) if name else "",
                share(seeds, teacher) if kind != "external" else "",
                f"{median(float(row['latency_ms']) for row in seeds):.0f}" if seeds[0]["latency_ms"] else "",
            ]
        )
    count = max(map(len, models.values()))
    about = (
        f"Of {examples:,} test examples, in per cent; {count} seeds, mean ± standard deviation; p by Holm. "
        + ("Shuffled: against the assertions of other tests. " if SHUFFLED in metrics else "")
        + "Kept: of the teacher's exact match and code quality. Size: parameters, of the teacher's. ms: to write one "
        "assertion."
    )
    publish(table, about, options.write, f"<!-- {options.run.name} -->", f"<!-- end of {options.run.name} -->")


def mean(seeds: list[dict[str, str]], column: str) -> float:
    return fmean(float(row[column]) for row in seeds)


def spread(seeds: list[dict[str, str]], metric: str) -> str:
    values = [100 * float(row[metric]) for row in seeds]
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def against(difference: dict[str, Any] | None) -> str:
    if difference is None:
        return ""
    points, low, high = (100 * difference[name] for name in ("mean", "low", "high"))
    p = difference["p_holm"]
    return f"{points:+.1f} ({low:.1f} to {high:.1f})" + ("" if p is None else f", p = {p:.2g}")


def kept(seeds: list[dict[str, str]], teacher: list[dict[str, str]]) -> str:
    return ", ".join(f"{100 * mean(seeds, metric) / mean(teacher, metric):.0f} %" for metric in KEPT)


def share(seeds: list[dict[str, str]], teacher: list[dict[str, str]]) -> str:
    return f"{100 * mean(seeds, 'parameters') / mean(teacher, 'parameters'):.0f} %"


if __name__ == "__main__":
    main()
