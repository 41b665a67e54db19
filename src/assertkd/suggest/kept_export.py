"""The export of a model that `assertkd suggest` makes once and keeps beside the model."""

import hashlib
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from assertkd.errors import UserError
from assertkd.layout import ModelLayout
from assertkd.models.exported import is_export


def kept_export(model_folder: Path) -> Path:
    """Return the float32 export of a `final_model/`; convert it first where there is none of its present files.

    The export lies beside the model's folder, or in the user's cache where that place cannot be written to. A line on
    standard error says when and where one is made. Processes may do this at the same time.

    Raises:
        UserError: the folder holds no model, or CTranslate2 cannot express it.
    """
    # Nothing is written into the model's folder: it is a rule's output.
    folder = model_folder.resolve()
    if not ModelLayout(folder).config.is_file():
        raise UserError(
            f"{folder}: holds no model (config.json is missing)",
            "Name a final_model/ folder of a teacher or a student, or an export of one.",
        )
    prefix, key = f".{folder.name}.export-", _key(folder)
    beside = folder.parent / f"{prefix}{key}"
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assertkd" / "exports" / key
    for export in (beside, cached):
        if is_export(export):
            return export
    export = beside if os.access(beside.parent, os.W_OK) else cached
    print(f"Converting {model_folder} once for CTranslate2; the export is kept in {export}", file=sys.stderr)
    # These load torch, which a warm start does without.
    from assertkd.export.convert import converted
    from assertkd.runtime.logs import hide_progress_bars

    hide_progress_bars()
    export.parent.mkdir(parents=True, exist_ok=True)
    # Renaming fails where another process has put the same export there meanwhile.
    with converted(folder, export, "float32") as made, suppress(OSError):
        made.rename(export)
    if not is_export(export):
        raise UserError(f"{export}: the export could not be put there", "Move this folder away.")
    if export == beside:
        for other in beside.parent.glob(f"{prefix}*"):
            # Of other weights, or the rest of a conversion of them that was killed.
            if not other.name.startswith(beside.name):
                shutil.rmtree(other, ignore_errors=True)
    return export


def _key(folder: Path) -> str:
    """Return a checksum of the place, sizes and times of what an export is made from: reading weights would be slow."""
    digest = hashlib.sha256(str(folder).encode())
    for file in sorted(folder.iterdir()):
        if file.suffix in (".safetensors", ".json", ".txt", ".bin"):
            status = file.stat()
            digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
