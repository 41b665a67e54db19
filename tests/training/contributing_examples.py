"""What the examples of CONTRIBUTING do; run by tests/test_contributing.py on a copy of the package that has them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from assertkd.logits.codecs.registry import build_codec
from assertkd.losses.loss_plan import plan_loss
from assertkd.metrics.registry import METRICS, EncoderMetric, pair_metrics
from assertkd.models.encoders import TextEncoder
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import LogitsSettings, load_run
from assertkd.training.data import TrainingData

TrainedModel = Callable[..., Path]


def steps_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "step_metrics.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_a_loss_component_takes_its_option_from_the_config(trained: TrainedModel, data: TrainingData) -> None:
    loss = {"components": ["smoothed"], "smoothed": {"share": 0.3}}
    run = load_run({"run": "r", "runs": {"r": {}}, "variants": {"new": {"loss": loss}}})
    plan = plan_loss(run.variants["new"].loss)
    ((component, function),) = plan.token_components
    assert component.options == {"share": 0.3}

    logits, labels = torch.randn(5, 7), torch.arange(5)
    batch = type("Batch", (), {"student_logits": logits, "labels": labels})
    expected = functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=0.3)
    assert function.compute(batch, **component.options) == pytest.approx(float(expected))

    values = [float(row["smoothed_loss_raw"]) for row in steps_of(trained("smoothed", data, plan))]
    assert values[-1] < values[0]


def test_a_metric_is_registered() -> None:
    # assertTrue ( y against assertTrue ( x: 2 of 5.
    assert pair_metrics()["same_start"]("assertTrue(y);", "assertTrue(x);") == pytest.approx(2 / 5)


def test_a_metric_embeds_texts(tiny_encoder: TextEncoder) -> None:
    metric = METRICS["embedding_closeness"]
    assert isinstance(metric, EncoderMetric)
    values = metric.compute(tiny_encoder, ["assertTrue(x);", "", "fail();"], ["assertTrue(x);", "fail();", "int x;"])
    assert values[0] == pytest.approx(1.0)
    assert values[1] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 <= values[2] < 1.0


def test_a_hook_gives_the_model_the_mean_of_its_weights(trained: TrainedModel, data: TrainingData) -> None:
    def weights(name: str, epochs: int, **settings: float) -> dict[str, torch.Tensor]:
        # Of one step, the average is the weights after it: nothing was averaged yet.
        folder = trained(name, data, epochs=epochs, batch_size=24, dropout=0.0, warmup_steps=1, **settings)
        return load_file(folder / "final_model" / "model.safetensors")

    last, first = weights("last", 1), weights("first", 1, average_decay=0.5)
    assert all(torch.equal(last[name], first[name]) for name in last)
    two, mean = weights("two", 2), weights("mean", 2, average_decay=0.5)
    kept = weights("kept", 2, average_decay=1e-12)
    assert all(torch.allclose(two[name], kept[name], atol=1e-7) for name in two)
    assert any(not torch.allclose(two[name], mean[name], atol=1e-5) for name in two)


def test_a_loss_term_is_logged_and_learnt(trained: TrainedModel, data: TrainingData) -> None:
    values = [float(row["masked_input_loss"]) for row in steps_of(trained("masked", data, epochs=6))]
    assert 0 < values[-1] < values[0]


def test_a_codec_gives_back_the_logits() -> None:
    assert LogitsSettings(codec="single").codec == "single"  # type: ignore[arg-type]
    generator = np.random.default_rng(0)
    hidden, head = (generator.standard_normal(shape, np.float32) for shape in ((3, 4), (11, 4)))
    codec = build_codec("single", 11, 4, {})
    arrays = codec.encoder(head)(hidden)
    codec.validate(arrays, 3)
    view = codec.collate([arrays], None)
    assert torch.equal(view.logits(slice(0, 3)), torch.from_numpy(hidden @ head.T))  # type: ignore[attr-defined]


def test_a_rule_has_its_function(tmp_path: Path) -> None:
    from assertkd.corpus.count_projects import count_projects

    projects = ["a", "b", "b", None]
    records = [Record(str(n), "void f() {}", MARKER, "fail();", name) for n, name in enumerate(projects)]
    write_records(tmp_path / "train.jsonl", records)
    count_projects(tmp_path / "train.jsonl", tmp_path / "projects.json")
    assert json.loads((tmp_path / "projects.json").read_text()) == {"b": 2, "a": 1, "": 1}
