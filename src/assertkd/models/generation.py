"""Decoding: token ids and texts that a T5 model writes, greedily or by beam search."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedTokenizerFast, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

COMPACT_AT = 0.75
"""Ended rows leave the batch once at most this share goes on; sooner, copying the cache costs more than it saves."""


@torch.inference_mode()
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
    config = model.generation_config
    pad, ends = config.pad_token_id, end_tokens(model)
    batch = input_ids.shape[0]
    written = torch.full((batch, max_new_tokens), pad, dtype=torch.long, device=input_ids.device)
    rows = torch.arange(batch, device=input_ids.device)
    ended = torch.zeros(batch, dtype=torch.bool, device=input_ids.device)
    latest = torch.full((batch, 1), config.decoder_start_token_id, dtype=torch.long, device=input_ids.device)
    encoded = model.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    cache = EncoderDecoderCache(DynamicCache(config=model.config), DynamicCache(config=model.config))

    for step in range(max_new_tokens):
        logits = model(
            attention_mask=attention_mask,
            decoder_input_ids=latest,
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            past_key_values=cache,
            use_cache=True,
        ).logits
        latest = logits[:, -1].argmax(dim=-1, keepdim=True).masked_fill(ended[:, None], pad)
        written[rows, step] = latest[:, 0]
        ended |= torch.isin(latest[:, 0], ends)
        going = (~ended).nonzero()[:, 0]
        if len(going) == 0:
            return written[:, : step + 1]
        if len(going) <= COMPACT_AT * len(rows):
            rows, latest, ended = rows[going], latest[going], ended[going]
            encoded, attention_mask = encoded[going], attention_mask[going]
            cache.self_attention_cache.batch_select_indices(going)
            cache.cross_attention_cache.batch_select_indices(going)
    return written


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


def generate_texts(
    model: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    encoded_inputs: Sequence[Sequence[int]],
    *,
    batch_size: int,
    max_new_tokens: int,
    num_beams: int = 1,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Return what the model writes for every input, in the order of the inputs, special tokens left out, stripped.

    Inputs of like length share a batch, so that little of it is padding. The model is put into evaluation mode and
    afterwards back into the mode in which it came.

    Args:
        model: on `device`.
        tokenizer: turns the written ids into text.
        encoded_inputs: token ids of every input, EOS included, unpadded, of any length from 1.
        batch_size: inputs that are decoded together.
        max_new_tokens: longest output, EOS included.
        num_beams: 1 decodes greedily, more by beam search.
        device: where the batches go.
        progress: called after every batch with the number of inputs that are done.
    """
    pad = model.generation_config.pad_token_id
    # Longest first: if memory does not suffice, the first batch says so.
    order = sorted(range(len(encoded_inputs)), key=lambda index: -len(encoded_inputs[index]))
    texts = [""] * len(order)
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            input_ids, attention_mask = padded([encoded_inputs[index] for index in chosen], pad)
            input_ids, attention_mask = input_ids.to(device), attention_mask.to(device)
            if num_beams == 1:
                written = greedy(model, input_ids, attention_mask, max_new_tokens)
            else:
                written = beam(model, input_ids, attention_mask, max_new_tokens, num_beams)
            decoded = tokenizer.batch_decode(written.tolist(), skip_special_tokens=True)
            for index, text in zip(chosen, decoded, strict=True):
                texts[index] = text.strip()
            if progress is not None:
                progress(start + len(chosen))
    finally:
        model.train(was_training)
    return texts


def padded(sequences: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Return `sequences` padded on the right to the longest, and the mask of what is no padding; both (B, S)."""
    longest = max(len(sequence) for sequence in sequences)
    input_ids = torch.tensor([[*sequence, *[pad] * (longest - len(sequence))] for sequence in sequences])
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return input_ids, (torch.arange(longest) < lengths[:, None]).long()
