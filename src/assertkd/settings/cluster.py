"""Options of a compute cluster."""

from assertkd.settings.section import Section


class ClusterSettings(Section):
    """What GPU jobs need on a compute cluster."""

    modules: tuple[str, ...] = ()
    """Environment modules that GPU jobs load where Snakemake runs with `--software-deployment-method env-modules`;
    torch brings its own CUDA libraries."""
