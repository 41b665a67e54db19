"""One optimizer step after the other: the loss's weights, the gradient, the update, and the figures that are logged."""

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from assertkd.batching.examples import Batch
from assertkd.errors import UserError
from assertkd.losses.running_mean import RunningMeans
from assertkd.losses.schedule import progress
from assertkd.models.t5.model import TargetLogits
from assertkd.runtime.devices import peak_memory_mb
from assertkd.settings import TrainingSettings
from assertkd.training.gradient_norms import GradientNorms
from assertkd.training.objective import Objective, StepValues
from assertkd.training.optimizer import adamw, lr_factor, warmup_length

NORMS = ("encoder", "decoder", "total")
"""Parts of the model whose gradient norms are logged."""


class Stepper:
    """Takes optimizer steps.

    Attributes:
        model: the student.
        objective: its loss.
        names: the loss's components.
        steps: optimizer steps of the whole training.
        warmup: steps of warm-up.
        step: steps taken so far.
        examples: examples that this process and those beside it have taken.
    """

    def __init__(
        self,
        model: TargetLogits,
        objective: Objective,
        accelerator: Accelerator,
        settings: TrainingSettings,
        steps_by_epoch: Sequence[int],
    ) -> None:
        self.objective, self.settings, self.accelerator = objective, settings, accelerator
        self.device: torch.device = accelerator.device
        self.names = [one.name for one in objective.plan.components]
        self._before_epoch = [0, *itertools.accumulate(steps_by_epoch)]
        self.steps = self._before_epoch[-1]
        self.warmup = warmup_length(settings.warmup_steps, self.steps)
        optimizer = adamw(model, settings.lr, settings.weight_decay, relative=settings.relative_lr)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self._gradient = GradientNorms(model, [model.model.encoder, model.model.decoder])
        self.step = self.examples = 0
        self._lr = 0.0
        self._means: RunningMeans | None = None
        self._unchecked: list[tuple[int, list[str], Tensor]] = []
        self._epoch: list[Tensor] = []
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return time.monotonic() - self._started

    @property
    def learning_rate(self) -> float:
        """The learning rate of the latest step, before any scale."""
        return self._lr

    def start(self, groups: Iterator[Sequence[Batch]]) -> None:
        """Check on one batch that every component trains the student, and take its values as first means.

        Raises:
            UserError: a component gives no gradient, or one that is not finite.
        """
        values = self.objective.check(self.model, next(itertools.islice(groups, 1)))
        if self.objective.plan.running_mean:
            self._means = RunningMeans(values)

    def take(self, group: Sequence[Batch], epoch: int) -> dict[str, Any] | None:
        """Take one step on an effective batch; return its row of `step_metrics.csv` every `log_every` steps.

        Raises:
            UserError: a component's value is not finite; it names the component, the step and the examples.
        """
        logged = self.step % self.settings.log_every == 0 or self.step == self.steps - 1
        weights = self.objective.plan.weights(progress(self.step, self.steps))
        if self._means is not None:
            weights = self._means.divide(weights)
        values = self.objective.accumulate(
            self.model, group, weights, self.step, self.accelerator.backward, norms=logged
        )
        self.examples += values.examples
        self.objective.processes.sum_gradients(self._gradient.weights)
        norms = self._update()
        on_device = torch.stack([values.total, *(values.raw[name] for name in self.names), *norms])
        self._epoch.append(on_device)
        self._unchecked.append((self.step, [identity for batch in group for identity in batch.ids], on_device))
        row = None
        if logged or self._means is not None:
            host = self._checked()
            raw = dict(zip(self.names, host[1:], strict=False))
            if self._means is not None:
                self._means.update(raw)
            if logged:
                row = self._row(epoch, host, weights, values)
        self.step += 1
        return row

    def epoch_means(self) -> dict[str, float]:
        """Return the means over the steps since the last call: `total` and every component's value.

        Raises:
            UserError: a component's value was not finite.
        """
        if self._unchecked:
            self._checked()
        means = torch.stack(self._epoch).mean(0).tolist()
        self._epoch.clear()
        return {"total": means[0], **dict(zip(self.names, means[1:], strict=False))}

    def weights(self) -> dict[str, Tensor]:
        """Return the student's weights by name, shared ones once; changing them in place changes the student."""
        return {name: parameter.detach() for name, parameter in self._parameters().items()}

    def state(self) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
        """Return all that later steps depend on: JSON values, and `weights` and `training` tensors by name.

        Raises:
            UserError: a component's value was not finite.
        """
        if self._unchecked:
            self._checked()
        scaler = self.accelerator.scaler
        values = {
            "step": self.step,
            "learning_rate": self._lr,
            "elapsed": self.elapsed,
            "means": None if self._means is None else self._means.state(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }
        training = {
            f"{name}:{key}": value
            for name, parameter in self._parameters().items()
            for key, value in self.optimizer.state.get(parameter, {}).items()
        }
        if self._epoch:
            training["epoch"] = torch.stack(self._epoch)
        return values, {"weights": self.weights(), "training": training}

    @torch.no_grad()
    def restore(self, values: Mapping[str, Any], weights: Mapping[str, Tensor], training: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned, in place of `start`."""
        own = self._parameters()
        for name, parameter in own.items():
            parameter.copy_(weights[name])
        for key, value in training.items():
            name, _, kind = key.rpartition(":")
            if name:
                self.optimizer.state[own[name]][kind] = value.clone().to(own[name].device)
        self._epoch = list(training["epoch"].to(self.device)) if "epoch" in training else []
        self.step, self._lr = values["step"], values["learning_rate"]
        self._started = time.monotonic() - values["elapsed"]
        if values["means"] is not None:
            self._means = RunningMeans({})
            self._means.restore(values["means"])
        if values["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(values["scaler"])

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.accelerator.unwrap_model(self.model).named_parameters())

    def _update(self) -> list[Tensor]:
        """Update the weights from the gradient; return the norms of `NORMS`, before clipping."""
        # Gradients carry fp16's loss scale until here; norms and clipping need their true size.
        self.accelerator.unscale_gradients(self.optimizer)
        norms = self._gradient.measure()
        self._gradient.clip(norms[-1], self.settings.max_grad_norm)
        self._lr = self.settings.lr * lr_factor(self.step, self.warmup, self.steps)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = self._lr * parameters["scale"]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norms

    def _checked(self) -> list[float]:
        """Return the latest step's values, those of all steps since the last call having been found finite."""
        # One transfer from the device for everything that is logged or checked.
        gathered = torch.stack([values for _, _, values in self._unchecked]).tolist()
        for (step, ids, _), values in zip(self._unchecked, gathered, strict=True):
            losses = values[: 1 + len(self.names)]
            if not all(map(math.isfinite, losses)):
                everyones = [identity for each in self.objective.processes.gathered(ids) for identity in each]
                _refuse(step, dict(zip(self.names, losses[1:], strict=True)), everyones)
        self._unchecked.clear()
        latest: list[float] = gathered[-1]
        return latest

    def _row(
        self,
        epoch: int,
        host: Sequence[float],
        weights: dict[str, float],
        values: StepValues,
    ) -> dict[str, Any]:
        plan, text = self.objective.plan, self.objective.text
        raw = dict(zip(self.names, host[1:], strict=False))
        row: dict[str, Any] = {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "epoch": epoch,
            "step": self.step,
            "mini_batch_idx": self.step - self._before_epoch[epoch - 1],
            "total_loss_raw": host[0] if values.on_policy else sum(raw.values()),
            "total_loss_weighted": host[0],
            "learning_rate": self.learning_rate,
            "temperature": plan.temperature,
            "alpha": plan.alpha,
            "effective_batch_size": values.examples,
            "memory_usage_mb": round(peak_memory_mb(self.device), 1),
            "elapsed_time_seconds": round(self.elapsed, 3),
            "ast_invalid_rate": values.invalid_rate,
            "sample_similarity": 1.0 - raw["semantic"]
            if raw.get("semantic") and values.invalid_rate is not None
            else None,
            "cache_hit_rate": text.hit_rate() if text else None,
            "on_policy_loss": host[0] if values.on_policy else None,
        }
        if values.on_policy:
            weights = dict.fromkeys(weights, 0.0)
        for name, value in zip(NORMS, host[-len(NORMS) :], strict=True):
            row[f"grad_norm_{name}"] = value
        squares = {}
        if values.squares:
            squares = dict(zip(values.squares, torch.stack(list(values.squares.values())).tolist(), strict=True))
        for one in plan.components:
            name = one.name
            row |= {
                f"{name}_loss_raw": raw[name],
                f"{name}_loss_weighted": weights[name] * one.scale * raw[name],
                f"{name}_weight": weights[name],
                f"{name}_grad_norm": None if values.on_policy else math.sqrt(squares.get(name, 0.0)),
            }
        return row


def _refuse(step: int, raw: dict[str, float], ids: Sequence[str]) -> None:
    bad = [name for name, value in raw.items() if not math.isfinite(value)] or ["the total"]
    raise UserError(
        f"step {step}: loss component {', '.join(bad)} is not finite on examples {', '.join(ids[:16])}",
        "Lower training.lr, or look at these examples in the corpus.",
    )
