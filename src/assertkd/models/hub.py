"""The Hugging Face hub: models, tokenizers and encoders fetched ahead of jobs that have no network, and verified."""

import fnmatch
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi, constants, get_session, scan_cache_dir, try_to_load_from_cache
from huggingface_hub.errors import CacheNotFound, HfHubHTTPError, RepositoryNotFoundError

from assertkd.errors import UserError
from assertkd.models.gguf import convert_gguf, is_gguf
from assertkd.models.loading import first_line, unloadable

WANTED = ["*.json", "*.txt", "*.model", "*.safetensors"]
PICKLED = ["pytorch_model*.bin"]
"""Weights in PyTorch's own form: fetched only where a repository has no safetensors; transformers reads them as plain
tensors (`weights_only`)."""
UNUSED = ["onnx/*", "openvino/*"]

HTTP_FAULT: type[BaseException] = HfHubHTTPError.__bases__[0]
"""What a request of the hub's library raises, whichever HTTP library its version is built on."""

ATTEMPTS, FIRST_ANSWER = 2, 5.0
"""How often, and for how many seconds, the hub is asked for any answer before it counts as out of reach."""


@cache
def is_reachable() -> bool:
    """Return whether the hub answers; asked once in a process, since libraries retry for minutes, file by file."""
    if constants.HF_HUB_OFFLINE:
        return False
    for _ in range(ATTEMPTS):
        with suppress(HTTP_FAULT):
            # Any status is an answer.
            get_session().head(constants.ENDPOINT, timeout=FIRST_ANSWER)
            return True
    return False


def located(name: str | Path) -> str:
    """Return what to load for a hub name or folder: where the hub does not answer, the name's folder in the cache.

    Raises:
        FileNotFoundError: the hub does not answer, and the cache has no such folder.
        UserError: it names a GGUF model that is not there.
    """
    if is_gguf(name):
        return str(convert_gguf(str(name)))
    if constants.HF_HUB_OFFLINE or Path(name).is_dir() or is_reachable():
        return str(name)
    # Not by `snapshot_download`, which asks for all files of a repository, and `fetch` leaves some out.
    config = try_to_load_from_cache(str(name), "config.json")
    if not isinstance(config, str):
        raise FileNotFoundError(f"not in the hub's cache {constants.HF_HUB_CACHE}, and {_why_unreachable()}")
    return str(Path(config).parent)


def check_fetchable(name: str, failure: str) -> None:
    """Refuse a model or encoder that is not on this machine, if the hub does not answer; `failure` as in `loading`.

    Raises:
        UserError: see above.
    """
    # Of encoders the last, which may lack the first.
    files = (try_to_load_from_cache(name, file) for file in ("config.json", "tokenizer.json", "modules.json"))
    if not is_gguf(name) and not any(isinstance(file, str) for file in files) and not is_reachable():
        raise unloadable(name, failure, f"not in the hub's cache {constants.HF_HUB_CACHE}, and {_why_unreachable()}")


def _why_unreachable() -> str:
    return "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} cannot be reached"


@dataclass(frozen=True)
class CachedModel:
    """What the hub's cache holds of a model.

    Attributes:
        size: of its files, in bytes.
        has_weights: whether weights are among them.
    """

    size: int
    has_weights: bool


def cached_models() -> dict[str, CachedModel]:
    """Return the models and encoders in the hub's cache by name."""
    try:
        scanned = scan_cache_dir()
    except CacheNotFound:
        return {}
    return {
        repo.repo_id: CachedModel(
            repo.size_on_disk,
            any(file.file_name.endswith((".safetensors", ".bin")) for each in repo.revisions for file in each.files),
        )
        for repo in sorted(scanned.repos, key=lambda repo: repo.repo_id)
        if repo.repo_type == "model"
    }


def fetch(name: str) -> Path:
    """Download a repository of the hub into the cache, unless it is there, and return its folder.

    Every file is compared with the hash that the hub gives: a file that was damaged in the cache is fetched again.

    Args:
        name: a hub name, as `Salesforce/codet5p-770m`.

    Raises:
        UserError: there is no such repository, the hub cannot be reached, or a file is damaged on its way twice.
    """
    if not is_reachable():
        raise UserError(
            f"{name}: cannot be fetched, since {_why_unreachable()}",
            "Start this where there is a network (a login node), without HF_HUB_OFFLINE; check HF_ENDPOINT, proxies.",
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
    except (HTTP_FAULT, OSError) as fault:
        raise UserError(
            f"{name}: could not be fetched ({first_line(fault)})",
            "Check the network, HF_ENDPOINT, and the space and rights under HF_HOME; then run it again.",
        ) from fault
    raise UserError(f"{folder / damaged[0]['path']}: damaged on its way, twice", "Try again later.")
