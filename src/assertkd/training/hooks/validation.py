"""How a model in training does on the validation split; the test split is never seen here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import BatchDataset, load_batches
from assertkd.batching.examples import Batch, Example
from assertkd.metrics.registry import pair_metrics
from assertkd.models.decoding import evaluation_mode
from assertkd.models.distillable import IGNORED, DistillableModel
from assertkd.models.text_generator import TorchTextGenerator
from assertkd.runtime.seeding import preserve_random_state
from assertkd.settings import TrainingSettings
from assertkd.settings.training import TEXT_METRICS
from assertkd.training.hooks.hook import Figures, Hook
from assertkd.training.parallel.process_group import ProcessGroup

if TYPE_CHECKING:
    from assertkd.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class DecodedSample:
    """Validation examples whose decoded text is scored.

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


def is_validated(epoch: int, settings: TrainingSettings) -> bool:
    """Return whether an epoch ends with a validation."""
    return epoch % settings.validation_frequency == 0 or epoch == settings.epochs


class Validation(Hook):
    """Adds the validation figures to those of an epoch. It leaves the random generators as they are.

    Args:
        examples: validation examples.
        sample: those of them to decode; None for none.
        tokenizer: decodes predictions.
    """

    name = "validation"

    def __init__(
        self, examples: Sequence[Example], sample: DecodedSample | None, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        self._examples, self._sample, self._tokenizer = examples, sample, tokenizer

    def measure(self, trainer: "Trainer") -> Figures:
        """Return loss and token accuracy, and the text metrics of the decoded sample; the first process's figures."""
        if not is_validated(trainer.position.epoch, trainer.settings):
            return {}
        model, processes, size = trainer.model, trainer.processes, trainer.settings.batch_size
        lengths = [len(example.input_ids) for example in self._examples]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        dataset = BatchDataset(
            self._examples, batches[processes.rank :: processes.size], model.pad_token_id, teacher=None
        )
        with preserve_random_state():
            figures = teacher_forced(model, load_batches(dataset, 0, False), processes)
            if self._sample is not None and processes.is_first:
                figures |= decoded(model, self._tokenizer, self._sample)
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
    loss = torch.zeros((), device=device, dtype=torch.float64)
    right = torch.zeros((), device=device, dtype=torch.int64)
    tokens = 0
    with evaluation_mode(model):
        for batch in (batch.to(device) for batch in batches):
            logits = model(batch.input_ids, batch.attention_mask, batch.labels).logits
            labels = batch.labels[batch.labels != IGNORED]
            loss += functional.cross_entropy(logits.float(), labels, reduction="sum").double()
            right += (logits.argmax(-1) == labels).sum()
            tokens += batch.tokens
    loss_sum, hits, count = processes.sums(float(loss), int(right), tokens)
    return {"validation_loss": loss_sum / count, "validation_token_accuracy": hits / count}


def decoded(model: DistillableModel, tokenizer: PreTrainedTokenizerFast, sample: DecodedSample) -> Figures:
    """Return the mean of each of `TEXT_METRICS` over the sample's greedy predictions, as `validation_<metric>`."""
    with evaluation_mode(model):
        predictions = TorchTextGenerator(model, tokenizer, model.device).generate(
            [example.input_ids for example in sample.examples],
            batch_size=sample.batch_size,
            max_new_tokens=sample.max_new_tokens,
        )
    pairs, metrics = list(zip(predictions, sample.references, strict=True)), pair_metrics()
    return {
        f"validation_{name}": sum(metrics[name](prediction, reference) for prediction, reference in pairs) / len(pairs)
        for name in TEXT_METRICS
    }
