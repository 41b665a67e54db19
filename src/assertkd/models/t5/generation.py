"""Decoding: token ids and texts that a T5 model writes, greedily, by beam search or by sampling."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import T5ForConditionalGeneration

from assertkd.models.decoding import evaluation_mode
from assertkd.models.t5.decoder_steps import DecoderSteps

COMPACT_AT = 0.75
"""Ended rows leave the batch once at most this share goes on; sooner, copying the cache costs more than it saves."""

Choice = Callable[[Tensor, Tensor, int], Tensor]
"""The next tokens (E, K), given their logits (E, K, V), the rows (E, K) of the whole batch that they belong to, and
the step, counted from 0."""


def greedy(model: T5ForConditionalGeneration, input_ids: Tensor, attention_mask: Tensor, max_new_tokens: int) -> Tensor:
    """Return the most probable next token, again and again, until every sequence has ended.

    The same tokens as `model.generate(do_sample=False, num_beams=1)`, faster: rows that have ended leave the batch.

    Args:
        model: in evaluation mode, on the device of the inputs.
        input_ids: shape (B, S).
        attention_mask: shape (B, S), 1 for tokens and 0 for padding.
        max_new_tokens: at least 1.

    Returns:
        Token ids, shape (B, T) with T <= max_new_tokens, without the start token, with EOS, padded after it.
    """

    def most_probable(logits: Tensor, rows: Tensor, step: int) -> Tensor:
        return logits.argmax(dim=-1)

    return _written(model, input_ids, attention_mask, 1, max_new_tokens, most_probable)[:, 0]


def sample(
    model: T5ForConditionalGeneration,
    input_ids: Tensor,
    attention_mask: Tensor,
    samples: int,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    generator: torch.Generator,
) -> Tensor:
    """Return sequences drawn from the model, token by token from the full distribution, until all have ended.

    The model is put into evaluation mode and afterwards back into the mode in which it came. What a row draws depends
    on the generator and the row alone, not on which other rows have ended; the generator advances by
    B * samples * max_new_tokens numbers whatever is drawn.

    Args:
        model: on the device of the inputs.
        input_ids: shape (B, S).
        attention_mask: shape (B, S), 1 for tokens and 0 for padding.
        samples: K, sequences for each input, independent of each other.
        max_new_tokens: at least 1; sequences that have not ended by then are cut off.
        temperature: above 0; the logits are divided by it.
        generator: source of randomness; one on the CPU draws the same numbers for every device.

    Returns:
        Token ids, shape (B, K, T) with T <= max_new_tokens, without the start token, with EOS, padded after it.
        The padding token may also be drawn as any other: `output_lengths` tells where a sequence really ends.
    """
    count = len(input_ids) * samples
    # In (0, 1], so that the first token whose cumulated probability reaches the draw is never one of probability 0.
    draws = 1 - torch.rand(count, max_new_tokens, generator=generator, device=generator.device)
    draws = draws.to(input_ids.device)

    def drawn(logits: Tensor, rows: Tensor, step: int) -> Tensor:
        # One number a row through the inverse distribution function: noise for the whole vocabulary, as Gumbel's trick
        # or torch.multinomial take, would cost as much as the model's step.
        cumulated = torch.softmax(logits.float() / temperature, dim=-1).cumsum(dim=-1)
        reached = draws[rows, step, None] * cumulated[..., -1:]
        return torch.searchsorted(cumulated, reached)[..., 0]

    with evaluation_mode(model):
        written = _written(model, input_ids, attention_mask, samples, max_new_tokens, drawn)
    # A copy, because what inference mode makes cannot take part in a later forward pass with gradient.
    return written.clone()


@torch.inference_mode()
def _written(
    model: T5ForConditionalGeneration,
    input_ids: Tensor,
    attention_mask: Tensor,
    sequences: int,
    max_new_tokens: int,
    choose: Choice,
) -> Tensor:
    """Return the (B, K, T) tokens that `choose` picks, K = `sequences` for each input."""
    config = model.generation_config
    pad, ends = config.pad_token_id, end_tokens(model)
    rows = torch.arange(len(input_ids) * sequences, device=input_ids.device).view(-1, sequences)
    written = torch.full((rows.numel(), max_new_tokens), pad, dtype=torch.long, device=input_ids.device)
    ended = torch.zeros_like(rows, dtype=torch.bool)
    latest = torch.full_like(rows, config.decoder_start_token_id)
    encoded = model.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    decoder = DecoderSteps(model, encoded, attention_mask, sequences, max_new_tokens)

    for step in range(max_new_tokens):
        latest = choose(decoder.logits(latest), rows, step).masked_fill(ended, pad)
        written[rows, step] = latest
        ended |= torch.isin(latest, ends)
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
            decoder.keep(examples, chosen)
    return written.view(-1, sequences, written.shape[-1])


@torch.inference_mode()
def beam(
    model: T5ForConditionalGeneration, input_ids: Tensor, attention_mask: Tensor, max_new_tokens: int, num_beams: int
) -> Tensor:
    """Return the best hypothesis of beam search for every sequence, shaped as `greedy` returns it."""
    written: Tensor = model.generate(
        input_ids=input_ids,
        attention_mask=attention_mask,
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        do_sample=False,
    )
    return written[:, 1:]


def end_tokens(model: T5ForConditionalGeneration) -> Tensor:
    """Return the ids that end a sequence, shape (number of them,), on the model's device."""
    ends = model.generation_config.eos_token_id
    return torch.tensor(ends if isinstance(ends, list) else [ends], device=model.device)
