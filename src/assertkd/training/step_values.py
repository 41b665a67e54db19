"""Values of optimizer steps: kept on the device, checked to be finite, averaged over an epoch."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from assertkd.errors import UserError
from assertkd.training.loss_term import TermValues
from assertkd.training.parallel.process_group import ProcessGroup


class StepValues:
    """The total, the parts' values and the gradient norms of every step of an epoch.

    They come to main memory in one transfer, when a step is logged, a checkpoint is saved or the epoch ends.

    Args:
        names: of the objective's parts.
        processes: those that share a step.
    """

    def __init__(self, names: Sequence[str], processes: ProcessGroup) -> None:
        self._names, self._processes = list(names), processes
        self._unchecked: list[tuple[int, list[str], Tensor]] = []
        self._epoch: list[Tensor] = []

    def add(self, step: int, ids: list[str], values: TermValues, norms: Sequence[Tensor]) -> None:
        """Add a step: the ids of this process's examples, the values of all, and the gradient norms."""
        row = torch.stack([values.total, *(values.raw[name] for name in self._names), *norms])
        self._epoch.append(row)
        self._unchecked.append((step, ids, row))

    def latest(self) -> tuple[float, dict[str, float], list[float]]:
        """Return the last step's total, values by name and gradient norms.

        Raises:
            UserError: a value of a step since the last call is not finite; step, component and examples are named.
        """
        rows = self._checked()
        count = 1 + len(self._names)
        return rows[-1][0], dict(zip(self._names, rows[-1][1:count], strict=True)), rows[-1][count:]

    def epoch_means(self) -> dict[str, float]:
        """Return the means over the steps since the last call: `total` and every part's value.

        Raises:
            UserError: as `latest`.
        """
        self._checked()
        means = torch.stack(self._epoch).mean(0).tolist()
        self._epoch.clear()
        return {"total": means[0], **dict(zip(self._names, means[1:], strict=False))}

    def state(self) -> dict[str, Tensor]:
        """Return the epoch's values so far, by name.

        Raises:
            UserError: as `latest`.
        """
        self._checked()
        return {"epoch": torch.stack(self._epoch)} if self._epoch else {}

    def restore(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Continue from what `state` returned."""
        self._epoch = list(state["epoch"].to(device)) if "epoch" in state else []

    def _checked(self) -> list[list[float]]:
        if not self._unchecked:
            return []
        # One transfer from the device for everything that is logged or checked.
        rows: list[list[float]] = torch.stack([row for _, _, row in self._unchecked]).tolist()
        for (step, ids, _), row in zip(self._unchecked, rows, strict=True):
            losses = row[: 1 + len(self._names)]
            if not all(map(math.isfinite, losses)):
                values = zip(self._names, losses[1:], strict=True)
                bad = [name for name, value in values if not math.isfinite(value)] or ["the total"]
                all_ids = [identity for of_process in self._processes.gathered(ids) for identity in of_process]
                raise UserError(
                    f"step {step}: loss component {', '.join(bad)} is not finite on examples {', '.join(all_ids[:16])}",
                    "Lower training.lr, or look at these examples in the corpus.",
                )
        self._unchecked.clear()
        return rows
