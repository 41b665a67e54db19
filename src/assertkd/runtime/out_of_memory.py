"""Running out of memory: how it is recognised, and which keys of a stage's settings take less."""

from collections.abc import Iterator, Mapping
from typing import Any

from assertkd.errors import UserError

SIGNS = (
    "out of memory",  # CUDA, Metal
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't allocate memory",  # torch's allocator on the CPU
    "is killed by signal: Killed",  # a process that loads batches, by Linux
)
"""Texts of the `RuntimeError`s by which torch reports it."""
ON_GPU = ("CUDA", "CUBLAS", "MPS")
SENTENCES = 3
"""Of torch's message, which fills a screen: how much was asked for, and how much there is."""


def is_out_of_memory(fault: BaseException) -> bool:
    """Return whether a process, or one that it started, had too little memory, on a GPU or beside the CPU."""
    if isinstance(fault, MemoryError):
        return True
    return isinstance(fault, RuntimeError) and any(sign in str(fault) for sign in SIGNS)


def out_of_memory(fault: BaseException, settings: Mapping[str, Any], owner: str = "") -> UserError:
    """Return what to say of it: where memory ran out, and the stage's keys that take less, with their values.

    Args:
        fault: for which `is_out_of_memory` holds.
        settings: what the rule gives the stage as `params`, with the names of the settings' sections.
        owner: the section whose `training` the stage does, as `teacher`.
    """
    text = str(fault)
    on_gpu = any(name in text for name in ON_GPU)
    message = ". ".join(text.partition("\n")[0].split(". ")[:SENTENCES]).strip()
    problem = f"out of memory on the {'GPU' if on_gpu else 'CPU'}" + (f": {message}" if message else "")
    advice = [*_advice(settings, owner, on_gpu)]
    if on_gpu:
        advice.append("or take a larger GPU")
    else:
        advice.append("run fewer jobs side by side (--cores), or give the job more memory (on SLURM mem_mb_per_cpu)")
    remedy = "; ".join(advice)
    return UserError(problem, f"{remedy[0].upper()}{remedy[1:]}. docs/troubleshooting.md has estimates.")


def _advice(settings: Mapping[str, Any], owner: str, on_gpu: bool) -> Iterator[str]:
    """Yield what to change, what costs nothing first."""
    if training := settings.get("training"):
        key = "batch_size" if training.get("token_budget") is None else "token_budget"
        steps = training["gradient_accumulation_steps"]
        if training[key] == 1:
            yield f"take a smaller {owner}.model, since {owner}.training.{key} is 1 already"
        else:
            yield (
                f"lower {owner}.training.{key} (now {training[key]}) and raise gradient_accumulation_steps (now "
                f"{steps}) by the same factor, which leaves the effective batch as it is"
            )
        if on_gpu and training["precision"] == "fp32":
            yield f"set {owner}.training.precision: bf16 (now fp32) where the GPU has it"
        if on_policy := settings.get("on_policy"):
            yield f"lower {owner}.on_policy.fraction (now {on_policy['fraction']})"
    for section in ("logits", "evaluation"):
        if decoding := settings.get(section):
            if decoding["batch_size"] > 1:
                yield f"lower {section}.batch_size (now {decoding['batch_size']})"
            if decoding["num_beams"] > 1:
                yield f"lower {section}.num_beams (now {decoding['num_beams']})"
            if on_gpu and decoding.get("precision") == "fp32":
                yield f"set {section}.precision: bf16 (now fp32) where the GPU has it"
    lengths = settings.get("supervision", settings)
    if "max_input_len" in lengths:
        yield f"then data.max_input_len (now {lengths['max_input_len']}), which cuts inputs"
