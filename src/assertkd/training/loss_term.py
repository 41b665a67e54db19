"""What an optimizer step adds up: loss terms, the context that they work in, and the values that they return."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from assertkd.batching.examples import Batch
from assertkd.models.distillable import DistillableModel
from assertkd.training.parallel.process_group import ProcessGroup


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """Counts over an effective batch, all micro-batches of a step, of all processes: examples and target tokens."""

    examples: int
    tokens: int
    critical_tokens: int

    @classmethod
    def count(cls, micro_batches: Sequence[Batch], processes: ProcessGroup) -> "BatchTotals":
        """Return the counts of this process's micro-batches, added up over the processes."""
        tokens, critical, examples = processes.sums(
            sum(batch.tokens for batch in micro_batches),
            sum(int(batch.critical.sum()) for batch in micro_batches),
            sum(len(batch.ids) for batch in micro_batches),
        )
        return cls(int(examples), int(tokens), int(critical))


@dataclass(frozen=True, slots=True)
class StepContext:
    """One optimizer step, as a loss term sees it.

    Attributes:
        micro_batches: this process's part of the effective batch, in main memory; the term moves them to the device.
        weights: name to weight at this step; 0 for what is not computed.
        step: number of the optimizer step, from 0. Random draws follow from it and the seed.
        backward: takes a loss and adds its gradient; None to compute values alone.
        with_norms: whether to return gradient norms.
        squared_norm: squared norm of the gradient at the model's outputs of the target tokens' loss in this step, over
            all processes; None where no term has returned it.
    """

    model: DistillableModel
    micro_batches: Sequence[Batch]
    weights: Mapping[str, float]
    step: int
    totals: BatchTotals
    processes: ProcessGroup = field(default_factory=ProcessGroup)
    backward: Callable[[Tensor], None] | None = None
    with_norms: bool = False
    squared_norm: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device


@dataclass(slots=True)
class TermValues:
    """What a term makes of a step, as this process's share; the objective adds the shares up.

    Attributes:
        total: the weighted sum, a scalar.
        raw: name to value before weight and scale.
        squared_norms: name to the squared gradient norm at the model's outputs, before weight and scale, if asked for.
        squared_norm: the same of the term's whole gradient, with weights and scales, if another term needs it.
        columns: further columns of `step_metrics.csv`; the same in all processes.
        tokens: target tokens of the step, over all processes, where the term learns from others than the batches'.
        equal_risks: names that have no gradient in this step because all samples have equal risk.
    """

    total: Tensor
    raw: dict[str, Tensor] = field(default_factory=dict)
    squared_norms: dict[str, Tensor] = field(default_factory=dict)
    squared_norm: Tensor | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    tokens: int | None = None
    equal_risks: frozenset[str] = frozenset()


class LossTerm:
    """A part of the objective. A new kind of loss is one subclass and one line in `train.build_terms`.

    Attributes:
        names: the names that it has values and weights for.
        fixed_weights: name to weight of those that are no components of the loss plan, whose weights it schedules.
        columns: the columns that it adds to `step_metrics.csv` beside those of its names.
        no_gradient_remedy: what a user can do where one of its parts gives the model no gradient.
    """

    names: tuple[str, ...]
    fixed_weights: Mapping[str, float] = MappingProxyType({})
    columns: tuple[str, ...] = ()
    no_gradient_remedy = "Leave the component out, or look at these examples."

    def accumulate(self, context: StepContext) -> TermValues:
        """Add the term's gradient for one step through `context.backward`, and return its values.

        Nothing is computed where all its weights are 0.
        """
        raise NotImplementedError

    def weights(self) -> dict[str, nn.Parameter]:
        """Return weights of its own, by name. They are trained with the model's, and saved in checkpoints alone."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes, as JSON values."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
