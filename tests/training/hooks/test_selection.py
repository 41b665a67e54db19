"""Which epoch is kept, and when training stops."""

import json

import pytest
from assertkd.training.hooks.selection import Selection
from pydantic import ValidationError

from assertkd.errors import UserError
from assertkd.settings import TrainingSettings


def judged(metric: str, values: list[float], patience: int | None = None) -> Selection:
    """Return the selection after these values, saved and resumed after each, as far as it goes."""
    selection = Selection(metric, patience)
    for epoch, value in enumerate(values, start=1):
        if selection.exhausted:
            break
        better = selection.judge(epoch, {metric: value})
        assert better == (selection.epoch == epoch)
        selection = Selection.resumed(json.loads(json.dumps(selection.state())))
    return selection


def test_a_loss_is_best_where_it_is_lowest_and_a_score_where_it_is_highest() -> None:
    values = [0.5, 0.2, 0.2, 0.9]
    assert judged("validation_loss", values).epoch == 2, "of equal ones the first"
    assert judged("validation_f1", values).epoch == 4


def test_training_stops_after_so_many_validations_without_a_better_one() -> None:
    falling = [0.5, 0.4, 0.45, 0.39, 0.4, 0.41, 0.1]
    assert judged("validation_loss", falling, patience=2).epoch == 4
    assert judged("validation_loss", falling, patience=3).epoch == 7
    assert not Selection(None, None).exhausted


def test_a_figure_that_is_not_measured_is_named() -> None:
    with pytest.raises(UserError, match=r"validation_f1 is not measured while training; validation_loss are"):
        Selection("validation_f1", None).judge(1, {"step": 2.0, "validation_loss": 0.5})


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
