"""Configuration and weights of a hub name or folder, with faults as user errors."""

from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from assertkd.errors import UserError
from assertkd.models.hub import remedy_for_missing

Network = TypeVar("Network", bound=PreTrainedModel)


def load_config(name: str | Path, *, only_local: bool = False) -> PreTrainedConfig:
    """Return the configuration of a hub name or folder.

    Raises:
        UserError: there is none; with `only_local`, none on this machine.
    """
    try:
        config = AutoConfig.from_pretrained(str(name), trust_remote_code=False, local_files_only=only_local)
    except (OSError, ValueError, KeyError) as fault:
        first_line = str(fault).splitlines()[0]
        raise UserError(f"{name}: no model could be loaded ({first_line})", remedy_for_missing()) from fault
    return cast(PreTrainedConfig, config)


def load_network(architecture: type[Network], name: str | Path, config: PreTrainedConfig) -> Network:
    """Return the network of a hub name or folder, in float32, every weight read from there.

    Raises:
        UserError: weights are missing or damaged.
    """
    try:
        network, loading = architecture.from_pretrained(
            str(name), config=config, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as fault:
        raise _unloadable(name, str(fault).splitlines()[0]) from fault
    if loading["missing_keys"]:
        # transformers would fill them with random numbers and go on.
        missing = sorted(loading["missing_keys"])
        raise _unloadable(name, f"{len(missing)} are missing, as {missing[0]}")
    return cast(Network, network)


def _unloadable(name: str | Path, reason: str) -> UserError:
    return UserError(f"{name}: the weights could not be loaded ({reason})", remedy_for_missing())
