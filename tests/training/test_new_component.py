"""The component that CONTRIBUTING adds as its example: registered, named in a config, and trained with."""

import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.examples import Example
from assertkd.errors import UserError
from assertkd.losses.loss_plan import plan_loss
from assertkd.losses.registry import COMPONENTS, TokenComponent, imported
from assertkd.models.distillable import DistillableModel
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import load_run
from assertkd.training.data import TrainingData
from assertkd.training.train import train
from assertkd.validate import validate

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
CONFIG: dict[str, Any] = {
    "run": "r",
    "runs": {"r": {"teacher": {"model": {"name": "scratch"}}}},
    "variants": {
        "new": {
            "loss": {"components": ["smoothed"]},
            "training": {"batch_size": 8, "epochs": 6, "lr": 0.01, "dropout_rate": 0.0, "device": "cpu"},
        }
    },
}


@pytest.fixture
def example_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"```python\n# src/assertkd/losses/smoothed.py\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (line,) = re.findall(r'^\+ +("smoothed": .*),$', PAGE.read_text(), flags=re.MULTILINE)
    module = ModuleType("assertkd.losses.smoothed")
    exec(compile(source, "smoothed.py", "exec"), vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names: dict[str, Any] = {"TokenComponent": TokenComponent, "imported": imported}
    for name, component in eval(f"{{{line}}}", names).items():
        monkeypatch.setitem(COMPONENTS, name, component)


def test_without_its_line_it_is_refused_before_any_job() -> None:
    with pytest.raises(UserError, match=r"variants\.new: loss component 'smoothed' is unknown"):
        validate(load_run(CONFIG))


def test_with_its_line_a_config_trains_with_it(
    example_of_the_page: None,
    tiny_t5: Callable[..., DistillableModel],
    tiny_tokenizer: PreTrainedTokenizerFast,
    tmp_path: Path,
) -> None:
    run = load_run(CONFIG)
    validate(run)
    variant = run.variants["new"]
    examples = [Example(f"e{n}", [10 + n % 8, 1], [10 + n % 8, 30 + n % 2, 1]) for n in range(8)]
    model = tiny_t5(3)
    batch = collate(examples, 0, None)
    is_target = batch.labels != -100
    with torch.no_grad():
        logits = model(batch.input_ids, batch.attention_mask, batch.labels).logits
    expected = functional.cross_entropy(logits, batch.labels[is_target], label_smoothing=0.1)
    seed_everything(3)
    data = TrainingData(examples, examples, None, ())
    train(model, tiny_tokenizer, data, plan_loss(variant.loss), variant.training, 3, tmp_path)
    torch.use_deterministic_algorithms(False)
    with (tmp_path / "step_metrics.csv").open(newline="") as handle:
        values = [float(row["smoothed_loss_raw"]) for row in csv.DictReader(handle)]
    assert values[0] == pytest.approx(float(expected), rel=1e-5)
    assert values[-1] < values[0]
