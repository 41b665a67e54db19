"""The files of a model that lie on this machine, checked before it is loaded, without reading its weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from assertkd.errors import UserError
from assertkd.layout import ModelLayout
from assertkd.models.gguf import converted_folder, gguf_file, is_gguf
from assertkd.models.loading import first_line, unloadable

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

FAILURE = "the weights could not be loaded"
RESTORE = "Restore it from where the model comes from."

POINTER = b"version https://git-lfs"
LONGEST_POINTER = 1024
"""Bytes of a file that git-lfs leaves in place of the one that it did not fetch, at most."""
READ = (".json", ".safetensors", ".bin", ".txt", ".model")
"""Ends of the names of files that are read of a model, a tokenizer or an encoder."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "spiece.model")
"""Any of them is the sign of a tokenizer."""

OF_TOKENIZERS = ("tokenizer", "special_tokens", "added_tokens", "merges", "vocab.", "spiece", "config.json")
"""How the names of the files begin that a tokenizer is made of."""

ADAPTER, ENCODER = "adapter_config.json", "modules.json"
INPUT_LENGTH = "trained_input_length"
"""Key of `config.json` for the longest input, where `n_positions` means something else."""
PYTORCH_WEIGHTS, PYTORCH_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
FLOATING = ("F64", "F32", "F16", "BF16")
"""Types of weights, by their names in safetensors."""


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """What a file says of a weight: its shape, and its type by the name that safetensors has for it."""

    file: Path
    shape: tuple[int, ...]
    dtype: str


def local_folder(name: str | Path) -> Path | None:
    """Return the folder of a model on this machine, a hub name's in the cache; None if it is not here.

    Raises:
        UserError: the name is neither that of a folder nor one that the hub could have, or of no GGUF model.
    """
    if Path(name).is_dir():
        return Path(name)
    if is_gguf(name):
        converted = converted_folder(str(name))
        return converted if converted.is_dir() else None
    # Takes a while to import, and a folder does without it.
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(str(name), "config.json")
    except HFValidationError:
        raise UserError(f"{name}: no such folder", "Name a folder that exists, or a model of the hub.") from None
    return Path(config).parent if isinstance(config, str) else None


def model_files(name: str | Path | None) -> list[Path]:
    """Return the files that are read of the folder of a model, tokenizer or encoder, sorted; none of a hub name.

    Those of an encoder in the form of sentence-transformers lie in folders below as well.
    """
    if name is not None and is_gguf(name):
        return [gguf_file(str(name))]
    if name is None or not Path(name).is_dir():
        return []
    patterns = ("*", "*/*") if Path(name, ENCODER).is_file() else ("*",)
    return sorted(file for pattern in patterns for file in Path(name).glob(pattern) if file.suffix in READ)


def is_tokenizer_file(file: Path) -> bool:
    """Return whether a file of a model's folder is one that its tokenizer is made of."""
    return file.name.startswith(OF_TOKENIZERS)


def check_files(folder: Path) -> None:
    """Refuse a folder whose files were not fetched by git-lfs, or that holds an adapter in place of a model.

    Raises:
        UserError: naming the file.
    """
    for file in model_files(folder):
        if file.is_file() and file.stat().st_size <= LONGEST_POINTER and file.read_bytes().startswith(POINTER):
            raise UserError(
                f"{file}: is a pointer of git-lfs, not the file itself",
                f"Fetch it, as by `git lfs pull` in {folder}, or download the model again.",
            )
    if (folder / ADAPTER).is_file():
        base = read_object(folder / ADAPTER).get("base_model_name_or_path")
        raise UserError(
            f"{folder}: holds an adapter of {base or 'another model'} ({ADAPTER}), not a whole model",
            "Merge it into that model (merge_and_unload of the package peft), save the result, and name its folder.",
        )


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of a model's `config.json`, its files checked.

    Raises:
        UserError: it is missing, damaged, or of a model in a reduced precision, which cannot be trained.
    """
    check_files(folder)
    file = ModelLayout(folder).config
    if not file.is_file():
        raise UserError(f"{folder}: no model could be loaded (it has no config.json)", "Name a whole model's folder.")
    config = read_object(file)
    if config.get("quantization_config") is not None:
        quantization = config["quantization_config"]
        method = quantization.get("quant_method") if isinstance(quantization, dict) else None
        raise UserError(
            f"{file}: quantization_config: the model is quantized ({method or 'unknown method'})",
            "Name the model that it was made of: quantized weights can be neither trained nor read here.",
        )
    return config


def read_object(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a model.

    Raises:
        UserError: the file cannot be read, is not JSON, or holds something else.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise UserError(f"{file}: not valid JSON ({first_line(fault)})", RESTORE) from None
    if not isinstance(value, dict):
        raise UserError(f"{file}: holds no JSON object", RESTORE)
    return value


def input_length(folder: Path) -> int | None:
    """Return the longest input that the model of a folder was trained for, in tokens; None where it names none."""
    file = ModelLayout(folder).config
    return _length(file, INPUT_LENGTH) or _length(file, "n_positions")


def output_length(folder: Path) -> int | None:
    """Return the longest output likewise."""
    return _length(ModelLayout(folder).generation_config, "max_new_tokens")


def _length(file: Path, key: str) -> int | None:
    value = read_object(file).get(key) if file.is_file() else None
    if value is not None and (type(value) is not int or value < 1):
        raise UserError(f"{file}: {key}: {value!r} is no length", "Set a whole number from 1, or remove the key.")
    return value


def check_weights(name: str | Path, folder: Path, network: "PreTrainedModel") -> None:
    """Refuse weights that are missing, damaged, or not those of a network; only the files' headers are read.

    Args:
        name: of the model, for the error.
        folder: that holds its files.
        network: as its configuration has it; it may lie on the device `meta`.

    Raises:
        UserError: naming the file or the weights.
    """
    stored = _stored_weights(name, folder)
    by_weight: dict[int, list[str]] = {}
    for own_name, parameter in _parameters_in_files(network, stored).items():
        by_weight.setdefault(id(parameter), []).append(own_name)
        found, expected = stored.get(own_name), tuple(parameter.shape)
        if found is not None and found.shape != expected:
            reason = f"{found.file.name}: {own_name} is {found.shape}, and by config.json {expected}"
            raise unloadable(name, FAILURE, reason)
        if found is not None and found.dtype not in FLOATING:
            raise unloadable(name, FAILURE, f"{found.file.name}: {own_name} has the type {found.dtype}")
    # One of those that share a weight is enough.
    missing = [names[0] for names in by_weight.values() if not any(one in stored for one in names)]
    if missing:
        raise unloadable(name, FAILURE, f"{len(missing)} are missing, as {missing[0]}")


def _parameters_in_files(network: "PreTrainedModel", stored: Mapping[str, StoredWeight]) -> dict[str, "torch.Tensor"]:
    """Return a network's parameters by name, with experts one by one where transformers stacks them in memory alone."""
    from transformers.core_model_loading import revert_weight_conversion

    own: dict[str, torch.Tensor] = dict(network.named_parameters(remove_duplicate=False))
    in_files: dict[str, torch.Tensor] = revert_weight_conversion(network, own)
    # Both forms are read.
    return max(own, in_files, key=lambda parameters: len(parameters.keys() & stored.keys()))


