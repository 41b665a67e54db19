"""The account that SLURM charges: set once, in SLURM's own environment variables."""

import re
from collections.abc import Mapping

from assertkd.errors import UserError

VARIABLE = re.compile(r"\$\{?(\w+)\}?")

REMEDIES = {
    "SBATCH_ACCOUNT": "List yours with `sacctmgr show user $USER withassoc format=account%40`, then put "
    "`export SBATCH_ACCOUNT=<account>` into ~/.bashrc.",
    "SBATCH_PARTITION": "List them with `sinfo --format='%P %G %l'`, then put `export SBATCH_PARTITION=<partition>` "
    "into ~/.bashrc.",
}


def check_submission(resources: Mapping[str, object], environment: Mapping[str, str]) -> None:
    """Refuse to submit jobs while a variable that the profile names is not set.

    Args:
        resources: the profile's default resources, unevaluated: `slurm_account` may be `$SBATCH_ACCOUNT`.
        environment: the environment variables.

    Raises:
        UserError: naming the variable and how to find its value.
    """
    for resource in ("slurm_account", "slurm_partition"):
        variable = VARIABLE.fullmatch(str(resources.get(resource, "")))
        if variable and not environment.get(variable[1]):
            name = variable[1]
            raise UserError(
                f"{name} is not set: the profile gives SLURM jobs the {resource.removeprefix('slurm_')} that it names",
                REMEDIES.get(name, f"Put `export {name}=<value>` into ~/.bashrc."),
            )
