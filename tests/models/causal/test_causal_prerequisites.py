"""What of decoder-only models is refused before the first job."""

from pathlib import Path
from typing import Any

import pytest
from tiny_models import random_model
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from assertkd.dry_run import PlannedJob
from assertkd.errors import UserError
from assertkd.layout import RunLayout
from assertkd.models.causal.model import CausalModel
from assertkd.models.tokenizer import load_tokenizer, train_tokenizer
from assertkd.prerequisites import check_models
from assertkd.prompts.prompt_form import KEY
from assertkd.settings import load_run
from assertkd.validate import validate


def job(rule: str, **wildcards: str) -> PlannedJob:
    return PlannedJob(rule, {"run": "r", **wildcards}, (), "")


CORPUS, TEACHER = job("prepare_corpus"), job("train_teacher")
STUDENT = job("distill_student", variant="v", seed="1")


def run_of(teacher: dict[str, Any], student: dict[str, Any]) -> Any:
    data = {"source": "embedded"}
    runs = {"r": {"data": data, "teacher": {"model": teacher}}}
    return load_run({"run": "r", "runs": runs, "variants": {"v": {"model": student}}})


@pytest.mark.usefixtures("reachable_hub")
def test_an_encoder_and_another_tokenizer(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    encoder, student = tmp_path / "encoder", tmp_path / "student"
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(tiny_tokenizer), **sizes)).save_pretrained(encoder)
    tiny_tokenizer.save_pretrained(encoder)
    random_model("qwen2", vocab_size=len(tiny_tokenizer)).save(tiny_tokenizer, student)
    other = train_tokenizer(["zebra quagga okapi"] * 9, len(tiny_tokenizer))
    other.save_pretrained(student)
    with pytest.raises(UserError) as refused:
        run = run_of({"name": str(encoder)}, {"name": str(student)})
        check_models(run, [CORPUS, TEACHER, STUDENT], RunLayout(tmp_path))
    first, second = refused.value.problem.splitlines()
    assert first.startswith(f"teacher.model.name: {encoder}: is a 'bert' model (BertModel), which is neither")
    assert second.startswith(f"variants.v.model.name: {student}: was made for another tokenizer")


def test_a_model_without_an_end_token(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer = train_tokenizer(["assertEquals(a, b);"], len(tiny_tokenizer))
    tokenizer.eos_token = None
    random_model("llama", vocab_size=len(tiny_tokenizer)).save(tokenizer, tmp_path / "m")
    with pytest.raises(UserError, match=r"^teacher\.model\.name: .* no padding token or no end token"):
        check_models(run_of({"name": str(tmp_path / "m")}, {"name": "scratch"}), [CORPUS, TEACHER], RunLayout(tmp_path))


def test_a_padding_token_is_found(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer = train_tokenizer(["assertEquals(a, b);"], len(tiny_tokenizer))
    tokenizer.pad_token = None
    model = random_model("llama", vocab_size=len(tiny_tokenizer))
    model.save(tokenizer, tmp_path / "named")
    assert load_tokenizer(tmp_path / "named").pad_token == "<pad>", "the configuration names token 0"
    model.network.config.pad_token_id = model.network.generation_config.pad_token_id = None
    model.save(tokenizer, tmp_path / "unnamed")
    loaded = load_tokenizer(tmp_path / "unnamed")
    assert loaded.pad_token == loaded.eos_token == "</s>"
    assert loaded.init_kwargs[KEY]["end"]


def test_lengths_beyond_the_positions() -> None:
    model = random_model("gpt2")
    model.remember_length_limits(80, 16)
    with pytest.raises(UserError, match="97, and the model has 96 positions for both"):
        model.remember_length_limits(80, 17)


def test_layers_of_a_teacher_from_sizes() -> None:
    teacher = {"name": "scratch", "scratch": {"family": "causal", "encoder_layers": 1, "decoder_layers": 4}}
    validate(run_of(teacher, {"teacher_layers": [0, 3]}))
    with pytest.raises(UserError) as refused:
        validate(run_of(teacher, {"teacher_layers": [0], "teacher_decoder_layers": [4]}))
    assert refused.value.problem.splitlines() == [
        "variants.v.model.teacher_decoder_layers: the teacher has one stack, of teacher_layers",
        "variants.v.model.teacher_layers: the teacher's decoder has no layer 4: its layers are 0 to 3",
    ]
    with pytest.raises(UserError, match="must be even for the family causal"):
        run_of({"name": "scratch", "scratch": {"family": "causal", "d_model": 18, "heads": 6}}, {})


def test_estimates_count_the_input_in_the_decoder() -> None:
    from assertkd.cluster.memory import training_memory
    from assertkd.settings import ModelSettings, TrainingSettings

    known = ModelSettings(name="Qwen/Qwen2.5-Coder-0.5B")
    memory = training_memory(known, TrainingSettings(), 512, 64, 0)
    assert memory is not None and memory.parameters == 494_032_768, "as its model card has it, 0.49B"
    longer = training_memory(known, TrainingSettings(), 1024, 64, 0)
    assert longer is not None and longer.activations > 1.5 * memory.activations
    assert CausalModel.published["Qwen/Qwen2.5-Coder-7B"].vocab_size == 152064
