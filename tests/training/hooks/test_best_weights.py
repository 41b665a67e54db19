"""Which epoch is the best, and when training stops."""

import json
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from assertkd.errors import UserError
from assertkd.settings import TrainingSettings
from assertkd.training.hooks.best_weights import BestFigure, BestWeights
from assertkd.training.hooks.hook import HookState
from assertkd.training.trainer import Position, Trainer


def best_of(metric: str, values: list[float]) -> BestFigure:
    """Return the best of these values, saved and restored after each."""
    best = BestFigure(metric)
    for epoch, value in enumerate(values, start=1):
        is_better = best.update(epoch, {metric: value})
        assert is_better == (best.epoch == epoch)
        best = BestFigure(**json.loads(json.dumps(asdict(best))))
    return best


def last_epoch(values: list[float], patience: int) -> int:
    """Return the epoch in which early stopping ends a training with these losses; it is restored after each."""
    settings = TrainingSettings(epochs=len(values), best_metric="validation_loss", early_stopping=patience)
    epochs = SimpleNamespace(steps=(1,) * len(values))
    stub: Any = SimpleNamespace(settings=settings, position=Position(), epochs=epochs)
    hook = BestWeights("validation_loss", patience, None)
    for epoch, value in enumerate(values, start=1):
        stub.position.epoch = epoch
        hook.on_epoch_end(cast(Trainer, stub), {"validation_loss": value})
        if stub.position.is_stopped:
            return epoch
        state = json.loads(json.dumps(hook.state().values))
        hook = BestWeights("validation_loss", patience, None)
        hook.restore(HookState(state))
    return len(values)


def test_a_loss_is_best_where_it_is_lowest_and_a_score_where_it_is_highest() -> None:
    values = [0.5, 0.2, 0.2, 0.9]
    assert best_of("validation_loss", values).epoch == 2, "of equal ones the first"
    assert best_of("validation_f1", values).epoch == 4


def test_training_stops_after_so_many_validations_without_a_better_one() -> None:
    falling = [0.5, 0.4, 0.45, 0.39, 0.4, 0.41, 0.1]
    assert last_epoch(falling, patience=2) == 6
    assert last_epoch(falling, patience=3) == 7


def test_a_figure_that_is_not_measured_is_named() -> None:
    with pytest.raises(UserError, match=r"validation_f1 is not measured while training; validation_loss are"):
        BestFigure("validation_f1").update(1, {"step": 2.0, "validation_loss": 0.5})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"early_stopping": 2}, "set best_metric"),
        ({"best_metric": "validation_f1"}, "set enhanced_metrics: true"),
        ({"best_metric": "f1"}, "validation_f1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainingSettings.model_validate(settings)
