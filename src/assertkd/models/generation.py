"""Decoding in any model family, one token at a time; what has ended leaves the batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

COMPACT_AT = 0.75
"""Ended rows leave the batch once at most this share goes on; sooner, copying the cache costs more than it saves."""

Choice = Callable[[Tensor, Tensor, int], Tensor]
"""The next tokens (E, K), given their logits (E, K, V), the rows (E, K) of the whole batch that they belong to, and
the step, counted from 0."""


class DecodingSteps(ABC):
    """The next-token logits of several sequences for each of several inputs, step after step."""

    @abstractmethod
    def logits(self, latest: Tensor) -> Tensor:
        """Return the logits of the tokens that follow `latest`, shape (E, K, V), and move on by one step.

        Args:
            latest: (E, K) the tokens of the step before, at first the start token.
        """

    @abstractmethod
    def keep(self, examples: Tensor, sequences: Tensor) -> None:
        """Go on with some of the examples, and as many sequences of each.

        Args:
            examples: (E',) indices of the examples.
            sequences: (E', K') indices of each one's sequences.
        """


def write_tokens(
    steps: DecodingSteps, latest: Tensor, pad_token_id: int, end_token_ids: Tensor, max_new_tokens: int, choose: Choice
) -> Tensor:
    """Return the (B, K, T) tokens that `choose` picks until all have ended.

    T is at most `max_new_tokens`. The start token is left out, the end token is not, and padding follows it.

    Args:
        steps: of a model in evaluation mode.
        latest: (B, K) start tokens, K for each input.
        pad_token_id: what follows the end token.
        end_token_ids: the tokens that end an output, on the device of `latest`.
        max_new_tokens: at least 1.
        choose: picks the next tokens.
    """
    rows = torch.arange(latest.numel(), device=latest.device).view_as(latest)
    written = torch.full((rows.numel(), max_new_tokens), pad_token_id, dtype=torch.long, device=latest.device)
    ended = torch.zeros_like(rows, dtype=torch.bool)
    outputs = rows.shape

    for step in range(max_new_tokens):
        latest = choose(steps.logits(latest), rows, step).masked_fill(ended, pad_token_id)
        written[rows, step] = latest
        ended |= torch.isin(latest, end_token_ids)
        going = (~ended).sum(dim=1).tolist()
        most = max(going)
        if most == 0:
            written = written[:, : step + 1]
            break
        kept = [example for example, count in enumerate(going) if count]
        # Examples keep as many sequences as the one with most, so that they still share their inputs' keys and values.
        if len(kept) * most <= COMPACT_AT * rows.numel():
            examples = torch.tensor(kept, device=rows.device)
            chosen = ended[examples].int().argsort(dim=1, stable=True)[:, :most]
            part = (examples[:, None], chosen)
            rows, latest, ended = rows[part], latest[part], ended[part]
            steps.keep(examples, chosen)
    return written.view(*outputs, written.shape[-1])


def most_probable(logits: Tensor, rows: Tensor, step: int) -> Tensor:
    """Choose the token with the largest logit."""
    return logits.argmax(dim=-1)


def drawn_by(draws: Tensor, temperature: float) -> Choice:
    """Return a choice at random from the full distribution, one number a token through its inverse.

    Noise for the whole vocabulary, as Gumbel's trick or torch.multinomial take, would cost as much as a model's step.

    Args:
        draws: (B · K, T) in (0, 1], so that the first token whose cumulated probability reaches the draw is never one
            of probability 0.
        temperature: the logits are divided by it.
    """

    def drawn(logits: Tensor, rows: Tensor, step: int) -> Tensor:
        cumulated = torch.softmax(logits.float() / temperature, dim=-1).cumsum(dim=-1)
        reached = draws[rows, step, None] * cumulated[..., -1:]
        return torch.searchsorted(cumulated, reached)[..., 0]

    return drawn