def _stored_weights(name: str | Path, folder: Path) -> dict[str, StoredWeight]:
    """Return what the weights' files hold, those that transformers would read."""
    files = ModelLayout(folder)
    pytorch, pytorch_index = folder / PYTORCH_WEIGHTS, folder / PYTORCH_INDEX
    if files.weights.is_file():
        return _safetensors(name, files.weights)
    if files.weights_index.is_file():
        parts = _parts(name, files.weights_index)
        return {key: weight for part in parts for key, weight in _safetensors(name, part).items()}
    if pytorch.is_file():
        return _pytorch(name, pytorch)
    if pytorch_index.is_file():
        return {key: weight for part in _parts(name, pytorch_index) for key, weight in _pytorch(name, part).items()}
    raise unloadable(name, FAILURE, f"there is no model.safetensors and no {PYTORCH_WEIGHTS}")


def _parts(name: str | Path, index: Path) -> list[Path]:
    content = read_object(index)
    weight_map, metadata = content.get("weight_map"), content.get("metadata")
    if not (
        isinstance(metadata, dict)
        and isinstance(weight_map, dict)
        and all(isinstance(part, str) for part in weight_map.values())
    ):
        raise unloadable(name, FAILURE, f"{index.name}: has no weight_map from names to files, or no metadata")
    parts = [index.parent / part for part in sorted(set(weight_map.values()))]
    if missing := [part.name for part in parts if not part.is_file()]:
        raise unloadable(name, FAILURE, f"{missing[0]} is missing, one of {len(parts)} parts that {index.name} names")
    return parts


def _safetensors(name: str | Path, file: Path) -> dict[str, StoredWeight]:
    try:
        with safe_open(str(file), framework="np") as tensors:
            slices = {key: tensors.get_slice(key) for key in tensors.keys()}  # noqa: SIM118
            return {key: StoredWeight(file, tuple(one.get_shape()), one.get_dtype()) for key, one in slices.items()}
    except Exception as fault:
        raise unloadable(name, FAILURE, f"{file.name}: {first_line(fault)}") from fault


def _pytorch(name: str | Path, file: Path) -> dict[str, StoredWeight]:
    """Return what a file in PyTorch's own form holds; nothing but tensors is unpickled."""
    import torch

    try:
        with file.open("rb") as handle:
            is_archive = handle.read(2) == b"PK"
        # Old files are no archives, and cannot be mapped into memory.
        content = torch.load(file, map_location="meta", weights_only=True, mmap=is_archive or None)
        if not isinstance(content, Mapping) or not all(isinstance(one, torch.Tensor) for one in content.values()):
            raise TypeError("it holds no plain table of tensors")
    except Exception as fault:
        raise UserError(
            f"{name}: {FAILURE} ({file.name}: not a file of plain tensors, and nothing else is read of it)",
            "Save the model as safetensors, or fetch the file again if it is damaged.",
        ) from fault
    names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    return {
        key: StoredWeight(file, tuple(one.shape), names.get(one.dtype, str(one.dtype))) for key, one in content.items()
    }
