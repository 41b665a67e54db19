"""How a model in training does on the validation split; the test split is never seen here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from assertkd.batching.examples import IGNORED, Batch, Example
from assertkd.metrics import EXAMPLE_METRICS
from assertkd.models.t5.generation import generate_texts
from assertkd.models.t5.model import TargetLogits
from assertkd.training.parallel.process_group import ProcessGroup

TEXT_METRICS = ("exact_match", "f1", "bleu", "ast_validity")
"""Metrics of decoded samples that are logged while training."""


@dataclass(frozen=True, slots=True)
class DecodedSample:
    """Validation examples that are decoded to judge their text.

    Attributes:
        examples: the examples.
        references: their gold assertions.
        max_new_tokens: longest prediction, in tokens.
        batch_size: examples decoded together.
    """

    examples: Sequence[Example]
    references: Sequence[str]
    max_new_tokens: int
    batch_size: int


@torch.no_grad()
def teacher_forced(
    model: nn.Module, batches: Iterable[Batch], device: torch.device, processes: ProcessGroup | None = None
) -> dict[str, float]:
    """Return `validation_loss` (cross-entropy per target token, in nats) and `validation_token_accuracy` in [0, 1].

    Args:
        model: gives the logits at target positions.
        batches: what it is judged on; with several processes, this one's part.
        device: of the model.
        processes: those that the batches are shared out among.
    """
    was_training = model.training
    model.eval()
    loss = torch.zeros((), device=device, dtype=torch.float64)
    right = torch.zeros((), device=device, dtype=torch.int64)
    tokens = 0
    for batch in (batch.to(device) for batch in batches):
        is_target = batch.labels != IGNORED
        logits = model(batch.input_ids, batch.attention_mask, batch.decoder_input_ids, is_target)
        labels = batch.labels[is_target]
        loss += functional.cross_entropy(logits.float(), labels, reduction="sum").double()
        right += (logits.argmax(-1) == labels).sum()
        tokens += batch.tokens
    model.train(was_training)
    loss_sum, hits, count = (processes or ProcessGroup()).sums(float(loss), int(right), tokens)
    return {"validation_loss": loss_sum / count, "validation_token_accuracy": hits / count}


def decoded(
    model: TargetLogits, tokenizer: PreTrainedTokenizerFast, sample: DecodedSample, device: torch.device
) -> dict[str, float]:
    """Return the mean of each of `TEXT_METRICS` over the sample's greedy predictions, as `validation_<metric>`."""
    predictions = generate_texts(
        model.model,
        tokenizer,
        [example.input_ids for example in sample.examples],
        batch_size=sample.batch_size,
        max_new_tokens=sample.max_new_tokens,
        num_beams=1,
        device=device,
    )
    pairs = list(zip(predictions, sample.references, strict=True))
    return {
        f"validation_{name}": sum(EXAMPLE_METRICS[name](prediction, reference) for prediction, reference in pairs)
        / len(pairs)
        for name in TEXT_METRICS
    }
