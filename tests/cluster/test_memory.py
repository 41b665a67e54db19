"""The table of batch sizes that fit, and what `assertkd memory` prints."""

import re
from pathlib import Path
from typing import Any

import pytest

from assertkd.cli import main
from assertkd.cluster.memory import GPU_SIZES, USABLE, format_estimates, largest_batch, training_memory
from assertkd.cluster.params import CheckCudaParams, CheckedTraining, run_without_records
from assertkd.errors import UserError
from assertkd.settings import ModelSettings, TrainingSettings
from assertkd.settings.config_file import load_config
from assertkd.settings.model import LoraSettings

PROJECT = Path(__file__).parents[2]
SIZES = 512, 128, 400
TEACHER = CheckedTraining(
    model=ModelSettings(name="Salesforce/codet5p-770m"), training=TrainingSettings(precision="bf16")
)
GB = 10**9


def total(batch_size: int) -> int:
    memory = training_memory(TEACHER.model, TEACHER.training.model_copy(update={"batch_size": batch_size}), *SIZES)
    assert memory is not None
    return memory.total


def test_the_largest_batch_that_fits_is_found() -> None:
    assert largest_batch(TEACHER, SIZES, 32, total(8)) == (8, total(8))
    assert largest_batch(TEACHER, SIZES, 32, total(8) - 1) == (4, total(4))
    assert largest_batch(TEACHER, SIZES, 32, 10**15) == (32, total(32))
    # Its divisors are 1, 2, 3, 6, 9 and 18, so that the effective batch stays what it is.
    assert largest_batch(TEACHER, SIZES, 18, total(8)) == (6, total(6))


def test_a_gpu_without_room_for_the_weights_has_no_batch() -> None:
    assert largest_batch(TEACHER, SIZES, 32, 8 * GB) is None


def test_a_model_of_unknown_size_has_none_either() -> None:
    unknown = CheckedTraining(model=ModelSettings(name="me/unknown"), training=TrainingSettings())
    assert largest_batch(unknown, SIZES, 32, 10**15) is None


def test_the_command_prints_a_table_for_each_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "--configfile", str(PROJECT / "config.yaml"), "--run", "codet5p"]) == 0
    printed = capsys.readouterr().out
    assert "teacher (Salesforce/codet5p-770m, 737.6M parameters), bf16, inputs of 512 and targets of 128" in printed
    tables = printed.split("| GPU |")[1:]
    assert len(tables) == 2, "the variants of codet5p train alike"
    for table in tables:
        rows = re.findall(r"^\| (\d+) GB \| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) GB \|$", table, re.MULTILINE)
        assert [int(row[0]) for row in rows] == list(GPU_SIZES)[-len(rows) :]
        for size, batch, steps, effective, estimate in rows:
            assert int(batch) * int(steps) == int(effective) == 32
            assert float(estimate) <= USABLE * int(size) + 0.1
    assert "| 8 GB | does not fit | | | |" in tables[0]


def test_a_run_whose_records_are_named_later_is_read() -> None:
    config = load_config(PROJECT / "config.yaml")
    for name in config["runs"]:
        assert run_without_records(config, name).name == name
    assert run_without_records(config, "real").data.train_file == "records.jsonl"
    named = config | {"runs": config["runs"] | {"real": {"data": {"source": "files", "train_file": "mine.jsonl"}}}}
    assert run_without_records(named, "real").data.train_file == "mine.jsonl"
    with pytest.raises(UserError, match="run: 'absent' is not an entry"):
        run_without_records(config, "absent")


@pytest.mark.parametrize(
    "variant",
    [
        {"loss": {"components": ["ce", "hidden"], "weights": [0.5, 0.5]}},
        {"on_policy": {"fraction": 0.3}},
    ],
)
def test_a_teacher_beside_its_student_counts(variant: dict[str, Any]) -> None:
    alone = {"training": {"batch_size": 4}}
    run = load_config(PROJECT / "config.yaml") | {"variants": {"alone": alone, "beside": alone | variant}}
    runs = {"codet5p": {**run["runs"]["codet5p"], "variants": ["alone", "beside"]}}
    params = CheckCudaParams.from_run(run_without_records(run | {"runs": runs, "run": "codet5p"}, "codet5p"))
    totals = {}
    for name, each in params.trainings.items():
        memory = training_memory(each.model, each.training, *SIZES, each.lora, each.frozen_teacher)
        assert memory is not None
        totals[name] = memory.total
    # 738 million weights in float32.
    assert totals["student beside"] - totals["student alone"] == 4 * 737_639_424
    lines = [line for line in format_estimates(params) if line.startswith("student beside")]
    assert "batch_size 4, beside the teacher (Salesforce/codet5p-770m): about" in lines[0]


def test_logits_of_the_input_s_tokens_count() -> None:
    small = ModelSettings(name="Qwen/Qwen2.5-Coder-0.5B")
    run = load_config(PROJECT / "config.yaml")
    own = {"model": small.model_dump(include={"name"}), "loss": {"components": ["ce"], "input_weight": 0.5}}
    runs = {"qwen_coder": {**run["runs"]["qwen_coder"], "variants": ["own"]}}
    params = CheckCudaParams.from_run(run_without_records(run | {"runs": runs, "variants": {"own": own}}, "qwen_coder"))
    (each,) = (each for name, each in params.trainings.items() if name == "student own")
    plain, learning = (
        training_memory(each.model, each.training, *SIZES, learns_inputs=learns)
        for learns in (False, each.learns_inputs)
    )
    assert plain is not None and learning is not None
    # Four arrays in float32 of 512 tokens an example and 151,936 logits a token.
    assert learning.total - plain.total == 4 * 4 * each.training.batch_size * 512 * 151_936


def test_adapters_leave_the_optimizer_little() -> None:
    qwen, training = ModelSettings(name="Qwen/Qwen2.5-Coder-7B"), TrainingSettings(precision="bf16")
    whole = training_memory(qwen, training, *SIZES)
    adapted = training_memory(qwen, training, *SIZES, LoraSettings(rank=16))
    assert whole is not None and adapted is not None
    assert whole.parameters == adapted.parameters == whole.trained == 7_615_616_512, "as its model card has it, 7.61B"
    # Of each layer: queries and output, keys and values of 4 heads, three matrices of the feed-forward.
    layer = 2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944)
    assert adapted.trained == 28 * 16 * layer
    assert adapted.total < 70 * GB < 120 * GB < whole.total
    assert adapted.checkpoints < GB
