"""The short leaderboard at the end of a run, and the report's place."""

import csv
import os
from pathlib import Path

from assertkd.layout import RunLayout
from assertkd.report.closing import MOST_ROWS, closing_message, short_leaderboard


def row(variant: str, seed: str = "42", **figures: object) -> dict[str, str]:
    return {"model": "student" if variant else "teacher", "variant": variant, "seed": seed} | {
        name: str(value) for name, value in figures.items()
    }


ROWS = [
    row("", "", exact_match=0.6036, code_quality_score=0.902, parameters=1_050_368, note="Read this."),
    row("trident", "mean", exact_match=0.55, code_quality_score=0.8, knowledge_retention_score=0.9, parameters=295_936),
    row("trident", "standard deviation", exact_match=0.01, code_quality_score=0.02, parameters=0),
    row("trident", "1", exact_match=0.56, code_quality_score=0.8, knowledge_retention_score=0.9, parameters=295_936),
    row("trident", "2", exact_match=0.54, code_quality_score=0.8, knowledge_retention_score=0.9, parameters=295_936),
    row("hard_labels", exact_match=0.5, code_quality_score=0.75, knowledge_retention_score=0.85, parameters=295_936),
]


def test_a_variant_is_one_line_the_mean_of_its_seeds() -> None:
    assert short_leaderboard(ROWS) == [
        "             Exact match  Code quality  Retention  Parameters",
        "teacher           60.4 %        90.2 %                 1.05 M",
        "trident           55.0 %        80.0 %     90.0 %     0.296 M",
        "hard_labels       50.0 %        75.0 %     85.0 %     0.296 M",
    ]


def test_a_long_leaderboard_is_cut() -> None:
    lines = short_leaderboard([row(f"v{number}", exact_match=0.5) for number in range(MOST_ROWS + 3)])
    assert len(lines) == 1 + MOST_ROWS + 1
    assert lines[-1] == "and 3 more in the report"


def test_the_report_stands_last_behind_leaderboard_and_note(tmp_path: Path) -> None:
    files = RunLayout(tmp_path / "tiny").report
    assert closing_message(files, "tiny", []) == "The run `tiny` has no full report yet."
    files.page.parent.mkdir(parents=True)
    files.page.write_text("<html>", encoding="utf-8")
    with files.leaderboard.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, dict.fromkeys(name for one in ROWS for name in one))
        writer.writeheader()
        writer.writerows(ROWS)
    os.utime(files.page, (200, 200))
    result, missing = tmp_path / "training_report.json", tmp_path / "missing.json"
    result.touch()
    os.utime(result, (200, 200))
    lines = closing_message(files, "tiny", [result, missing]).splitlines()
    assert lines[2].startswith("teacher  ")
    assert lines[-2:] == ["Read this.", f"Report: {files.page.resolve()}"]
    os.utime(result, (201, 201))
    assert closing_message(files, "tiny", [result, missing]).splitlines() == [
        f"The report {files.page.resolve()} is older than these results: {result}",
        "Make it anew with `assertkd report --run tiny --retrain`, and with the options of these results.",
    ]
    (tmp_path / "tiny/config.yaml").touch()
    assert f"report --output_dir {tmp_path / 'tiny'} --retrain" in closing_message(files, "tiny", [result])
