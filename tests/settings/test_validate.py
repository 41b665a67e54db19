"""Options that cannot work together, and options that are set in vain."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from assertkd.errors import UserError
from assertkd.set_in_vain import warnings
from assertkd.settings import load_config, load_run
from assertkd.settings.load import merged_over
from assertkd.validate import validate

PROJECT = Path(__file__).parents[2]


def config(text: str) -> dict[str, Any]:
    """Return the config of a run `r` on generated records, with the sections of a YAML text."""
    return merged_over({"run": "r", "runs": {"r": {"data": {"source": "embedded"}}}}, yaml.safe_load(text))


def warned(text: str) -> list[str]:
    """Return the keys that a valid config's warnings name."""
    whole = config(text)
    run = load_run(whole)
    validate(run)
    return [line.partition(":")[0] for line in warnings(whole, run)]


@pytest.mark.parametrize(
    ("loss", "component", "cause"),
    [
        ("components: [ce, kl, pans, ast]", "ast", "its start value is 0"),
        ("components: [ce, kl], weights: [1, 0]", "kl", "loss.weights gives it 0"),
        ("components: [ce, kl], schedule: {kl: {start: 0, end: 1}}", "kl", "its start value is 0"),
    ],
)
def test_a_component_that_never_trains_is_refused(loss: str, component: str, cause: str) -> None:
    with pytest.raises(UserError) as fault:
        validate(load_run(config(f"variants: {{x: {{loss: {{{loss}}}}}, good: {{loss: {{components: [ce]}}}}}}")))
    assert fault.value.problem == (
        f"variants.x.loss.components: {component} never has a weight above 0, since {cause}: give it a weight in "
        "loss.weights, set loss.dynamic_weighting: true with an end above 0, or remove it"
    )


@pytest.mark.parametrize(
    "loss",
    [
        "components: [ce, kl, pans, ast], dynamic_weighting: true",
        "components: [ce, kl, pans, ast], weights: [0.4, 0.35, 0.15, 0.1]",
        "components: [ce, ast], schedule: {ast: {start: 1, end: 0}}",
        "function: traditional, alpha: 1",
    ],
)
def test_a_component_that_trains_at_some_step_is_not_refused(loss: str) -> None:
    assert warned(f"variants: {{x: {{loss: {{{loss}}}}}}}") == []


@pytest.mark.parametrize(
    ("loss", "keys"),
    [
        ("components: [ce], alpha: 0.9", ["alpha"]),
        ("components: [ce], alpha: 0.5", []),
        ("function: traditional, alpha: 0.9", []),
        ("components: [ce, semantic], temperature: 2", ["temperature"]),
        ("components: [ce, jsd], temperature: 2", []),
        ("components: [ce], token_weighting: {critical_token_weight: 3}", ["token_weighting.critical_token_weight"]),
        (
            "components: [kl], token_weighting: {enabled: true, critical_token_weight: 3}",
            ["token_weighting.enabled", "token_weighting.critical_token_weight"],
        ),
        ("components: [ce], token_weighting: {enabled: true, critical_token_weight: 3}", []),
        ("components: [ce, pans], semantic: {scale: 2, encoder: a}", ["semantic.scale", "semantic.encoder"]),
        ("components: [ce, semantic], semantic: {scale: 2, encoder: a}", []),
        ("components: [ce], focal: {gamma: 3}", ["focal.gamma"]),
        ("components: [ce], contrastive: {temperature: 1}", ["contrastive.temperature"]),
        ("components: [ce], text: {share: 0.5, samples: 4}", ["text.share"]),
        ("components: [ce, 'risk:bleu'], text: {share: 0.5, start: 0}", []),
        ("components: ['risk:bleu'], text: {share: 0.5, start: 0}", ["text.start"]),
        ("components: [ce, jsd], preset: original", []),
        ("components: [ce], preset: original, temperature: 1", ["temperature"]),
        ("components: [ce], preset: original, temperature: 4", []),
        ("components: [ce], normalise: gradient", []),
        ("function: traditional, components: [ce, kl], weights: [1, 1]", ["components", "weights"]),
        ("function: traditional, dynamic_weighting: true", ["dynamic_weighting"]),
        ("function: enhanced, pans_weight: 0.2, ast_weight: 0.2", ["ast_weight"]),
        ("components: [ce], schedule: {kl: {start: 1, end: 1}}", ["schedule"]),
        ("components: [focal, jsd, semantic], weights: [0.3, 0.6, 0.05]", []),
    ],
)
def test_an_option_of_the_loss_that_is_set_in_vain_is_named(loss: str, keys: list[str]) -> None:
    assert warned(f"variants: {{x: {{loss: {{{loss}}}}}}}") == [f"variants.x.loss.{key}" for key in keys]


