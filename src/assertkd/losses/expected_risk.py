"""The expected risk of what a model writes, and its gradient by policy gradient with a leave-one-out baseline.

A risk is any number that a text earns. It has no gradient itself; the probabilities of the texts have.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from assertkd.losses.divergence import CHUNK_ELEMENTS


def leave_one_out(risks: Tensor) -> Tensor:
    """Return how much more risk each sample has than the others of its example have on average, shape (B, K).

    Exactly 0 where all samples of an example have the same risk. Source: Kool et al. 2019, Buy 4 REINFORCE Samples,
    Get a Baseline for Free!

    Args:
        risks: (B, K) risks of K independent samples of each of B examples.

    Raises:
        ValueError: K is below 2.
    """
    samples = risks.shape[1]
    if samples < 2:
        raise ValueError(f"leave-one-out needs 2 samples of each example at least, got {samples}")
    # Differences first: a mean of equal numbers need not be that number when rounded.
    return (risks[:, :, None] - risks[:, None, :]).sum(dim=2) / (samples - 1)


def sequence_log_probs(logits: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
    """Return the log-probability of each sequence, the sum of its tokens', shape (M,), in [-inf, 0].

    Args:
        logits: (N, V) at the tokens of M sequences, one sequence after the other, without padding.
        labels: (N,) the tokens.
        lengths: (M,) tokens of each sequence, together N.
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    tokens = -functional.cross_entropy(wide, labels, reduction="none")
    return _sums(tokens, lengths)


def policy_loss(advantages: Tensor, log_probs: Tensor, mean_length: float | Tensor) -> Tensor:
    """Return a scalar whose gradient is that of the mean risk over examples, in expectation, divided by a length.

    1/M Σ advantage · log q(sample) / mean length. Its own value says nothing; the risk is to be logged instead.
    The loss of a part of the samples, times the part's share of them, adds up to the loss of all. Source: Williams
    1992, Simple statistical gradient-following algorithms for connectionist reinforcement learning.

    Args:
        advantages: (M,) from `leave_one_out`, a constant.
        log_probs: (M,) log-probabilities of the same samples, with gradient.
        mean_length: mean number of tokens of all samples, a constant: it brings the gradient to the size of a loss that
            is a mean over tokens.
    """
    return (advantages.detach() * log_probs).mean() / _constant(mean_length)


def logit_gradient_norms(
    advantages: Mapping[str, Tensor],
    logits: Tensor,
    labels: Tensor,
    lengths: Tensor,
    mean_length: float | Tensor,
) -> dict[str, Tensor]:
    """Return the L2 norm of each component's `policy_loss` gradient at the logits, scalars of at least 0.

    In closed form, without a backward pass: at a token the gradient is advantage / (M · mean length) · (onehot - q).

    Args:
        advantages: component name to its (M,) advantages.
        logits: (N, V) as `sequence_log_probs` takes them; no gradient reaches them.
        labels: (N,).
        lengths: (M,).
        mean_length: as `policy_loss` takes it.
    """
    with torch.no_grad():
        squared = _sums(_squared_distances(logits, labels), lengths)
        scale = len(lengths) * _constant(mean_length)
        return {name: (each.square() * squared).sum().sqrt() / scale for name, each in advantages.items()}


def _squared_distances(logits: Tensor, labels: Tensor) -> Tensor:
    """Return ‖q - onehot(label)‖² at each position, shape (N,)."""
    positions, vocabulary = logits.shape
    squared = logits.new_empty(positions, dtype=torch.promote_types(logits.dtype, torch.float32))
    chunk = max(1, CHUNK_ELEMENTS // vocabulary)
    for start in range(0, positions, chunk):
        rows = slice(start, min(start + chunk, positions))
        q = torch.softmax(logits[rows].to(squared.dtype), dim=-1)
        q[torch.arange(len(q), device=q.device), labels[rows]] -= 1
        squared[rows] = q.square().sum(dim=-1)
    return squared


def _sums(values: Tensor, lengths: Tensor) -> Tensor:
    """Return the sum of each of the consecutive stretches of `values`, shape (M,)."""
    # Not index_add, whose order of addition, and so whose rounding, changes from run to run on a GPU.
    return torch.segment_reduce(values, "sum", lengths=lengths)


def _constant(value: float | Tensor) -> float | Tensor:
    return value.detach() if isinstance(value, Tensor) else value
