"""The teacher, teacher-forced: the vectors that enter its head at the target tokens of examples."""

import time
from collections.abc import Sequence

import torch
from transformers import T5ForConditionalGeneration

from assertkd.batching.collation import collate
from assertkd.batching.examples import IGNORED, Example, SpecialIds
from assertkd.logits.codecs.head import Float32
from assertkd.logits.fidelity.measure import Sample, draw_sample
from assertkd.models.t5.model import TargetLogits


def lm_head(model: T5ForConditionalGeneration) -> Float32:
    """Return the head of a model, (V, d) float32: its logits are `head_inputs @ head.T`."""
    head: Float32 = model.lm_head.weight.detach().float().cpu().numpy()
    return head


def by_length(examples: Sequence[Example]) -> list[Example]:
    """Return the examples in the order of a pass: like lengths side by side, the same order for the same examples."""
    return sorted(examples, key=lambda example: (len(example.input_ids), example.id))


@torch.inference_mode()
def head_inputs(run: TargetLogits, examples: Sequence[Example], device: torch.device) -> list[Float32]:
    """Return for every example of a batch the vectors (T, d) that enter the head at its T target tokens."""
    config = run.model.config
    batch = collate(examples, SpecialIds(config.pad_token_id, config.decoder_start_token_id), None).to(device)
    hidden = run.head_input(batch.input_ids, batch.attention_mask, batch.decoder_input_ids, batch.labels != IGNORED)
    rows = torch.split(hidden.float().cpu(), [len(example.target_ids) for example in examples])
    return [part.numpy() for part in rows]


def sample_positions(
    model: T5ForConditionalGeneration,
    examples: Sequence[Example],
    positions: int,
    seed: int,
    batch_size: int,
    device: torch.device,
) -> Sample:
    """Return what enters the teacher's head at the targets of examples drawn at random.

    Args:
        model: the teacher, in evaluation mode, on `device`.
        examples: to draw from.
        positions: target tokens to draw (`fidelity.draw_sample`).
        seed: of the drawing.
        batch_size: examples in one forward pass.
        device: the teacher's.
    """
    chosen = draw_sample([len(example.target_ids) for example in examples], positions, seed)
    drawn = by_length([examples[number] for number in chosen])
    run = TargetLogits(model)
    started = time.perf_counter()
    hidden: list[Float32] = []
    for start in range(0, len(drawn), batch_size):
        # Each batch is copied to the CPU, which waits for the GPU: the clock needs no other.
        hidden += head_inputs(run, drawn[start : start + batch_size], device)
    return Sample(lm_head(model), hidden, time.perf_counter() - started)
