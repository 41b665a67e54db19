"""The table of time and disk for up to ten million records."""

import json
from pathlib import Path

import pytest

import scale
from assertkd.cluster.disk import TARGET_TOKENS

ASSUMED = scale.Assumptions(flops=1e14, epochs=3, input_tokens=256, target_tokens=24, measured={})


def test_assumed_times_are_operations_over_speed() -> None:
    # 6 operations a parameter and token, 280 tokens a record, three epochs of a million records.
    assert ASSUMED.training_hours(220_000_000, 1_000_000) == pytest.approx(6 * 2.2e8 * 280 * 3e6 / 1e14 / 3600)
    # The forward pass is 2 of the 6, once.
    assert ASSUMED.logit_hours(220_000_000, 1_000_000) == pytest.approx(2 * 2.2e8 * 280 * 1e6 / 1e14 / 3600)


def test_a_measured_training_of_that_size_replaces_the_assumption(tmp_path: Path) -> None:
    report = tmp_path / "training_report.json"
    report.write_text(json.dumps({"parameters": 223_000_000, "examples_per_second": 50.0}))
    found = scale.Assumptions(1e14, 3, 256, 24, scale.measured_rates([report]))
    assert found.training_hours(220_000_000, 1_000_000) == pytest.approx(3e6 / 50 / 3600)
    assert found.training_hours(770_000_000, 1_000_000) == ASSUMED.training_hours(770_000_000, 1_000_000)


def test_disk_grows_with_the_records_where_it_has_to() -> None:
    small, large = (scale.disk_of(*scale.PAIRS[0], records) for records in (10_000, 10_000_000))
    # Codec hidden, int8: a level a dimension and a float16 a group of 64.
    assert small.logits == 10_000 * TARGET_TOKENS * (768 + 2 * 12)
    assert large.logits == 1000 * small.logits
    assert (large.models, large.checkpoints) == (small.models, small.checkpoints)


def test_the_table_marks_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "encoding_seconds", lambda shape: 0.036)
    measured = scale.Assumptions(1e14, 3, 256, 24, {223_000_000: 100.0})
    headings, _, *rows = scale.rows(measured, [1_000_000])
    assert len(rows) == len(scale.PAIRS)
    first = dict(zip(headings, rows[0], strict=True))
    assert first["teacher, GPU h"] == "8.3*"
    assert first["encoding, core h"] == "10"
    assert not first["a student, GPU h"].endswith("*")
    assert rows[1][headings.index("a student, GPU h")] == "8.3*"
