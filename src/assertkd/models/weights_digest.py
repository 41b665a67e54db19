"""A checksum's part that a model's weights make."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def update_with_weights(update: Callable[[bytes | memoryview], None], weights: Iterable[tuple[str, Tensor]]) -> None:
    """Pass names, types, shapes and values of weights to a hash's `update`, in the order in which they come."""
    for name, weight in weights:
        update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
