"""Runs to report: one with several seeds and variants, and one whose data attacks the page."""

from pathlib import Path

import pytest
from run_on_disk import COMPARED, EVIL, RunOnDisk, fidelity

from assertkd.report.build_report import build_report
from assertkd.settings import ReportSettings


@pytest.fixture
def run(tmp_path: Path) -> RunOnDisk:
    """A run of eight test examples without models."""
    return RunOnDisk(tmp_path / "a_run")


@pytest.fixture(scope="session")
def evil_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run all of whose data is `EVIL`, as far as it can be."""
    folder = tmp_path_factory.mktemp("evil")
    run = RunOnDisk(folder / "results", evil=EVIL)
    models = [
        run.add("teacher", "++++++--"),
        run.add("students/hard_labels/seed1", "++------"),
        run.add("students/<img src=x onerror=window.hacked=1>/seed1", "++++----"),
    ]
    cache = run.write("logits/fidelity.json", fidelity(EVIL))
    settings = ReportSettings(title=f"Title {EVIL}")
    build_report(settings, COMPARED, models, folder / "report", cache)
    return folder / "report" / "report.html"
