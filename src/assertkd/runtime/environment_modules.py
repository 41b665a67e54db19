"""Environment modules: whether those that a rule asks for are loaded, since a failed `module load` ends nothing."""

from collections.abc import Mapping

from assertkd.errors import UserError

WANTED = "ASSERTKD_MODULES"
"""The environment variable in which the workflow says which modules its GPU jobs load, names apart by blanks."""


def check_modules(environment: Mapping[str, str]) -> None:
    """Refuse to run a job whose modules were not loaded.

    Args:
        environment: the job's environment variables; `LOADEDMODULES` is what Lmod and Environment Modules keep.

    Raises:
        UserError: naming the modules that are missing.
    """
    wanted = environment.get(WANTED, "").split()
    loaded = [module for module in environment.get("LOADEDMODULES", "").split(":") if module]
    missing = [name for name in wanted if not any(one == name or one.startswith(f"{name}/") for one in loaded)]
    if missing:
        raise UserError(
            f"module load {' '.join(missing)}: failed, loaded are: {', '.join(loaded) or 'none'}",
            "List the modules with `module spider`, and name them in config.yaml (cluster.modules); or run without "
            "--software-deployment-method env-modules.",
        )
