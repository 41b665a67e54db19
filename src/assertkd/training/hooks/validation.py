"""How a model in training does on the validation split; the test split is never seen here."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import load_batches
from assertkd.batching.examples import Batch, Example
from assertkd.metrics.registry import add_encoder_and_derived_metrics, pair_metrics
from assertkd.models.decoding import evaluation_mode
from assertkd.models.distillable import IGNORED, DistillableModel
from assertkd.models.encoders import TextEncoder
from assertkd.models.torch_text_generator import TorchTextGenerator
from assertkd.runtime.devices import float64_or_32
from assertkd.runtime.seeding import preserve_random_state
from assertkd.settings.training import TEXT_METRICS
from assertkd.training.hooks.hook import Figures, Hook
from assertkd.training.parallel.process_group import ProcessGroup

if TYPE_CHECKING:
    from assertkd.training.trainer import Trainer


def is_validated(trainer: "Trainer") -> bool:
    """Return whether the epoch under way ends with a validation."""
    epoch = trainer.position.epoch
    return epoch % trainer.settings.validation_frequency == 0 or epoch == len(trainer.epochs.steps)


class Validation(Hook):
    """Adds the validation figures to those of an epoch. It leaves the random generators as they are.

    Args:
        examples: validation examples.
        tokenizer: decodes predictions.
        max_new_tokens: longest prediction, in tokens.
        encoder: embeds predictions and references; None leaves out the metrics that need it.
    """

    name = "validation"

    def __init__(
        self,
        examples: Sequence[Example],
        tokenizer: PreTrainedTokenizerFast,
        max_new_tokens: int,
        encoder: TextEncoder | None,
    ) -> None:
        self._examples, self._tokenizer, self._max_new_tokens = examples, tokenizer, max_new_tokens
        self._encoder = encoder

    def measure(self, trainer: "Trainer") -> Figures:
        """Return loss and token accuracy, and the text metrics of the decoded sample; the first process's figures."""
        settings = trainer.settings
        if not is_validated(trainer):
            return {}
        model, processes, size = trainer.model, trainer.processes, settings.batch_size
        lengths = [len(example.input_ids) for example in self._examples]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        mine = batches[processes.rank :: processes.size]
        with preserve_random_state():
            loaded = load_batches(self._examples, mine, model.pad_token_id, None, num_workers=0, pin_memory=False)
            figures = teacher_forced(model, loaded, processes)
            if settings.enhanced_metrics and processes.is_first:
                sample = self._examples[: settings.validation_samples]
                predictions = decoded(model, self._tokenizer, sample, max(32, size), self._max_new_tokens)
                figures |= text_figures(predictions, [example.target for example in sample], self._encoder)
        first: Figures = processes.gathered(figures)[0]
        return first


@torch.no_grad()
def teacher_forced(model: DistillableModel, batches: Iterable[Batch], processes: ProcessGroup) -> Figures:
    """Return `validation_loss` (cross-entropy per target token, in nats) and `validation_token_accuracy` in [0, 1].

    Args:
        model: afterwards in the mode in which it came.
        batches: this process's part of the validation split.
        processes: those that share the split.
    """
    device = model.device
    loss = torch.zeros((), device=device, dtype=float64_or_32(device))
    right = torch.zeros((), device=device, dtype=torch.int64)
    tokens = 0
    with evaluation_mode(model):
        for batch in (batch.to(device) for batch in batches):
            logits = model(batch.input_ids, batch.attention_mask, batch.labels).logits
            labels = batch.labels[batch.labels != IGNORED]
            loss += functional.cross_entropy(logits.float(), labels, reduction="sum").to(loss.dtype)
            right += (logits.argmax(-1) == labels).sum()
            tokens += batch.tokens
    loss_sum, hits, count = processes.sums(float(loss), int(right), tokens)
    return {"validation_loss": loss_sum / count, "validation_token_accuracy": hits / count}


def decoded(
    model: DistillableModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    batch_size: int,
    max_new_tokens: int,
) -> list[str]:
    """Return the greedy prediction for every example."""
    inputs = [example.input_ids for example in examples]
    with evaluation_mode(model):
        generator = TorchTextGenerator(model, tokenizer, model.device)
        return generator.generate(inputs, batch_size=batch_size, max_new_tokens=max_new_tokens)


def text_figures(predictions: Sequence[str], references: Sequence[str], encoder: TextEncoder | None) -> Figures:
    """Return the mean of each of `TEXT_METRICS` over at least one prediction, as `validation_<metric>`.

    Args:
        encoder: None leaves out the metrics that embed their texts, and those derived from them.
    """
    values = [
        {name: float(metric(*pair)) for name, metric in pair_metrics().items()}
        for pair in zip(predictions, references, strict=True)
    ]
    add_encoder_and_derived_metrics(values, predictions, references, encoder)
    means = {name: sum(row[name] for row in values) / len(values) for name in values[0]}
    return {f"validation_{name}": means[name] for name in TEXT_METRICS if name in means}
