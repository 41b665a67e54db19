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
        resources: what the profile gives every job, as it stands there: `slurm_account` is `$SBATCH_ACCOUNT`, say.
        environment: the environment variables.

    Raises:
        UserError: naming the variable and how to find its value.
    """
    for resource in ("slurm_account", "slurm_partition"):
        named = VARIABLE.fullmatch(str(resources.get(resource, "")))
        if named and not environment.get(named[1]):
            name = named[1]
            raise UserError(
                f"{name} is not set: the profile gives SLURM jobs the {resource.removeprefix('slurm_')} that it names",
                REMEDIES.get(name, f"Put `export {name}=<value>` into ~/.bashrc."),
            )
