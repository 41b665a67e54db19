"""The Hugging Face hub: models, tokenizers and encoders fetched ahead of jobs that have no network, and verified."""

import fnmatch
import hashlib
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from assertkd.errors import UserError
from assertkd.files import sha256_of_file

WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
PICKLED = ("pytorch_model*.bin",)
"""Weights in PyTorch's own form: fetched only where a repository has no safetensors; transformers reads them as plain
tensors (`weights_only`)."""
UNUSED = ("onnx/*", "openvino/*")


def is_offline() -> bool:
    """Return whether this process must not reach the hub (HF_HUB_OFFLINE)."""
    return bool(huggingface_hub.constants.HF_HUB_OFFLINE)


def remedy_for_missing() -> str:
    """Return what to do where a model, tokenizer or encoder cannot be loaded."""
    if is_offline():
        return (
            "This job runs offline. Fetch the run's models first, where there is a network (a login node): snakemake "
            "prefetch_models, with the same --profile, --config and HF_HOME."
        )
    return "Check the name of the model or folder, and that this machine has it or can reach the hub."


def fetch(name: str) -> Path:
    """Download a repository of the hub into the cache, unless it is there, and return its folder.

    Every file is compared with the hash that the hub gives: a file that was damaged in the cache is fetched again.

    Args:
        name: a hub name, as `Salesforce/codet5p-770m`.

    Raises:
        UserError: there is no such repository, the hub cannot be reached, or a file is damaged on its way twice.
    """
    if is_offline():
        raise UserError(
            f"{name}: cannot be fetched offline", "Unset HF_HUB_OFFLINE, and start this where there is a network."
        )
    try:
        patterns = WANTED if fnmatch.filter(_files(name), "*.safetensors") else (*WANTED, *PICKLED)

        def download(again: bool) -> Path:
            folder = huggingface_hub.snapshot_download(
                name, allow_patterns=list(patterns), ignore_patterns=list(UNUSED), force_download=again
            )
            return Path(folder)

        folder = download(again=False)
        # A snapshot's folder has the name of its commit.
        files = _files(name, folder.name)
        if damaged_files(folder, files):
            folder = download(again=True)
    except RepositoryNotFoundError as fault:
        raise UserError(
            f"{name}: the hub has no such repository, or it is not public", "Check the name in config.yaml."
        ) from fault
    except (HfHubHTTPError, OSError, ConnectionError) as fault:
        raise UserError(
            f"{name}: could not be fetched ({_first_line(fault)})",
            "Check the network, HF_ENDPOINT, and the space and rights under HF_HOME; then run it again.",
        ) from fault
    damaged = damaged_files(folder, files)
    if damaged:
        raise UserError(f"{folder / damaged[0]}: damaged on its way, twice", "Try again later.")
    return folder


def damaged_files(folder: Path, files: dict[str, Any]) -> list[str]:
    """Return the files under `folder` that are not what the hub says they are, by name.

    Args:
        folder: a snapshot.
        files: the hub's account of the repository's files (`RepoFile`), by name.
    """
    there = [name for name in files if (folder / name).is_file()]
    return [name for name in there if not _is_whole(folder / name, files[name])]


def _files(name: str, commit: str | None = None) -> dict[str, Any]:
    tree = huggingface_hub.HfApi().list_repo_tree(name, recursive=True, revision=commit)
    return {one.path: one for one in tree if isinstance(one, huggingface_hub.RepoFile)}


def _is_whole(path: Path, described: Any) -> bool:
    if described.lfs is not None:
        return bool(sha256_of_file(path) == described.lfs.sha256)
    if described.blob_id is not None:
        content = path.read_bytes()
        # Small files are git objects, whose hash is that of a header and the content.
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        return bool(digest == described.blob_id)
    return True


def _first_line(fault: BaseException) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]
