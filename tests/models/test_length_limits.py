"""What a model was trained for is kept with it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from assertkd.export.convert import convert
from assertkd.models.length_limits import UNKNOWN, Limits, limits_of
from assertkd.models.registry import load_model


@pytest.fixture
def folder(saved_t5: Callable[..., Path], tmp_path: Path) -> Path:
    return saved_t5(tmp_path / "final_model", Limits(96, 24))


def test_they_are_found_again_and_can_be_overridden(folder: Path) -> None:
    assert limits_of(folder) == (96, 24)
    assert limits_of(folder, 10) == (10, 24)
    assert limits_of(folder, None, 5) == (96, 5)


def test_they_outlive_loading_and_saving(folder: Path, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    load_model(folder).save(tiny_tokenizer, tmp_path / "again")
    assert limits_of(tmp_path / "again") == (96, 24)


def test_an_export_has_them_too(folder: Path, tmp_path: Path) -> None:
    convert(folder, tmp_path / "export", "int8")
    assert limits_of(tmp_path / "export") == (96, 24)


def test_a_model_that_says_nothing_gets_the_usual_ones(folder: Path, tmp_path: Path) -> None:
    for name, key in (("config.json", "n_positions"), ("generation_config.json", "max_new_tokens")):
        content = json.loads((folder / name).read_text())
        del content[key]
        (folder / name).write_text(json.dumps(content))
    assert limits_of(folder) == UNKNOWN == limits_of(tmp_path / "absent")
