"""The files that grow in a training. They lie with its checkpoints and are published when it is done.

The workflow deletes a failed job's outputs, so tables that were written in their final place could not be continued.
"""

import logging
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter

from assertkd.files import write_json
from assertkd.layout import TrainingLayout
from assertkd.losses.loss_plan import LossPlan
from assertkd.losses.registry import component_of
from assertkd.runtime.devices import memory_mb
from assertkd.runtime.progress import Progress, format_figures
from assertkd.training.hooks.hook import Figures, Hook, StepRecord
from assertkd.training.loss_term import LossTerm
from assertkd.training.tables import Table, epoch_columns, step_columns, write_scalars

if TYPE_CHECKING:
    from assertkd.training.trainer import Trainer

FOLDER = "logs"
"""Where the files lie, below the folder of the checkpoints."""

log = logging.getLogger(__name__)


class Journal(Hook):
    """Writes `step_metrics.csv`, `training_metrics.csv`, `epoch_N_summary.json`, `tensorboard/`, and progress lines.

    Only the first process has one.

    Args:
        checkpoints: the folder of the checkpoints.
        groups: names of the gradient norms.
        text_metrics: of decoded validation samples.
        lengths: what `lengths` returned at the checkpoint that is continued, to which the files are cut back; None for
            a new training, for which they are removed.
    """

    name = "journal"

    def __init__(
        self,
        checkpoints: Path,
        plan: LossPlan,
        terms: Sequence[LossTerm],
        groups: Sequence[str],
        text_metrics: Sequence[str],
        lengths: Mapping[str, int] | None,
    ) -> None:
        self._root, self._files, self._plan = checkpoints, TrainingLayout(checkpoints / FOLDER), plan
        self._components = [component.name for component in plan.components]
        self._derived = {name: component_of(name).log_columns for name in self._components}
        self._other_parts = [name for term in terms for name in term.names if name not in self._components]
        further = [column for term in terms for column in term.columns]
        further += [f"{name}_loss" for name in self._other_parts]
        further += [column for columns in self._derived.values() for column in columns]
        self._files.folder.mkdir(parents=True, exist_ok=True)
        for path in self._paths():
            length = (lengths or {}).get(path.relative_to(checkpoints).as_posix())
            if length is None:
                path.unlink()
            else:
                os.truncate(path, length)
        self._open = ExitStack()
        columns = step_columns(self._components, groups, further)
        self._steps = self._open.enter_context(closing(Table(self._files.steps, columns)))
        columns = epoch_columns([*self._components, *self._other_parts], text_metrics)
        self._epochs = self._open.enter_context(closing(Table(self._files.epochs, columns)))
        self._board = self._open.enter_context(closing(SummaryWriter(str(self._files.tensorboard))))
        self._progress: Progress | None = None
        self._last_columns: Mapping[str, Any] = {}
        self._examples, self._since = 0, time.monotonic()

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Say what the epoch draws; with the first epoch, begin the progress lines."""
        position = trainer.position
        trainer.epochs.log_draw(position.epoch, memory_mb(trainer.model.device))
        if self._progress is None:
            self._progress = Progress("step", sum(trainer.epochs.steps), done=position.step)
        self._examples, self._since = position.examples, time.monotonic()

    def on_step_end(self, trainer: "Trainer", record: StepRecord | None) -> None:
        """Add a row of `step_metrics.csv`, and say how far the training is."""
        if record is None:
            return
        row = self._row(record)
        self._last_columns = record.columns
        self._steps.add(row)
        write_scalars(self._board, row)
        if self._progress is not None:
            self._progress.at(
                record.step + 1,
                what=f"epoch {record.epoch}/{len(trainer.epochs.steps)}, step",
                loss=record.total,
                examples_per_s=(trainer.position.examples - self._examples) / max(time.monotonic() - self._since, 1e-9),
                **{name: record.raw[name] for name in self._components},
                memory_mb=row["memory_usage_mb"],
            )

    def on_epoch_end(self, trainer: "Trainer", figures: Figures) -> None:
        """Add a row of `training_metrics.csv`, and write the epoch's summary."""
        epoch = trainer.position.epoch
        self._epochs.add({"epoch": epoch, **figures})
        for name, value in figures.items():
            if name.startswith("validation_"):
                self._board.add_scalar(f"Validation/{name.removeprefix('validation_')}", value, int(figures["step"]))
        write_json(self._files.epoch_summary(epoch), {"epoch": epoch, **figures})
        numbers = figures | {name: value for name, value in self._last_columns.items() if value is not None}
        log.info("epoch %d: %s", epoch, ", ".join(format_figures(numbers)))

    def lengths(self) -> dict[str, int]:
        """Return the length in bytes of every file, by its path below the checkpoints, once they are on the disk."""
        self._board.flush()
        lengths = {}
        for path in self._paths():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
                lengths[path.relative_to(self._root).as_posix()] = handle.seek(0, os.SEEK_END)
        return lengths

    def publish(self, target: TrainingLayout) -> None:
        """Close the files and copy them to a training's folder, in place of what an earlier training left there."""
        self.close()
        for stale in [*target.folder.glob(target.epoch_summaries), target.tensorboard]:
            if stale.is_dir():
                shutil.rmtree(stale)
            else:
                stale.unlink(missing_ok=True)
        for source in sorted(self._files.folder.iterdir()):
            partial = target.folder / f".{source.name}.{os.getpid()}.partial"
            if source.is_dir():
                shutil.copytree(source, partial)
            else:
                shutil.copyfile(source, partial)
            partial.replace(target.folder / source.name)

    def close(self) -> None:
        """Close the files."""
        self._open.close()

    def _paths(self) -> list[Path]:
        return sorted(path for path in self._files.folder.rglob("*") if path.is_file())

    def _row(self, record: StepRecord) -> dict[str, Any]:
        row: dict[str, Any] = {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "epoch": record.epoch,
            "step": record.step,
            "mini_batch_idx": record.epoch_step,
            "total_loss_raw": sum(record.raw.values()),
            "total_loss_weighted": record.total,
            "learning_rate": record.learning_rate,
            "temperature": self._plan.temperature,
            "alpha": self._plan.alpha,
            "effective_batch_size": record.examples,
            "memory_usage_mb": round(record.memory_mb, 1),
            "peak_memory_mb": round(record.peak_memory_mb, 1),
            "elapsed_time_seconds": round(record.elapsed, 3),
            **{f"grad_norm_{name}": norm for name, norm in record.gradient_norms.items()},
            **record.columns,
            **{f"{name}_loss": record.raw[name] if record.weights[name] else None for name in self._other_parts},
        }
        has_components = any(record.weights[name] for name in self._components)
        for component in self._plan.components:
            name = component.name
            raw, weight = record.raw[name], record.weights[name]
            row |= {
                f"{name}_loss_raw": raw,
                f"{name}_loss_weighted": weight * component.scale * raw,
                f"{name}_weight": weight,
                f"{name}_grad_norm": record.part_norms.get(name) if has_components else None,
                **{column: derive(raw) if raw else None for column, derive in self._derived[name].items()},
            }
        return row
