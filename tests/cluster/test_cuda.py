"""What is said of a job's GPUs, and the estimate that says whether a run fits on them."""

import json
from pathlib import Path

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from assertkd.cluster.cuda import TOLERANCE, check_cuda, measure_cuda, product_error
from assertkd.cluster.memory import TrainingMemory, training_memory
from assertkd.cluster.params import CheckCudaParams, CheckedTraining
from assertkd.errors import UserError
from assertkd.settings import ModelSettings, TrainingSettings
from assertkd.settings.model import ScratchSettings

A100 = {
    "driver": "550.54.14",
    "cuda": "12.8",
    "torch": "2.13.0",
    "devices": [
        {
            "name": "NVIDIA A100 80GB PCIe",
            "capability": "8.0",
            "memory_gb": 85.0,
            "free_gb": 84.4,
            "bf16": True,
            "products": {"float32": {"error": 1e-4, "tflops": 19.1}, "bfloat16": {"error": 1e-2, "tflops": 270.0}},
        }
    ],
}
PAPER = TrainingSettings(precision="bf16", batch_size=8, gradient_accumulation_steps=4)
TEACHER = ModelSettings(name="Salesforce/codet5p-770m")
GB = 10**9


def estimate(model: ModelSettings, training: TrainingSettings) -> TrainingMemory:
    memory = training_memory(model, training, max_input_len=512, max_output_len=128, vocab_size=400)
    assert memory is not None
    return memory


def checked(trainings: dict[str, CheckedTraining]) -> CheckCudaParams:
    return CheckCudaParams(trainings=trainings, max_input_len=512, max_output_len=128, vocab_size=400)


@pytest.mark.parametrize(("name", "millions"), [("770m", 737.6), ("220m", 222.9)])
def test_the_published_sizes_give_the_published_numbers_of_weights(name: str, millions: float) -> None:
    memory = estimate(ModelSettings(name=f"Salesforce/codet5p-{name}"), PAPER)
    assert memory.parameters / 1e6 == pytest.approx(millions, abs=0.1)


def test_a_model_from_scratch_is_counted_as_it_is_built() -> None:
    sizes = ScratchSettings(d_model=16, d_ff=32, heads=2, encoder_layers=1, decoder_layers=2)
    config = T5Config(vocab_size=400, d_model=16, d_kv=8, d_ff=32, num_heads=2, num_layers=1, num_decoder_layers=2)
    built = sum(each.numel() for each in T5ForConditionalGeneration(config).parameters())
    assert estimate(ModelSettings(name="scratch", scratch=sizes), TrainingSettings()).parameters == built


def test_weights_take_sixteen_bytes_and_two_more_in_half_precision() -> None:
    half, full = estimate(TEACHER, PAPER), estimate(TEACHER, PAPER.model_copy(update={"precision": "fp32"}))
    assert half.weights == 18 * half.parameters
    assert full.weights == 16 * full.parameters
    assert full.activations > half.activations


def test_activations_grow_with_the_batch_and_faster_than_the_input() -> None:
    one = estimate(TEACHER, PAPER.model_copy(update={"batch_size": 1})).activations
    assert estimate(TEACHER, PAPER.model_copy(update={"batch_size": 8})).activations == 8 * one
    longer = training_memory(TEACHER, PAPER, max_input_len=1024, max_output_len=128, vocab_size=400)
    assert longer is not None
    assert longer.activations > 1.9 * estimate(TEACHER, PAPER).activations


def test_a_model_that_was_never_fetched_has_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_memory(ModelSettings(name="me/unknown"), PAPER, 512, 128, 400) is None


def test_the_paper_sized_run_fits_an_a100_but_not_its_small_slice(tmp_path: Path) -> None:
    memory = estimate(TEACHER, PAPER)
    assert 15 * GB < memory.total < 80 * GB
    figures = tmp_path / "cuda.json"
    figures.write_text(json.dumps(A100), encoding="utf-8")
    params = checked({"teacher": CheckedTraining(model=TEACHER, training=PAPER)})
    said = check_cuda(params, figures)
    assert "driver 550.54.14, CUDA 12.8, torch 2.13.0" in said
    assert "GPU 0: NVIDIA A100 80GB PCIe, capability 8.0, 84.4 of 85.0 GB free, bf16" in said
    assert "bfloat16 270.0 TFLOP/s" in said
    assert said.splitlines()[-1].startswith("teacher (Salesforce/codet5p-770m, 738M parameters): about ")
    assert said.endswith(": fits")
    slice_of_it = A100 | {"devices": [A100["devices"][0] | {"free_gb": 10.0}]}  # type: ignore[dict-item,index]
    figures.write_text(json.dumps(slice_of_it), encoding="utf-8")
    assert "does not fit (lower batch_size" in check_cuda(params, figures)


def test_bf16_on_a_gpu_without_it_is_refused_and_an_unknown_model_said(tmp_path: Path) -> None:
    figures = tmp_path / "cuda.json"
    v100 = A100 | {"devices": [A100["devices"][0] | {"bf16": False}]}  # type: ignore[dict-item,index]
    figures.write_text(json.dumps(v100), encoding="utf-8")
    unknown = CheckedTraining(model=ModelSettings(name="me/new"), training=TrainingSettings(precision="fp32"))
    params = checked({"teacher": CheckedTraining(model=TEACHER, training=PAPER), "student a": unknown})
    teacher, student = check_cuda(params, figures).splitlines()[-2:]
    assert "does not run, since this GPU has no bf16" in teacher
    assert student == "student a (me/new): its sizes are not known here; run prefetch_models first"
    rounded = params.model_copy(update={"logits_precision": "bf16"})
    assert (
        check_cuda(rounded, figures)
        .splitlines()[-1]
        .startswith("the teacher's pass: does not run, since this GPU has no bf16")
    )


@pytest.mark.parametrize("arithmetic", list(TOLERANCE))
def test_a_right_product_is_within_the_tolerance_and_a_wrong_one_is_not(
    arithmetic: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert product_error(torch.device("cpu"), arithmetic) < TOLERANCE[arithmetic]
    right = torch.Tensor.__matmul__

    def wrong(left: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        product = right(left, other)
        if product.dtype is not torch.float64:
            product[0, 0] += 0.2 * product.abs().max()
        return product

    monkeypatch.setattr(torch.Tensor, "__matmul__", wrong)
    assert product_error(torch.device("cpu"), arithmetic) > TOLERANCE[arithmetic]


def test_a_process_without_a_gpu_says_what_torch_and_driver_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="sees no GPU") as fault:
        measure_cuda(tmp_path / "cuda.json")
    assert torch.__version__ in fault.value.problem
    assert "docs/cluster.md" in fault.value.remedy
    assert not (tmp_path / "cuda.json").exists()
