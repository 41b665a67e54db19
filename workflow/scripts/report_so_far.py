"""Writes the report of the models that are done by now."""

from pathlib import Path

from assertkd.report.build_report import ComparisonSettings, report_so_far
from assertkd.report.results import models_of
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import ReportSettings

run_folder = Path(snakemake.params.run_folder)
folder = run_folder / "report_so_far"

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    report_so_far(
        ReportSettings(**settings["report"]),
        ComparisonSettings(**settings["comparison"]),
        models_of(snakemake.params.models, snakemake.params.trained, run_folder),
        folder=folder,
        fidelity=run_folder / "logits" / "fidelity.json" if snakemake.params.has_fidelity else None,
        unlabelled=run_folder / "corpus" / "unlabelled_quality.json" if snakemake.params.has_unlabelled else None,
    )
    print(f"Report so far: {(folder / 'report.html').resolve()}")
