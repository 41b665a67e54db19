"""Embeds texts that students learn."""

from pathlib import Path

from assertkd.runtime.job import job, sole_writer
from assertkd.students.embed_targets import embed_targets
from assertkd.students.params import EmbedTargetsParams

output = Path(snakemake.output.embeddings)

with sole_writer(output.parent, output.stem), job(snakemake.log[0], snakemake.threads):
    embed_targets(
        EmbedTargetsParams.model_validate(snakemake.params.settings),
        snakemake.wildcards.texts,
        source=Path(snakemake.input.texts),
        output=output,
    )
