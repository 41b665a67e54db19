"""The Hugging Face hub: models, tokenizers and encoders fetched ahead of jobs that have no network, and verified."""

import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from assertkd.errors import UserError

WANTED = ["*.json", "*.txt", "*.model", "*.safetensors"]
PICKLED = ["pytorch_model*.bin"]
"""Weights in PyTorch's own form: fetched only where a repository has no safetensors; transformers reads them as plain
tensors (`weights_only`)."""
UNUSED = ["onnx/*", "openvino/*"]


def unloadable(name: str | Path, failure: str, reason: BaseException | str, hint: str = "") -> UserError:
    """Return the error of a model, tokenizer or encoder that cannot be loaded, because of a reason's first line.

    `failure` is what was not possible, `hint` is told after what to do.
    """
    remedy = "Check the name of the model or folder, and that this machine has it or can reach the hub."
    if constants.HF_HUB_OFFLINE:
        remedy = (
            "This job runs offline. Fetch the run's models first, where there is a network (a login node): snakemake "
            "prefetch_models, with the same --profile, --config and HF_HOME."
        )
    return UserError(f"{name}: {failure} ({_first_line(reason)})", remedy + hint)


def fetch(name: str) -> Path:
    """Download a repository of the hub into the cache, unless it is there, and return its folder.

    Every file is compared with the hash that the hub gives: a file that was damaged in the cache is fetched again.

    Args:
        name: a hub name, as `Salesforce/codet5p-770m`.

    Raises:
        UserError: there is no such repository, the hub cannot be reached, or a file is damaged on its way twice.
    """
    if constants.HF_HUB_OFFLINE:
        raise UserError(
            f"{name}: cannot be fetched offline", "Unset HF_HUB_OFFLINE, and start this where there is a network."
        )
    hub = HfApi()
    try:
        has_safetensors = fnmatch.filter(hub.list_repo_files(name), "*.safetensors")
        patterns = WANTED if has_safetensors else [*WANTED, *PICKLED]
        for again in (False, True):
            folder = Path(
                hub.snapshot_download(name, allow_patterns=patterns, ignore_patterns=UNUSED, force_download=again)
            )
            # A snapshot's folder has the name of its commit.
            damaged = hub.verify_repo_checksums(name, revision=folder.name).mismatches
            if not damaged:
                return folder
    except RepositoryNotFoundError as fault:
        raise UserError(
            f"{name}: the hub has no such repository, or it is not public", "Check the name in config.yaml."
        ) from fault
    except (HfHubHTTPError, OSError, ConnectionError) as fault:
        raise UserError(
            f"{name}: could not be fetched ({_first_line(fault)})",
            "Check the network, HF_ENDPOINT, and the space and rights under HF_HOME; then run it again.",
        ) from fault
    raise UserError(f"{folder / damaged[0]['path']}: damaged on its way, twice", "Try again later.")


def _first_line(reason: BaseException | str) -> str:
    return (str(reason).strip() or type(reason).__name__).splitlines()[0]