def test_a_warning_says_value_and_remedy() -> None:
    whole = config("variants: {x: {loss: {function: traditional, schedule: {ce: {start: 1, end: 0.5}}}}}")
    assert warnings(whole, load_run(whole)) == [
        'variants.x.loss.schedule: {"ce": {"start": 1, "end": 0.5}} has no effect: it needs `function: '
        "multi_component` with the component among `components`, and for an `end` `dynamic_weighting: true`. Set that, "
        "or remove the key."
    ]


def test_defaults_of_a_run_have_to_serve_one_of_its_variants() -> None:
    options = "alpha: 0.9, text: {share: 0.5}, contrastive: {encoder: another}"
    variants = "hard: {loss: {components: [ce]}}, meaning: {loss: {components: [semantic]}}"
    text = f"{{runs: {{r: {{distillation: {{loss: {{{options}}}}}}}}}, variants: {{{variants}}}}}"
    assert warned(text) == ["runs.r.distillation.loss.alpha"]
    assert warned(text.replace("[ce]", "[ce], alpha: 0.9")) == [
        "variants.hard.loss.alpha",
        "runs.r.distillation.loss.alpha",
    ]
    assert warned(text.replace("components: [ce]", "function: traditional")) == []


@pytest.mark.parametrize(
    ("training", "keys"),
    [
        ("max_steps: 10, warmup_steps: 10", ["variants.x.training"]),
        ("max_steps: 10, warmup_steps: 9", []),
        ("warmup_steps: 9", []),
    ],
)
def test_a_warm_up_as_long_as_the_training_is_named(training: str, keys: list[str]) -> None:
    assert warned(f"variants: {{x: {{training: {{{training}}}}}}}") == keys


def test_a_warm_up_is_named_once_in_the_section_that_makes_it_too_long() -> None:
    variants = "variants: {a: {loss: {components: [ce]}}, b: {loss: {components: [kl]}}}"
    text = f"{{runs: {{r: {{distillation: {{training: {{max_steps: 10, warmup_steps: 10}}}}}}}}, {variants}}}"
    assert warned(text) == ["runs.r.distillation.training"]
    assert warned(text.replace("b: {", "b: {training: {max_steps: 9}, ")) == [
        "runs.r.distillation.training",
        "variants.b.training",
    ]
    for key in ("teacher", "distillation"):
        top = f"{{{key}: {{training: {{max_steps: 10, warmup_steps: 10}}}}, {variants}}}"
        assert warned(top) == [f"{key}.training"]


@pytest.mark.parametrize(
    ("variant", "keys"),
    [
        ("loss: {components: [ce, pans]}, training: {max_steps: 1}", ["training.max_steps"]),
        ("loss: {components: [ce, pans]}, training: {max_steps: 2}", []),
        ("loss: {components: [ce, pans], text: {start: 0}}, training: {max_steps: 1}", []),
        ("loss: {components: [pans]}, training: {max_steps: 1}", []),
    ],
)
def test_text_components_that_no_step_reaches_are_named(variant: str, keys: list[str]) -> None:
    assert warned(f"variants: {{x: {{{variant}}}}}") == [f"variants.x.{key}" for key in keys]


