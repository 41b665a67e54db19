"""The files that grow while a model trains. They lie with its checkpoints and are published when it is done.

The workflow deletes a failed job's outputs, so tables that were written in their final place could not be continued.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from assertkd.files import write_json
from assertkd.training.logs import Table, epoch_columns, step_columns, write_epoch, write_step

FOLDER = "logs"
"""Where the files lie, below the folder of the checkpoints."""

SUMMARIES = "epoch_*_summary.json"


class Journal:
    """`step_metrics.csv`, `training_metrics.csv`, `epoch_N_summary.json` and `tensorboard/` of one training.

    Args:
        checkpoints: the folder of the checkpoints.
        components: names of the loss's components.
        text_metrics: names of the metrics of decoded validation samples.
        lengths: what `lengths` said at the checkpoint that is continued; None for a new training.
    """

    def __init__(
        self,
        checkpoints: Path,
        components: Sequence[str],
        text_metrics: Sequence[str],
        lengths: Mapping[str, int] | None,
    ) -> None:
        self._root, self.folder, self._components = checkpoints, checkpoints / FOLDER, components
        _cut_back(checkpoints, self.folder, lengths or {})
        self._open = ExitStack()
        self._steps = self._open.enter_context(Table(self.folder / "step_metrics.csv", step_columns(components)))
        self._epochs = self._open.enter_context(
            Table(self.folder / "training_metrics.csv", epoch_columns(components, text_metrics))
        )
        self._board = SummaryWriter(str(self.folder / "tensorboard"))
        self._open.callback(self._board.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._open.close()

    def step(self, row: dict[str, Any]) -> None:
        """Add a row of `step_metrics.csv`."""
        self._steps.add(row)
        write_step(self._board, self._components, row)

    def epoch(self, figures: dict[str, Any]) -> None:
        """Add a row of `training_metrics.csv`, and write the epoch's summary."""
        self._epochs.add(figures)
        write_epoch(self._board, figures)
        write_json(self.folder / f"epoch_{figures['epoch']}_summary.json", figures)

    def lengths(self) -> dict[str, int]:
        """Return the length in bytes of every file, by its path below the checkpoints, once they are on the disk."""
        self._board.flush()
        lengths = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                with path.open("rb") as handle:
                    os.fsync(handle.fileno())
                    lengths[path.relative_to(self._root).as_posix()] = handle.seek(0, os.SEEK_END)
        return lengths

    def publish(self, target: Path) -> None:
        """Close the files and copy them to `target`, in place of what an earlier training left there."""
        self._open.close()
        for stale in [*target.glob(SUMMARIES), target / "tensorboard"]:
            if stale.is_dir():
                shutil.rmtree(stale)
            else:
                stale.unlink(missing_ok=True)
        for source in sorted(self.folder.iterdir()):
            partial = target / f".{source.name}.{os.getpid()}.partial"
            if source.is_dir():
                shutil.copytree(source, partial)
            else:
                shutil.copyfile(source, partial)
            partial.replace(target / source.name)


def _cut_back(root: Path, folder: Path, lengths: Mapping[str, int]) -> None:
    """Give every file the length that it had; remove those that were not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        length = lengths.get(path.relative_to(root).as_posix())
        if length is None:
            path.unlink()
        else:
            os.truncate(path, length)
