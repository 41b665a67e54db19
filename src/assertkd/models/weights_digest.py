"""A checksum's part that a model's weights make."""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor


class Digest(Protocol):
    """A hash under way, as `hashlib` makes one."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take more bytes."""
        ...


def update_with_weights(digest: Digest, weights: Iterable[tuple[str, Tensor]]) -> None:
    """Take names, types, shapes and values of weights into a digest, in the order in which they come."""
    for name, weight in weights:
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
