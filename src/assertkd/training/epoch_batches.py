"""What each epoch trains on: its examples, its batches, and how many optimizer steps they make."""

import logging
from collections.abc import Sequence
from functools import cached_property

from assertkd.batching.epoch_sampling import EpochSampler
from assertkd.batching.examples import Example
from assertkd.batching.sampling import bucketed_batches, budgeted_batches
from assertkd.settings import TrainingSettings
from assertkd.training.parallel.process_group import ProcessGroup

log = logging.getLogger(__name__)

FIRST = 1
"""The first epoch's number. Epoch 0 is the batch that a training is checked on at its start."""


class EpochBatches:
    """The epochs of one training. Everything follows from the seeds and an epoch's number.

    The processes that train together take so many batches of an optimizer step each as one alone would.

    Args:
        train: the examples of every epoch, or what draws them.
        seed: of the order of batches.
    """

    def __init__(self, train: Sequence[Example] | EpochSampler, settings: TrainingSettings, seed: int) -> None:
        self._train, self._settings, self._seed, self._processes = train, settings, seed, ProcessGroup()

    def examples(self, epoch: int) -> Sequence[Example]:
        """Return the examples of an epoch; epoch 0 has the first one's."""
        return self._train.examples(max(epoch, FIRST)) if isinstance(self._train, EpochSampler) else self._train

    def count(self, epoch: int) -> int:
        """Return the number of an epoch's examples."""
        return self._train.count(epoch) if isinstance(self._train, EpochSampler) else len(self._train)

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the batches of an epoch, as indices into its examples."""
        lengths = [(len(example.input_ids), len(example.target_ids)) for example in self.examples(epoch)]
        budget = self._settings.token_budget
        if budget is not None:
            return budgeted_batches(lengths, budget, self._seed, epoch)
        return bucketed_batches([sum(length) for length in lengths], self._settings.batch_size, self._seed, epoch)

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Optimizer steps of each epoch, the first epoch first; with `max_steps`, the last epoch is cut off there.

        A token budget needs the lengths of all examples, so epoch sampling encodes each draw once more for it.
        """
        maximum = self._settings.max_steps
        if maximum is None:
            return tuple(map(self._whole_steps, range(FIRST, FIRST + self._settings.epochs)))
        steps: list[int] = []
        while maximum > 0:
            steps.append(min(self._whole_steps(FIRST + len(steps)), maximum))
            maximum -= steps[-1]
        return tuple(steps)

    @property
    def batches_per_step(self) -> int:
        """Batches of an optimizer step, those of all processes together; the last step of an epoch may have fewer."""
        return self._settings.gradient_accumulation_steps * self._processes.size

    def remaining_batches(self, epoch: int, taken: int) -> tuple[list[list[int]], int]:
        """Return this process's batches after the first `taken` optimizer steps of an epoch, and the steps that remain.

        Each step takes the next `gradient_accumulation_steps` of them; in the last there may be fewer, or none.
        """
        batches = self.batches(epoch)
        if epoch >= FIRST:
            batches = batches[: self.steps[epoch - FIRST] * self.batches_per_step]
        remaining = batches[taken * self.batches_per_step :]
        return remaining[self._processes.rank :: self._processes.size], -(-len(remaining) // self.batches_per_step)

    def summary(self, epochs: int) -> dict[str, float] | None:
        """Return what epoch sampling draws from, how much an epoch, and the share drawn in `epochs` epochs together.

        None without epoch sampling.
        """
        if not isinstance(self._train, EpochSampler):
            return None
        coverage = self._train.coverage(epochs)
        return {"records": self._train.records, "drawn_an_epoch": len(self._train), "coverage": coverage}

    def log_draw(self, epoch: int, memory_mb: float) -> None:
        """Log what a sampled epoch draws from, how much has been drawn with it, and the memory in use."""
        if isinstance(self._train, EpochSampler):
            drawn, records, percent = len(self._train), self._train.records, 100 * self._train.coverage(epoch)
            message = "epoch %d draws %d of %d records; with it %.1f %% have been drawn, memory %.0f MB"
            log.info(message, epoch, drawn, records, percent, memory_mb)

    def _whole_steps(self, epoch: int) -> int:
        """Return the optimizer steps that all batches of an epoch make."""
        if self._settings.token_budget is None:
            batches = -(-self.count(epoch) // self._settings.batch_size)
        else:
            batches = len(self.batches(epoch))
        return -(-batches // self.batches_per_step)
