"""Every path that computes on a GPU, against the same on the CPU; ASSERTKD_GPU_TESTS=cpu runs them without one."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from copy_task import VOCABULARY, OneHot, rows, unmeasured
from safetensors.torch import load_file
from torch import Tensor, distributed
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.examples import Batch
from assertkd.export.convert import convert
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.reader import StoreReader
from assertkd.logits.store.writer import StoreWriter
from assertkd.losses.loss_plan import plan_loss
from assertkd.models.distillable import DistillableModel
from assertkd.models.length_limits import Limits
from assertkd.models.torch_text_generator import load_text_generator
from assertkd.settings import LossSettings
from assertkd.settings.distillation import OnPolicySettings
from assertkd.training import trainer as trainer_module
from assertkd.training.data import TrainingData
from assertkd.training.loss_term import BatchTotals, LossTerm, StepContext
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.on_policy_term import ON_POLICY, OnPolicyTerm
from assertkd.training.terms.token_term import TokenTerm
from interrupted import Killed
from synthetic_teacher import synthetic_teacher

DEVICE = torch.device(os.environ.get("ASSERTKD_GPU_TESTS", "cuda"))
NO_GPU = DEVICE.type == "cuda" and not torch.cuda.is_available()
pytestmark = [pytest.mark.cuda, pytest.mark.skipif(NO_GPU, reason="this machine has no GPU")]

Build = Callable[..., DistillableModel]
PROVENANCE = Provenance(tokenizer="0" * 64, teacher="0" * 64, corpus="0" * 64)
CODECS: dict[str, Codec] = {
    "hidden": HiddenCodec(VOCABULARY, 64),
    "hidden, float16": HiddenCodec(VOCABULARY, 64, "float16"),
    "topk": TopKCodec(VOCABULARY, 64, temperatures=[2.0]),
    "dense": DenseCodec(VOCABULARY, 64),
}


def context_of(model: DistillableModel, batch: Batch, weights: dict[str, float]) -> StepContext:
    totals = BatchTotals.count([batch], ProcessGroup())
    return StepContext(model, [batch], weights, 4, totals, ProcessGroup(), lambda loss: loss.backward())


def value_and_gradient(term: LossTerm, context: StepContext) -> tuple[float, Tensor]:
    context.model.zero_grad()
    total = float(term.accumulate(context).total)
    gradients = [weight.grad.flatten().cpu() for weight in context.model.parameters() if weight.grad is not None]
    return total, torch.cat(gradients)


def agree(of: Callable[[torch.device], tuple[float, Tensor]]) -> None:
    (there, slope), (here, expected) = of(DEVICE), of(torch.device("cpu"))
    assert there == pytest.approx(here, rel=1e-3)
    assert float((slope - expected).norm()) <= 1e-2 * float(expected.norm())


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("component", ["ce", "focal", "kl", "jsd"])
def test_losses_on_stored_logits(
    component: str, codec: str, data: TrainingData, tiny_t5: Build, tmp_path: Path
) -> None:
    head, hidden = synthetic_teacher("plain", VOCABULARY, 64, 256)
    writer = StoreWriter(tmp_path / "store", CODECS[codec], head, PROVENANCE)
    for number, example in enumerate(data.train):
        writer.add(example.id, example.target_ids, hidden[3 * number : 3 * number + len(example.target_ids)])
    writer.finish()
    plan = plan_loss(LossSettings(components=(component,), temperature=2.0))

    def of(device: torch.device) -> tuple[float, Tensor]:
        model = tiny_t5(1).to(device).train()
        batch = collate(data.train, model.pad_token_id, StoreReader(tmp_path / "store"))
        return value_and_gradient(TokenTerm(plan), context_of(model, batch, plan.weights(0.0)))

    agree(of)


def test_sampling_draws_the_same(data: TrainingData, tiny_t5: Build) -> None:
    def of(device: torch.device) -> np.ndarray:
        model = tiny_t5(1).to(device)
        batch = collate(data.train[:8], model.pad_token_id, None).to(device)
        generator = torch.Generator().manual_seed(5)
        drawn = model.sample(batch.input_ids, batch.attention_mask, 3, 6, generator=generator)
        return drawn.cpu().numpy()

    there, here = of(DEVICE), of(torch.device("cpu"))
    # Rounding moves a draw only where it falls on the border of two tokens.
    assert there.shape == here.shape
    assert (there == here).mean() > 0.95


def test_on_policy_steps(data: TrainingData, tiny_t5: Build) -> None:
    def of(device: torch.device) -> tuple[float, Tensor]:
        student, teacher = (tiny_t5(seed).to(device) for seed in (0, 1))
        term = OnPolicyTerm(teacher.eval(), OnPolicySettings(fraction=0.3), 6, 8, 5)
        batch = collate(data.train[:8], student.pad_token_id, None)
        return value_and_gradient(term, context_of(student, batch, {ON_POLICY: 1.0}))

    agree(of)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_training_in_each_precision(precision: str, trained: Callable[..., Path], data: TrainingData) -> None:
    if precision == "fp16" and DEVICE.type == "cpu":
        pytest.skip("a CPU cannot train in fp16")
    plan = plan_loss(LossSettings(components=("ce", "kl"), temperature=2.0))
    data = TrainingData(data.train, data.validation, OneHot(VOCABULARY), ())
    folder = trained("out", data, plan, epochs=15, dropout=0.0, device=str(DEVICE), precision=precision)
    epochs = rows(folder / "training_metrics.csv")
    assert float(epochs[-1]["train_loss"]) < 0.3 * float(epochs[0]["train_loss"])


def test_an_interrupted_training_continues_as_if_nothing_had_happened(
    trained: Callable[..., Path], data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"device": str(DEVICE), "checkpoint_every": 2}
    whole = trained("whole", data, **settings)
    accumulate, left = trainer_module.accumulate, [3]

    def interrupted(terms: Any, context: StepContext) -> Any:
        if context.step in left:
            left.clear()
            raise Killed
        return accumulate(terms, context)

    monkeypatch.setattr(trainer_module, "accumulate", interrupted)
    with pytest.raises(Killed):
        trained("cut", data, **settings)
    cut = trained("cut", data, **settings)
    assert unmeasured(cut / "step_metrics.csv") == unmeasured(whole / "step_metrics.csv")
    weights, expected = (load_file(folder / "final_model/model.safetensors") for folder in (cut, whole))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_gradients_are_summed_by_the_devices_backend(tiny_t5: Build, tmp_path: Path) -> None:
    backend = "nccl" if DEVICE.type == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        processes, model = ProcessGroup(), tiny_t5(0).to(DEVICE)
        # One process is passed over where it is alone; as one of two it sums over those that there are.
        processes.size = 2
        for weight in model.parameters():
            weight.grad = torch.ones_like(weight)
        processes.sum_gradients(list(model.parameters()))
        assert all(bool((weight.grad == 1).all()) for weight in model.parameters() if weight.grad is not None)
        assert float(processes.sum(torch.full((2,), 3.0, device=DEVICE))[0]) == 3.0
    finally:
        distributed.destroy_process_group()


def test_a_model_writes_and_is_exported_as_on_the_cpu(
    saved_t5: Callable[..., Path], data: TrainingData, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    folder = saved_t5(tmp_path / "model", Limits(64, 12), spread=0.5)
    inputs = [example.input_ids for example in data.train[:8]]
    there, here = (load_text_generator(folder, device) for device in (DEVICE, torch.device("cpu")))
    expected = here.generate_batch(inputs, 12, 1)
    assert there.generate_batch(inputs, 12, 1) == expected
    assert there.generate_batch(inputs, 12, 2) == here.generate_batch(inputs, 12, 2)
    convert(folder, tmp_path / "export", "float32")
    assert load_text_generator(tmp_path / "export", DEVICE).generate_batch(inputs, 12, 1) == expected
