"""The loop on a tiny copy task: it learns, says what it did, repeats itself, and stops on what is not finite."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from copy_task import VOCABULARY, OneHot, copy_task, curves, rows, unmeasured
from safetensors.torch import load_file
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.batching.epoch_sampling import EpochSampler
from assertkd.batching.examples import Example
from assertkd.batching.sampling import bucketed_batches
from assertkd.errors import UserError
from assertkd.losses.loss_plan import plan_loss
from assertkd.settings import LossSettings
from assertkd.training.data import TrainingData


def test_the_loss_falls(trained: Callable[..., Path], data: TrainingData) -> None:
    folder = trained("out", data, epochs=25, dropout=0.0)
    epochs = rows(folder / "training_metrics.csv")
    assert float(epochs[-1]["train_loss"]) < 0.1 * float(epochs[0]["train_loss"])
    assert float(epochs[-1]["validation_token_accuracy"]) > 0.9
    assert float(epochs[0]["validation_token_accuracy"]) < 0.9


def test_what_is_written(trained: Callable[..., Path], data: TrainingData, tmp_path: Path) -> None:
    source = tmp_path / "source.jsonl"
    source.write_text("x")
    plan = plan_loss(LossSettings(components=("focal", "jsd"), temperature=2.0, dynamic_weighting=True))
    data = replace(data, teacher=OneHot(VOCABULARY), files=(source,))
    folder = trained("out", data, plan, batch_size=4, gradient_accumulation_steps=4, epochs=3, validation_frequency=2)
    assert {path.name for path in folder.iterdir()} == {
        "final_model", "step_metrics.csv", "training_metrics.csv", "multi_component_loss_summary.json",
        "training_report.json", "tensorboard", "epoch_1_summary.json", "epoch_2_summary.json", "epoch_3_summary.json",
    }  # fmt: skip
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= {
        path.name for path in (folder / "final_model").iterdir()
    }

    steps = rows(folder / "step_metrics.csv")
    expected = (
        "timestamp,epoch,step,mini_batch_idx,focal_loss_raw,focal_loss_weighted,jsd_loss_raw,jsd_loss_weighted,"
        "total_loss_raw,total_loss_weighted,grad_norm_total,grad_norm_encoder,grad_norm_decoder,learning_rate,"
        "temperature,alpha,effective_batch_size,memory_usage_mb,elapsed_time_seconds,focal_weight,jsd_weight"
    )
    assert ",".join(steps[0]).startswith(expected)
    # 24 examples, 6 batches of 4: two steps an epoch, of 16 and of 8 examples.
    assert [(row["epoch"], row["step"], row["mini_batch_idx"]) for row in steps] == [
        ("1", "0", "0"), ("1", "1", "1"), ("2", "2", "0"), ("2", "3", "1"), ("3", "4", "0"), ("3", "5", "1"),
    ]  # fmt: skip
    assert [row["effective_batch_size"] for row in steps] == ["16", "8"] * 3
    assert [float(row["learning_rate"]) for row in steps] == pytest.approx(
        [0.01 * f for f in (1, 1, 0.8, 0.6, 0.4, 0.2)]
    )
    first, last = steps[0], steps[-1]
    assert float(first["focal_weight"]) == pytest.approx(0.2 / 0.95)
    assert float(last["jsd_weight"]) == pytest.approx(0.6 / 0.75)
    for row in steps:
        assert row["temperature"] == "2.0"
        assert row["alpha"] == ""
        focal, jsd = float(row["focal_loss_raw"]), float(row["jsd_loss_raw"])
        weights = float(row["focal_weight"]), float(row["jsd_weight"])
        assert float(row["focal_loss_weighted"]) == pytest.approx(weights[0] * focal)
        assert float(row["total_loss_raw"]) == pytest.approx(focal + jsd)
        assert float(row["total_loss_weighted"]) == pytest.approx(weights[0] * focal + weights[1] * jsd, rel=1e-5)
        # The embedding belongs to encoder and decoder both, so the parts' squares sum to more than the whole's.
        parts = float(row["grad_norm_encoder"]), float(row["grad_norm_decoder"])
        assert max(parts) <= float(row["grad_norm_total"]) * 1.0001 <= math.hypot(*parts) * 1.001

    epochs = rows(folder / "training_metrics.csv")
    assert [row["epoch"] for row in epochs] == ["1", "2", "3"]
    assert [bool(row["validation_loss"]) for row in epochs] == [False, True, True]
    summary = json.loads((folder / "epoch_3_summary.json").read_text())
    assert summary["step"] == 6
    assert summary["validation_loss"] == pytest.approx(float(epochs[2]["validation_loss"]))
    assert summary["train_loss"] == pytest.approx(
        sum(float(row["total_loss_weighted"]) for row in steps[4:]) / 2, rel=1e-5
    )

    drawn = curves(folder / "tensorboard")
    assert {tag.partition("/")[0] for tag in drawn} == {
        "Loss", "Loss_Raw", "Loss_Weighted", "Weights", "Gradients", "Hyperparams", "Validation", "Training",
    }  # fmt: skip
    assert [step for step, _ in drawn["Validation/loss"]] == [4, 6]
    for column, tag in (("total_loss_weighted", "Loss/total"), ("jsd_loss_weighted", "Loss/jsd")):
        assert [value for _, value in drawn[tag]] == pytest.approx([float(row[column]) for row in steps])

    losses = json.loads((folder / "multi_component_loss_summary.json").read_text())
    assert losses["focal"]["weight"] == {"start": pytest.approx(0.2 / 0.95), "end": pytest.approx(0.15 / 0.75)}
    assert losses["jsd"]["raw_mean_by_epoch"] == pytest.approx([float(row["jsd_loss_raw"]) for row in epochs])

    report = json.loads((folder / "training_report.json").read_text())
    assert report["examples"] == {"train": 24, "validation": 7}
    assert (report["seed"], report["optimizer_steps"], report["warmup_steps"]) == (3, 6, 1)
    assert report["inputs"] == {str(source): "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}
    assert report["loss"] == plan.model_dump(mode="json")
    assert report["final"]["validation_loss"] == summary["validation_loss"]


def test_the_saved_model_is_the_one_that_was_judged(
    trained: Callable[..., Path], data: TrainingData, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    folder = trained("out", data)
    model = T5ForConditionalGeneration.from_pretrained(folder / "final_model").eval()
    loss = tokens = 0.0
    for example in data.validation:
        with torch.no_grad():
            logits = model(
                input_ids=torch.tensor([example.input_ids]), labels=torch.tensor([example.target_ids])
            ).logits[0]
        loss += functional.cross_entropy(logits, torch.tensor(example.target_ids), reduction="sum").item()
        tokens += len(example.target_ids)
    report = json.loads((folder / "training_report.json").read_text())
    assert report["final"]["validation_loss"] == pytest.approx(loss / tokens, rel=1e-5)
    assert report["parameters"] == sum(p.numel() for p in model.parameters())


def test_the_same_seed_gives_the_same_weights_and_logs(trained: Callable[..., Path], data: TrainingData) -> None:
    one, again, other = trained("one", data), trained("again", data), trained("other", data, seed=4)
    weights = [load_file(folder / "final_model/model.safetensors") for folder in (one, again, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])
    for table in ("step_metrics.csv", "training_metrics.csv"):
        assert unmeasured(one / table) == unmeasured(again / table)


def test_accumulated_steps_are_those_of_whole_batches(trained: Callable[..., Path], data: TrainingData) -> None:
    # With one batch an epoch or four accumulated ones, each step sees all the examples.
    whole = trained("whole", data, batch_size=24, epochs=3, dropout=0.0)
    cut = trained("cut", data, batch_size=6, gradient_accumulation_steps=4, epochs=3, dropout=0.0)
    losses = [
        [float(row["total_loss_weighted"]) for row in rows(folder / "step_metrics.csv")] for folder in (whole, cut)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_accumulated_token_budgets_are_whole_batches_too(trained: Callable[..., Path], data: TrainingData) -> None:
    # Six tokens an example, padding included: three examples a batch, so all 24 take eight accumulated ones.
    whole = trained("whole", data, batch_size=24, epochs=3, dropout=0.0)
    cut = trained("cut", data, batch_size=1, token_budget=20, gradient_accumulation_steps=8, epochs=3, dropout=0.0)
    losses = [
        [float(row["total_loss_weighted"]) for row in rows(folder / "step_metrics.csv")] for folder in (whole, cut)
    ]
    assert len(losses[1]) == 3
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


class Drawn:
    """A pool of the copy task, where every fourth record gives two examples."""

    def __init__(self, count: int) -> None:
        self.examples_of = np.where(np.arange(count) % 4, 1, 2)

    def __len__(self) -> int:
        return len(self.examples_of)

    def examples(self, numbers: Iterable[int]) -> list[Example]:
        whole = copy_task(len(self))
        return [whole[n] for n in numbers for _ in range(self.examples_of[n])]


def test_epochs_of_different_size_keep_the_schedule(trained: Callable[..., Path], data: TrainingData) -> None:
    pool = Drawn(40)
    data = replace(data, train=EpochSampler(pool.examples_of, pool.examples, 9, 2))
    folder = trained("out", data, batch_size=2, epochs=3)
    steps = rows(folder / "step_metrics.csv")
    counts = [data.train.count(epoch) for epoch in (1, 2, 3)]  # type: ignore[attr-defined]
    assert len(set(counts)) > 1, "epochs differ in size"
    expected = [(epoch, n) for epoch, count in enumerate(counts, start=1) for n in range(-(-count // 2))]
    assert [(int(row["epoch"]), int(row["mini_batch_idx"])) for row in steps] == expected
    assert [int(row["step"]) for row in steps] == list(range(len(expected)))
    rates = [float(row["learning_rate"]) for row in steps]
    assert rates[-1] == pytest.approx(0.01 / (len(steps) - max(1, round(0.15 * len(steps))))), "down to the last step"
    report = json.loads((folder / "training_report.json").read_text())
    assert report["optimizer_steps"] == len(steps)
    assert report["epoch_sampling"]["records"] == 40
    assert report["epoch_sampling"]["drawn_an_epoch"] == 9


@pytest.mark.parametrize(("maximum", "epochs"), [(2, 1), (6, 1), (7, 2), (15, 3)])
def test_a_training_has_as_many_steps_as_it_is_allowed(
    trained: Callable[..., Path], data: TrainingData, maximum: int, epochs: int
) -> None:
    # Six steps an epoch; the epochs of the settings do not count.
    plan = plan_loss(LossSettings(components=("ce", "jsd"), dynamic_weighting=True))
    data = replace(data, teacher=OneHot(VOCABULARY))
    settings = {"batch_size": 4, "epochs": 9, "max_steps": maximum, "validation_frequency": 2, "warmup_steps": 1}
    folder = trained("out", data, plan, **settings)
    steps = rows(folder / "step_metrics.csv")
    assert [row["step"] for row in steps] == [str(n) for n in range(maximum)]
    assert [row["epoch"] for row in steps] == [str(1 + n // 6) for n in range(maximum)]
    rates = [float(row["learning_rate"]) for row in steps]
    assert rates == pytest.approx([0.01, *(0.01 * (maximum - n) / (maximum - 1) for n in range(1, maximum))])
    for step, weight in ((0, 0.35 / 1.1), (-1, 0.25 / 0.85)):
        assert float(steps[step]["ce_weight"]) == pytest.approx(weight)
    table = rows(folder / "training_metrics.csv")
    assert [bool(row["validation_loss"]) for row in table] == [
        epoch == epochs or epoch % 2 == 0 for epoch in range(1, epochs + 1)
    ]
    last = [float(row["total_loss_weighted"]) for row in steps if row["epoch"] == str(epochs)]
    assert float(table[-1]["train_loss"]) == pytest.approx(sum(last) / len(last), rel=1e-5)
    report = json.loads((folder / "training_report.json").read_text())
    assert (report["optimizer_steps"], report["epochs"]) == (maximum, epochs)
    # Every target has three tokens.
    assert (report["examples_seen"], report["target_tokens"]) == (4 * maximum, 12 * maximum)


def test_a_training_with_a_maximum_of_steps_stops_early_too(trained: Callable[..., Path], data: TrainingData) -> None:
    settings = {"lr": 0.7, "best_metric": "validation_token_accuracy", "early_stopping": 1}
    folder = trained("out", data, max_steps=100, **settings)
    report = json.loads((folder / "training_report.json").read_text())
    assert report["epochs"] == report["selection"]["epoch"] + 1
    assert report["optimizer_steps"] == 3 * report["epochs"] < 100


def test_a_step_without_a_target_token_is_skipped_and_counted(
    trained: Callable[..., Path], data: TrainingData, caplog: pytest.LogCaptureFixture
) -> None:
    # Batches are made by length, so those without a target share one in every epoch.
    data = replace(data, teacher=OneHot(VOCABULARY))
    plan = plan_loss(LossSettings(components=("ce", "jsd")))
    empty = [replace(each, target_ids=[]) for each in data.train[:8]]  # type: ignore[union-attr]
    data = replace(data, train=[*empty, *data.train[8:]])
    folder = trained("out", data, plan, batch_size=8, epochs=3, dropout=0.0)
    steps = rows(folder / "step_metrics.csv")
    assert len(steps) == 6
    assert sorted({int(row["epoch"]) for row in steps}) == [1, 2, 3]
    assert all(math.isfinite(float(row["total_loss_weighted"])) for row in steps)
    report = json.loads((folder / "training_report.json").read_text())
    assert (report["optimizer_steps"], report["skipped_steps"]) == (6, 3)
    assert (report["examples_seen"], report["target_tokens"]) == (48, 144)
    (said,) = [record for record in caplog.records if "no target token" in record.message]
    assert "e0" in said.message


def test_examples_without_a_target_token_are_refused_where_there_are_no_others(
    trained: Callable[..., Path], data: TrainingData
) -> None:
    with pytest.raises(UserError, match="No training example has a target token"):
        trained("out", replace(data, train=[replace(each, target_ids=[]) for each in data.train]))  # type: ignore[union-attr]


def test_an_example_without_a_target_token_beside_others_changes_nothing(
    trained: Callable[..., Path], data: TrainingData
) -> None:
    settings = {"batch_size": 1, "gradient_accumulation_steps": 25, "epochs": 2, "dropout": 0.0}
    (first, *_) = data.train  # type: ignore[misc]
    more = replace(data, train=[*data.train, replace(first, id="empty", target_ids=[])])
    losses = [
        [float(row["total_loss_weighted"]) for row in rows(trained(name, given, **settings) / "step_metrics.csv")]
        for name, given in (("with", more), ("without", data))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(("warmup", "is_said"), [(5, False), (6, True), (60, True)])
def test_a_warm_up_that_is_not_shorter_than_the_training_is_said(
    trained: Callable[..., Path], data: TrainingData, caplog: pytest.LogCaptureFixture, warmup: int, is_said: bool
) -> None:
    trained("out", data, warmup_steps=warmup)
    said = f"takes {warmup} steps and the training has 6: the learning rate never falls"
    assert (said in caplog.text) == is_said


def test_the_default_warm_up_of_one_step_is_passed_over(
    trained: Callable[..., Path], data: TrainingData, caplog: pytest.LogCaptureFixture
) -> None:
    trained("out", data, max_steps=1)
    assert "the learning rate never falls" not in caplog.text


def test_steps_are_logged_as_often_as_asked(trained: Callable[..., Path], data: TrainingData) -> None:
    folder = trained("out", data, batch_size=4, epochs=2, log_every=5)
    assert [row["step"] for row in rows(folder / "step_metrics.csv")] == ["0", "5", "10", "11"]


def test_samples_are_decoded_where_asked(trained: Callable[..., Path], data: TrainingData) -> None:
    folder = trained("out", replace(data, max_new_tokens=4), epochs=1, enhanced_metrics=True, validation_samples=3)
    (row,) = rows(folder / "training_metrics.csv")
    for name in ("f1", "critical_token_accuracy", "syntax_validity"):
        assert 0 <= float(row[f"validation_{name}"]) <= 1
    assert row["validation_exact_match"] == "0.0"
    assert row["validation_code_quality_score"] == row["validation_semantic_similarity"] == "", "there is no encoder"


@pytest.mark.parametrize("log_every", [1, 3])
def test_a_loss_that_is_not_finite_stops_the_run(
    trained: Callable[..., Path], data: TrainingData, log_every: int
) -> None:
    plan = plan_loss(LossSettings(components=("ce", "kl")))
    # The start checks the first batch of another order, so a later one is broken.
    bad = data.train[bucketed_batches([5] * 24, 8, 3, 0)[1][0]].id
    broken = replace(data, teacher=OneHot(VOCABULARY, broken=[bad]))
    with pytest.raises(UserError) as caught:
        trained("out", broken, plan, batch_size=8, log_every=log_every)
    problem = caught.value.problem
    assert "loss component kl is not finite on examples " in problem
    step = int(problem.split("step ")[1].split(":")[0])
    ids = problem.partition("on examples ")[2].split(", ")
    assert step < 3
    assert len(ids) == 8
    assert bad in ids


def test_no_model_is_left_where_the_run_stopped(
    trained: Callable[..., Path], data: TrainingData, tmp_path: Path
) -> None:
    with pytest.raises(UserError):
        trained(
            "out", replace(data, teacher=OneHot(VOCABULARY, broken=["e5"])), plan_loss(LossSettings(components=("kl",)))
        )
    assert not (tmp_path / "out/final_model").exists()
    assert not (tmp_path / "out/training_report.json").exists()


def test_what_cannot_be_trained_is_refused(trained: Callable[..., Path], data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fp16: a CPU cannot"):
        trained("out", data, precision="fp16")
    with pytest.raises(UserError, match="No training example"):
        trained("out", replace(data, train=[]))
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(trained: Callable[..., Path], data: TrainingData) -> None:
    with pytest.raises(UserError, match="this process sees 0 GPUs"):
        trained("out", data, device="cuda:1")
