"""Too little memory, as Python, numpy and torch report it, and the keys that are named for each stage."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from assertkd.evaluation.params import PredictParams
from assertkd.logits.params import CompressLogitsParams
from assertkd.runtime.out_of_memory import is_out_of_memory, out_of_memory
from assertkd.settings import RunSettings, load_run
from assertkd.students.params import DistillStudentParams
from assertkd.teacher.params import TrainTeacherParams

CUDA = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 15.77 GiB of which 1.20 GiB is "
    "free. Process 7 has 14.57 GiB memory in use. Of the allocated memory 13.90 GiB is allocated by PyTorch, and "
    "0.10 GiB is reserved by PyTorch but unallocated."
)


def run_of(**sections: Any) -> RunSettings:
    training = {"batch_size": 8, "gradient_accumulation_steps": 4}
    held = {"teacher": {"training": training}, "distillation": {"training": training}, **sections}
    return load_run({"run": "r", "runs": {"r": held}, "variants": {"soft": {}}})


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: np.ones(10**16),
        lambda: torch.empty(10**16),
        lambda: bytearray(10**18),
    ],
    ids=["numpy", "torch", "python"],
)
def test_what_an_allocation_that_is_too_large_raises_is_recognised(allocate: Callable[[], object]) -> None:
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        allocate()
    assert is_out_of_memory(caught.value)
    assert str(out_of_memory(caught.value, {})).startswith("out of memory on the CPU")


@pytest.mark.parametrize(
    "message",
    [
        "MPS backend out of memory (MPS allocated: 9.04 GB, max allowed: 9.07 GB).",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_other_gpu_libraries_are_recognised(message: str) -> None:
    fault = RuntimeError(message)
    assert is_out_of_memory(fault)
    assert "out of memory on the GPU: " in out_of_memory(fault, {}).problem


def test_a_process_that_loads_batches_may_be_the_one_that_is_killed() -> None:
    fault = RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. ")
    assert is_out_of_memory(fault)
    assert "on the CPU" in out_of_memory(fault, {}).problem


@pytest.mark.parametrize("fault", [RuntimeError("shapes differ"), ValueError("out of memory"), OSError(28, "no space")])
def test_other_faults_are_not(fault: Exception) -> None:
    assert not is_out_of_memory(fault)


def test_the_message_is_one_line_with_what_was_asked_for_and_what_there_was() -> None:
    problem, remedy = str(out_of_memory(CUDA, {})).split("\n")
    assert problem.endswith(
        "on the GPU: CUDA out of memory. Tried to allocate 2.50 GiB. "
        "GPU 0 has a total capacity of 15.77 GiB of which 1.20 GiB is free"
    )
    assert "--cores" not in remedy


def test_the_teachers_keys_are_named_with_their_values() -> None:
    params = TrainTeacherParams.from_run(run_of(data={"max_input_len": 300}))
    remedy = out_of_memory(CUDA, params.model_dump(mode="json"), "teacher").remedy
    assert remedy.startswith("Lower teacher.training.batch_size (now 8) and raise gradient_accumulation_steps (now 4)")
    assert "data.max_input_len (now 300)" in remedy
    assert "teacher.training.precision: bf16 (now fp32)" in remedy
    assert "precision" not in out_of_memory(MemoryError(), params.model_dump(mode="json"), "teacher").remedy


def test_a_batch_of_one_is_not_lowered() -> None:
    run = run_of(teacher={"training": {"batch_size": 1}}, evaluation={"batch_size": 1})
    of_teacher = TrainTeacherParams.from_run(run).model_dump(mode="json")
    remedy = out_of_memory(CUDA, of_teacher, "teacher").remedy
    assert remedy.startswith("Take a smaller teacher.model, since teacher.training.batch_size is 1 already")
    of_prediction = PredictParams.from_run(run, is_student=True).model_dump(mode="json")
    assert "batch_size" not in out_of_memory(CUDA, of_prediction).remedy


def test_the_variants_keys_are_named_with_their_values() -> None:
    run = run_of(distillation={"training": {"token_budget": 4096}, "on_policy": {"fraction": 0.3}})
    params = DistillStudentParams.from_run(run, "soft").model_dump(mode="json")
    remedy = out_of_memory(MemoryError(), params, "variants.soft").remedy
    assert "variants.soft.training.token_budget (now 4096)" in remedy
    assert "batch_size" not in remedy
    assert "variants.soft.on_policy.fraction (now 0.3)" in remedy
    assert "data.max_input_len (now 512)" in remedy
    assert "fewer jobs side by side (--cores)" in remedy


def test_decoding_has_keys_of_its_own() -> None:
    run = run_of(evaluation={"num_beams": 4, "batch_size": 16})
    of_logits = CompressLogitsParams.from_run(run).model_dump(mode="json")
    of_prediction = PredictParams.from_run(run, is_student=True).model_dump(mode="json")
    assert "logits.batch_size (now 32)" in out_of_memory(CUDA, of_logits).remedy
    assert "logits.precision: bf16 (now fp32)" in out_of_memory(CUDA, of_logits).remedy
    assert "num_beams" not in out_of_memory(CUDA, of_logits).remedy
    remedy = out_of_memory(CUDA, of_prediction).remedy
    assert "evaluation.batch_size (now 16)" in remedy
    assert "evaluation.num_beams (now 4)" in remedy
    assert "precision" not in remedy
