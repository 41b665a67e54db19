"""What counts as another training, and what does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from assertkd.errors import UserError
from assertkd.models.distillable import DistillableModel
from assertkd.training.provenance import WITHOUT_EFFECT, differences, fingerprint, refuse_mismatch, weights_checksum

SETTINGS: dict[str, Any] = {
    "training": {"lr": 0.1, "num_workers": 2, "checkpoint_every": 5},
    "loss": {"components": {"kl": 1.0}},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text("one\n")
    return path


def test_settings_are_flat_and_those_without_effect_are_left_out(
    tiny_t5: Callable[..., DistillableModel], file: Path
) -> None:
    identity = fingerprint(SETTINGS, [file], tiny_t5())
    assert identity["training.lr"] == 0.1
    assert identity["loss.components.kl"] == 1.0
    assert not WITHOUT_EFFECT & identity.keys()
    assert set(identity) == {"training.lr", "loss.components.kl", f"file {file}", "initial weights"}


def test_only_what_decides_the_weights_makes_another_training(
    tiny_t5: Callable[..., DistillableModel], file: Path
) -> None:
    identity = fingerprint(SETTINGS, [file], tiny_t5(3))
    same = SETTINGS | {"training": {"lr": 0.1, "num_workers": 7, "checkpoint_every": 1}}
    assert fingerprint(same, [file], tiny_t5(3)) == identity
    other = SETTINGS | {"training": {"lr": 0.2}}
    assert differences(identity, fingerprint(other, [file], tiny_t5(3))) == ["training.lr was 0.1, is 0.2"]
    assert differences(identity, fingerprint(SETTINGS, [file], tiny_t5(4))) == ["initial weights changed"]
    file.write_text("two\n")
    assert differences(identity, fingerprint(SETTINGS, [file], tiny_t5(3))) == [f"file {file} changed"]


def test_a_setting_that_came_or_went_is_a_difference() -> None:
    assert differences({"a": 1}, {"b": 2}) == ["b was None, is 2", "a was 1, is None"]


def test_the_checksum_follows_every_weight(tiny_t5: Callable[..., DistillableModel]) -> None:
    model = tiny_t5(3)
    former = weights_checksum(model)
    assert weights_checksum(tiny_t5(3)) == former
    last = list(model.weights().values())[-1]
    with torch.no_grad():
        last.view(-1)[-1] += 1.0
    assert weights_checksum(model) != former


def test_another_training_is_refused_with_what_differs_and_what_to_do(tmp_path: Path) -> None:
    refuse_mismatch(tmp_path, {"training.lr": 0.1}, {"training.lr": 0.1})
    with pytest.raises(UserError) as error:
        refuse_mismatch(tmp_path, {"training.lr": 0.1}, {"training.lr": 0.2})
    assert "training.lr was 0.1, is 0.2" in str(error.value)
    assert "on_checkpoint_mismatch" in str(error.value)
    assert str(tmp_path) in str(error.value)