@pytest.mark.parametrize(
    ("ce", "text", "keys"),
    [
        ("{start: 1, end: 0}", "{}", ["loss.text.max_share"]),
        ("{start: 0, end: 1}", "{}", ["loss.text.max_share"]),
        ("{start: 1, end: 0}", "{max_share: 1}", []),
        ("{start: 1, end: 0.1}", "{}", []),
    ],
)
def test_a_limit_on_text_components_with_nothing_beside_them_is_named(ce: str, text: str, keys: list[str]) -> None:
    schedule = f"{{ce: {ce}, pans: {{start: 0.5, end: 1}}}}"
    loss = f"{{components: [ce, pans], dynamic_weighting: true, schedule: {schedule}, text: {text}}}"
    assert warned(f"variants: {{x: {{loss: {loss}}}}}") == [f"variants.x.{key}" for key in keys]


def test_defaults_of_all_runs_are_passed_over() -> None:
    assert warned("{distillation: {loss: {alpha: 0.9}}, variants: {x: {loss: {components: [ce]}}}}") == []


@pytest.mark.parametrize("name", ["quick", "demo", "codet5p", "codet5p_small", "qwen_coder", "real"])
def test_the_shipped_runs_set_nothing_in_vain(name: str) -> None:
    whole = load_config(PROJECT / "config.yaml") | {"run": name}
    if whole["runs"][name]["data"]["source"] == "files":
        whole["data"] = {"train_file": "records.jsonl"}
    run = load_run(whole)
    validate(run)
    assert warnings(whole, run) == []


def test_a_teacher_that_ran_elsewhere_has_the_whole_vocabulary() -> None:
    served = config("logits: {server: {url: 'http://x/v1'}}\ntokenizer: {name: t, keep: corpus}\nvariants: {}")
    with pytest.raises(UserError, match=r"tokenizer\.keep: corpus: a teacher that ran elsewhere"):
        validate(load_run(served))
    validate(load_run(config("tokenizer: {name: t, keep: corpus}\nvariants: {}")))


def test_a_pretraining_beside_an_external_teacher_is_said_to_have_no_effect() -> None:
    data = {"distillation_jsonl": {"train": "a.jsonl", "validation": "b.jsonl", "test": "c.jsonl"}}
    settings = {"data": data, "tokenizer": {"name": "x"}, "teacher": {"pretrain": {"java_sources": ["checkouts"]}}}
    whole = {"run": "r", "runs": {"r": settings}, "variants": {"x": {"loss": {"components": ["ce"]}}}}
    assert warnings(whole, load_run(whole)) == [
        "teacher.pretrain.java_sources has no effect: the run's teacher is external. Remove it."
    ]
    del settings["data"], settings["tokenizer"]
    assert warnings(whole, load_run(whole)) == []


@pytest.mark.parametrize(
    ("data", "unread"),
    [
        ("{source: embedded, train_file: t.jsonl}", ["data.train_file is not read, since data.source is embedded"]),
        ("{source: embedded, java_sources: [a]}", ["data.java_sources is not read, since data.source is embedded"]),
        ("{source: files, train_file: t.jsonl, test_file: t.jsonl}", []),
        (
            "{source: files, train_file: t.jsonl, java_sources: [a]}",
            ["data.java_sources is not read, since data.source is files"],
        ),
        (
            "{source: java, java_sources: [a], train_file: t.jsonl, test_file: t.jsonl}",
            ["data.train_file is not read, since data.source is java"],
        ),
        (
            "{source: files, train_file: t.jsonl, distillation_jsonl: {train: d.jsonl}}",
            ["data.train_file is not read, since data.distillation_jsonl is set. Remove one of both keys."],
        ),
    ],
)
@pytest.mark.parametrize("place", ["{{data: {}}}", "{{runs: {{r: {{data: {}}}}}}}"])
def test_records_that_a_run_does_not_read_are_said(data: str, unread: list[str], place: str) -> None:
    whole = merged_over({"run": "r", "runs": {"r": {}}, "variants": {}}, yaml.safe_load(place.format(data)))
    assert [line.partition(". Set ")[0] for line in warnings(whole, load_run(whole))] == unread
