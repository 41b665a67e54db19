"""Writes the report of the models that are done by now."""

from pathlib import Path

from assertkd.layout import RunLayout
from assertkd.report.build_report import report_so_far
from assertkd.report.params import BuildReportParams
from assertkd.report.results import models_of
from assertkd.runtime.job import job, sole_writer

run = RunLayout(snakemake.params.run_folder)

with sole_writer(run.report_so_far.folder), job(snakemake.log[0], snakemake.threads):
    params = BuildReportParams.model_validate(snakemake.params.settings)
    report_so_far(
        params.report,
        params.comparison,
        models_of(snakemake.params.models, snakemake.params.trained, run.folder),
        folder=run.report_so_far.folder,
        fidelity=Path(snakemake.params.fidelity),
        counts=[*map(Path, snakemake.params.counts)],
    )
    print(f"Report so far: {run.report_so_far.page.resolve()}")
