"""The closing files of a training: `training_report.json` and `multi_component_loss_summary.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assertkd.losses.loss_plan import LossPlan
from assertkd.models.t5.model import parameter_count
from assertkd.runtime.devices import peak_memory_mb
from assertkd.training.fingerprint import weights_checksum
from assertkd.training.provenance import Recipe, git_commit, hashes, machine, versions
from assertkd.training.run import Run


def training_report(run: Run, seed: int, figures: Mapping[str, float], recipe: Recipe | None) -> dict[str, Any]:
    """Return what was trained, how, on what and with what result: all that is needed to repeat it.

    Args:
        run: the finished training, its model as it is kept.
        seed: of the training.
        figures: of the epoch that is kept.
        recipe: how the model was asked for, if that is known.
    """
    stepper, settings, data = run.stepper, run.settings, run.data
    model = stepper.accelerator.unwrap_model(stepper.model).model
    epochs = run.epoch - 1
    examples = sum(map(run.plan.count, range(1, epochs + 1)))
    return {
        "parameters": parameter_count(model),
        "seed": seed,
        "settings": settings.model_dump(mode="json"),
        "loss": stepper.objective.plan.model_dump(mode="json"),
        "examples": {"train": run.plan.count(1), "validation": len(data.validation)},
        "epoch_sampling": run.plan.summary(),
        "epochs": epochs,
        "optimizer_steps": stepper.step,
        "warmup_steps": stepper.warmup,
        "seconds": round(stepper.elapsed, 3),
        "examples_per_second": round(examples / stepper.elapsed, 3),
        "peak_memory_mb": round(peak_memory_mb(stepper.device), 1),
        "final": dict(figures),
        "selection": run.selection.state(),
        "weights": weights_checksum(model),
        "machine": machine(stepper.device),
        "versions": versions(),
        "git_commit": git_commit(),
        "inputs": hashes(data.files),
        "attempts": run.attempts,
        "recipe": None if recipe is None else asdict(recipe),
    }


def loss_summary(plan: LossPlan, raw_by_epoch: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return each component's weight at both ends of training, its scale, and its mean value in every epoch."""
    first, last = plan.weights(0.0), plan.weights(1.0)
    return {
        one.name: {
            "weight": {"start": first[one.name], "end": last[one.name]},
            "scale": one.scale,
            "raw_mean_by_epoch": list(raw_by_epoch[one.name]),
        }
        for one in plan.components
    }
