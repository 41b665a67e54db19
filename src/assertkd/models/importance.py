"""Which attention heads and feed-forward units of a layer do most, by their weights alone.

Structured magnitude pruning, as Li et al. 2017, Pruning Filters for Efficient ConvNets, do it with filters: what has
the smallest weights goes. The measure is of all weights on a path through the layer, so that it stays the same where a
factor moves from one matrix to the next.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from assertkd.errors import UserError
from assertkd.settings.model import wider_than_teacher


def head_importance(value: Tensor, output: Tensor, groups: int, heads: int) -> Tensor:
    """Return the importance of each group of heads that share keys and values, (groups,): the squared Frobenius norm of
    what its heads make of a hidden state that they attend to, output times value matrix, summed over its heads.

    Args:
        value: (groups · d_head, d).
        output: (d, heads · d_head), the heads of a group one behind the other.
    """
    of_group = value.float().view(groups, 1, -1, value.shape[1])
    of_head = output.float().T.reshape(groups, heads // groups, -1, output.shape[0])
    # |O V|² is the sum over OᵀO · VVᵀ, entry by entry, which are of d_head alone.
    return ((of_head @ of_head.mT) * (of_group @ of_group.mT)).sum((1, 2, 3))


def unit_importance(into: Sequence[Tensor], out: Tensor) -> Tensor:
    """Return the importance of each unit, (d_ff,): the product of the L2 norms of its weights in every matrix.

    Args:
        into: each (d_ff, d): one matrix, or the gate's as well.
        out: (d, d_ff).
    """
    norms = [matrix.float().norm(dim=1) for matrix in into]
    return torch.stack([*norms, out.float().norm(dim=0)]).prod(0)


def most_important(importance: Tensor, count: int) -> Tensor:
    """Return the ascending places of the `count` largest values; of equal ones the first."""
    return importance.argsort(descending=True, stable=True)[:count].sort().values


def check_width(heads: int | None, has_heads: int, feed_forward: int | None, has_units: int) -> None:
    """Refuse more heads or units than the teacher has.

    Raises:
        UserError: naming both numbers.
    """
    if faults := wider_than_teacher(heads, has_heads, feed_forward, has_units):
        raise UserError("; ".join(faults), "Set at most as many as the teacher has, or null for all.")


def cut(weights: dict[str, Tensor], into: Sequence[str], kept: Tensor, out: str | None = None) -> None:
    """Keep these places of a hidden layer: rows of what leads into it (names of modules, which may have biases), and
    columns of the matrix out of it.
    """
    for name in (f"{module}.{part}" for module in into for part in ("weight", "bias")):
        if name in weights:
            weights[name] = weights[name][kept]
    if out is not None:
        weights[out] = weights[out][:, kept]


def cut_units(weights: dict[str, Tensor], into: Sequence[str], out: str, count: int) -> None:
    """Keep the most important units of a feed-forward layer.

    Args:
        weights: by name; changed.
        into: names of modules that may lead into it; those that there are do.
        out: name of the matrix out of it.
        count: units to keep.
    """
    present = [module for module in into if f"{module}.weight" in weights]
    importance = unit_importance([weights[f"{module}.weight"] for module in present], weights[out])
    cut(weights, present, most_important(importance, count), out)


def entries_of(blocks: Tensor, size: int) -> Tensor:
    """Return the places of all entries of these blocks of `size` entries each."""
    return (blocks[:, None] * size + torch.arange(size, device=blocks.device)).flatten()
