"""The export that `assertkd suggest` keeps: where it lies, when it is made again, and that processes agree on it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assertkd.errors import UserError
from assertkd.models.exported import describe_export, is_export
from assertkd.suggest.kept_export import kept_export
from preloaded import python


@pytest.fixture
def model(saved_t5: Callable[..., Path], tmp_path: Path) -> Path:
    return saved_t5(tmp_path / "student/final_model")


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


def test_a_model_is_converted_once_and_beside_it(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(model)
    export = kept_export(model)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [f"Converting {model} once for CTranslate2; the export is kept in {export}"]
    assert export.parent == model.parent
    assert describe_export(export).quantization == "float32"
    assert snapshot(model) == before, "the model's folder is a rule's output"
    made = snapshot(export)
    assert kept_export(model) == export
    assert capsys.readouterr().err == ""
    assert snapshot(export) == made
    assert sorted(path.name for path in model.parent.iterdir()) == sorted([export.name, model.name])


def test_an_export_of_other_weights_is_replaced(model: Path, saved_t5: Callable[..., Path]) -> None:
    old = kept_export(model)
    (model.parent / f"{old.name}.killed.partial").mkdir()
    other = saved_t5(model.parent / "other")
    of_other = kept_export(other)
    torch.manual_seed(1)
    saved_t5(model, spread=0.3)
    new = kept_export(model)
    assert new != old
    assert sorted(path.name for path in model.parent.iterdir()) == sorted(
        [new.name, model.name, of_other.name, other.name]
    )


def test_changed_limits_are_noticed(model: Path) -> None:
    old = kept_export(model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"n_positions": 77}))
    new = kept_export(model)
    assert (old.exists(), describe_export(new).max_input_len) == (False, 77)


def test_the_users_cache_serves_a_folder_that_cannot_be_written_to(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    export = kept_export(model)
    assert export.parent == tmp_path / "cache/assertkd/exports"
    assert str(export) in capsys.readouterr().err
    assert [path.name for path in model.parent.iterdir()] == [model.name]
    assert kept_export(model) == export
    assert capsys.readouterr().err == ""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert kept_export(model).parent == tmp_path / "home/.cache/assertkd/exports"


def test_conversions_at_the_same_time_do_not_harm_each_other(model: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from assertkd.suggest.kept_export import kept_export;"
        "print(kept_export(Path(sys.argv[1])))"
    )
    processes = [
        subprocess.Popen([python(), "-c", program, str(model)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    exports = {Path(process.communicate()[0].strip()) for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    [export] = exports
    assert is_export(export)
    assert sorted(path.name for path in model.parent.iterdir()) == sorted([export.name, model.name])


def test_a_folder_without_a_model_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no model \(config\.json is missing\)"):
        kept_export(tmp_path / "absent")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(UserError, match=r"is a 'bert' model .*, which is neither of the T5"):
        kept_export(model)
    (model / "config.json").write_text(json.dumps(config))
    (model / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="the weights could not be loaded"):
        kept_export(model)
    assert [path.name for path in model.parent.iterdir()] == [model.name]
