"""Takes over what a teacher that ran elsewhere knew."""

from pathlib import Path

from assertkd.corpus.targets import Supervision
from assertkd.logits.import_logits import import_logits
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import LogitsSettings

with sole_writer(Path(snakemake.output.predictions).parent), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    import_logits(
        LogitsSettings(**settings["logits"]),
        Supervision(**settings["supervision"]),
        files=[Path(file) for file in snakemake.input.files],
        corpus=Path(snakemake.input.train).parent,
        folder=Path(snakemake.output.predictions).parent,
        temperatures=settings.get("temperatures", ()),
    )
