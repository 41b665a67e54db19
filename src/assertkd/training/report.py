"""The closing files of a training: `training_report.json` and `multi_component_loss_summary.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assertkd.files import sha256_of_file
from assertkd.losses.loss_plan import LossPlan
from assertkd.models.registry import parameter_count
from assertkd.runtime.devices import peak_memory_mb
from assertkd.training.data import TrainingData
from assertkd.training.hooks.best_weights import BestWeights
from assertkd.training.provenance import Recipe, git_commit, machine, versions, weights_checksum
from assertkd.training.trainer import Trainer


def training_report(
    trainer: Trainer, data: TrainingData, plan: LossPlan, seed: int, recipe: Recipe | None
) -> dict[str, Any]:
    """Return what was trained, how, on what and with what result: all that is needed to repeat it.

    The training is finished, its model as it is kept.
    """
    position, epochs_of_batches, model = trainer.position, trainer.epochs, trainer.model
    epochs = position.epoch - 1
    best = next((asdict(hook.best) for hook in trainer.hooks if isinstance(hook, BestWeights)), None)
    return {
        "parameters": parameter_count(model),
        "seed": seed,
        "settings": trainer.settings.model_dump(mode="json"),
        "loss": plan.model_dump(mode="json"),
        "examples": {"train": epochs_of_batches.count(1), "validation": len(data.validation)},
        "epoch_sampling": epochs_of_batches.summary(epochs),
        "epochs": epochs,
        "optimizer_steps": position.step - position.skipped_steps,
        "skipped_steps": position.skipped_steps,
        "examples_seen": position.examples,
        "target_tokens": position.tokens,
        "warmup_steps": trainer.optimizer.warmup,
        "seconds": round(trainer.elapsed, 3),
        "examples_per_second": round(position.examples / trainer.elapsed, 3),
        "peak_memory_mb": round(peak_memory_mb(model.device), 1),
        "final": dict(position.figures),
        "selection": best,
        "weights": weights_checksum(model),
        "machine": machine(model.device),
        "versions": versions(),
        "git_commit": git_commit(),
        "inputs": {str(path): sha256_of_file(path) for path in data.files},
        "attempts": position.attempts,
        "recipe": None if recipe is None else asdict(recipe),
    }


def loss_summary(plan: LossPlan, raw_by_epoch: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return each component's weight where it begins and at the end, its scale, and its mean value in every epoch.

    A text component begins at `loss.text.start`, a share of the steps; before, its weight is 0.
    """
    begins = {component.name: plan.sampling.start for component, _ in plan.text_components if plan.sampling}
    last = plan.weights(1.0)
    return {
        component.name: {
            "weight": {
                "start": plan.weights(begins.get(component.name, 0.0))[component.name],
                "end": last[component.name],
            },
            "scale": component.scale,
            "raw_mean_by_epoch": list(raw_by_epoch[component.name]),
        }
        for component in plan.components
    }
