"""The metric that CONTRIBUTING adds as its example: scored, summed up, and a loss."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.params import ScoreParams
from assertkd.evaluation.score import score
from assertkd.losses.registry import metric_of
from assertkd.metrics.registry import METRICS

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def example_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = r"```python\n# src/assertkd/metrics/same_start.py\n(.*?)```"
    (source,) = re.findall(pattern, PAGE.read_text(), flags=re.DOTALL)
    (line,) = re.findall(r'^\+ +("same_start": .*),$', PAGE.read_text(), flags=re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(source, "same_start.py", "exec"), names)
    for name, metric in eval(f"{{{line}}}", names).items():
        monkeypatch.setitem(METRICS, name, metric)


def test_without_its_line_there_is_no_such_metric() -> None:
    with pytest.raises(UserError, match="there is no metric 'same_start'"):
        metric_of("risk:same_start")


def test_with_its_line_it_is_scored_and_a_loss(example_of_the_page: None, tmp_path: Path) -> None:
    lines = [("assertTrue(x);", "assertTrue(x);"), ("assertTrue(y);", "assertTrue(x);"), ("", "fail();")]
    path = tmp_path / "predictions.jsonl"
    examples = [{"id": str(n), "prediction": one, "reference": other} for n, (one, other) in enumerate(lines)]
    path.write_text("".join(json.dumps(example) + "\n" for example in examples))
    summary = score(ScoreParams(encoder=None, bootstrap_resamples=100), path, None, tmp_path)
    # assertTrue ( y against assertTrue ( x: 2 of 5.
    assert summary["metrics"]["same_start"]["mean"] == pytest.approx((1 + 2 / 5 + 0) / 3)
    written = [
        json.loads(line)["same_start"] for line in (tmp_path / "predictions_final.jsonl").read_text().splitlines()
    ]
    assert written == pytest.approx([1, 2 / 5, 0])
    assert "same_start" in (tmp_path / "metrics_final.csv").read_text().splitlines()[0]
    assert metric_of("risk:same_start")("assertTrue(y);", "assertTrue(x);") == pytest.approx(2 / 5)
