"""Epoch sampling: every epoch trains on its own random sample of a file that is never loaded whole."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from assertkd.batching.examples import Example


class EpochSampler:
    """Draws the records of an epoch without replacement.

    A draw follows from the seed and the epoch's number alone, so a resumed run repeats it. One epoch's examples are in
    memory at a time.

    Args:
        examples_of: how many examples each record gives, (records,).
        encode: returns the examples of the records of these ascending numbers.
        size: records per epoch, or all if there are fewer.
        seed: the epoch's number is added to it.
    """

    def __init__(
        self,
        examples_of: npt.NDArray[np.int64],
        encode: Callable[[Sequence[int]], list[Example]],
        size: int,
        seed: int,
    ) -> None:
        self._examples_of, self._encode, self._seed = examples_of, encode, seed
        self.records = len(examples_of)
        self._size = min(size, self.records)
        self._latest: tuple[int, list[Example]] | None = None

    def __len__(self) -> int:
        """Return the number of records per epoch."""
        return self._size

    def drawn(self, epoch: int) -> npt.NDArray[np.int64]:
        """Return the numbers of an epoch's records, ascending."""
        generator = np.random.default_rng(self._seed + epoch)
        return np.sort(generator.choice(self.records, self._size, replace=False))

    def count(self, epoch: int) -> int:
        """Return the number of an epoch's examples, without reading them."""
        return int(self._examples_of[self.drawn(epoch)].sum())

    def examples(self, epoch: int) -> list[Example]:
        """Return an epoch's examples; those of the previous call are released if it was another epoch."""
        if self._latest is None or self._latest[0] != epoch:
            # Before the next examples are read, so that memory never has those of two epochs.
            self._latest = None
            self._latest = epoch, self._encode(self.drawn(epoch).tolist())
        return self._latest[1]

    def coverage(self, epoch: int) -> float:
        """Return the share of all records that were drawn in the epochs 1 to this one, in [0, 1]."""
        seen = np.zeros(self.records, np.bool_)
        for one in range(1, epoch + 1):
            seen[self.drawn(one)] = True
        return float(seen.mean())
