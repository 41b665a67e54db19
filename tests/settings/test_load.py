"""How layers become one run, and that every fault is named where it stands, all in one message."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from assertkd.errors import UserError
from assertkd.settings import RunSettings, load_config, load_run
from assertkd.settings.load import NAME_RULE, TAKEN

CONFIG = Path(__file__).parents[2] / "config.yaml"

BASE: dict[str, Any] = {
    "run": "r",
    "runs": {"r": {}, "other": {}},
    "variants": {"x": {"loss": {"function": "traditional"}}},
}


def config(text: str) -> dict[str, Any]:
    """Return the base with the sections of a YAML text in place of its own."""
    return deepcopy(BASE) | yaml.safe_load(text)


def faults(text: str) -> list[str]:
    """Return the lines of faults that the base with these sections has."""
    with pytest.raises(UserError) as caught:
        load_run(config(text))
    head, *lines = caught.value.problem.splitlines()
    if not lines:
        start = "The configuration has 1 fault: "
        assert head.startswith(start)
        return [head.removeprefix(start)]
    assert head == f"The configuration has {len(lines)} faults:"
    return [line.strip() for line in lines]


def test_built_in_defaults_stand_below_everything() -> None:
    run = load_run(BASE)
    assert run == RunSettings(
        name="r",
        seeds=(42,),
        data=run.data,
        tokenizer=run.tokenizer,
        teacher=run.teacher,
        logits=run.logits,
        variants=run.variants,
        evaluation=run.evaluation,
        report=run.report,
        cluster=run.cluster,
    )
    assert run.variants["x"].training.batch_size == 4
    assert run.teacher.model.name == "Salesforce/codet5p-770m"


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ((), 5),
        (("top",), 1),
        (("run",), 2),
        (("variant",), 3),
        (("top", "run"), 2),
        (("top", "variant"), 3),
        (("run", "variant"), 3),
        (("top", "run", "variant"), 3),
    ],
)
def test_a_higher_layer_wins(layers: tuple[str, ...], expected: int) -> None:
    whole = deepcopy(BASE)
    for layer, home, value in (
        ("top", whole, 1),
        ("run", whole["runs"]["r"], 2),
    ):
        if layer in layers:
            home["distillation"] = {"training": {"epochs": value}}
    if "variant" in layers:
        whole["variants"]["x"]["training"] = {"epochs": 3}
    assert load_run(whole).variants["x"].training.epochs == expected


def test_layers_merge_key_by_key() -> None:
    run = load_run(
        config("""
distillation: {training: {epochs: 1, lr: 0.1}, loss: {components: [ce, kl], schedule: {ce: {start: 1, end: 0}}}}
runs: {r: {distillation: {training: {batch_size: 7}}}}
variants: {x: {training: {lr: 0.2}, loss: {components: [ce], schedule: {kl: {start: 0, end: 1}}}}}
""")
    )
    student = run.variants["x"]
    assert (student.training.epochs, student.training.batch_size, student.training.lr) == (1, 7, 0.2)
    assert student.loss.components == ("ce",), "a list replaces the list below it"
    assert set(student.loss.schedule) == {"ce", "kl"}


def test_other_sections_take_the_run_over_the_top_level() -> None:
    run = load_run(config("data: {split_seed: 1, max_input_len: 99}\nruns: {r: {data: {split_seed: 2}}}"))
    assert (run.data.split_seed, run.data.max_input_len) == (2, 99)


def test_seeds_and_variants_of_the_run_win() -> None:
    text = "seeds: [1, 2]\nvariants: {x: {}, y: {}, z: {}}\nruns: {r: {seeds: [7], variants: [z, x]}, other: {}}"
    run = load_run(config(text))
    assert run.seeds == (7,)
    assert list(run.variants) == ["z", "x"]
    other = load_run(config(text) | {"run": "other"})
    assert other.seeds == (1, 2)
    assert list(other.variants) == ["x", "y", "z"]


def test_numbers_that_yaml_reads_as_strings_are_numbers() -> None:
    whole = config("distillation: {training: {lr: 3e-5}}")
    assert whole["distillation"]["training"]["lr"] == "3e-5"
    assert load_run(whole).variants["x"].training.lr == 3e-5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("distilation: {}", ["distilation: unknown key (did you mean `distillation`?)"]),
        ("distillation: {traning: {}}", ["distillation.traning: unknown key (did you mean `training`?)"]),
        (
            "distillation: {training: {epoch: 3}}",
            ["distillation.training.epoch: unknown key (did you mean `epochs`?)"],
        ),
        ("runs: {r: {sedes: [1]}}", ["runs.r.sedes: unknown key (did you mean `seeds`?)"]),
        (
            "runs: {r: {distillation: {loss: {temprature: 2}}}}",
            ["runs.r.distillation.loss.temprature: unknown key (did you mean `temperature`?)"],
        ),
        (
            "variants: {x: {loss: {focal: {gama: 2}}}}",
            ["variants.x.loss.focal.gama: unknown key (did you mean `gamma`?)"],
        ),
        (
            "variants: {x: {model: {tokenizer: {vocab_sise: 400}}}}",
            ["variants.x.model.tokenizer.vocab_sise: unknown key (did you mean `vocab_size`?)"],
        ),
        ("variants: {x: {model: {tokenizer: 3}}}", ["variants.x.model.tokenizer: must hold keys, not 3"]),
        (
            "report: {qqqq: 1}",
            ["report.qqqq: unknown key (known: title, note, machine, examples)"],
        ),
        (
            "teacher: {training: {epochs: many}}",
            ["teacher.training.epochs: must be a valid integer, unable to parse string as an integer, not 'many'"],
        ),
        ("teacher: {training: 3}", ["teacher.training: must hold keys, not 3"]),
        ("variants: {x: {training: }}", ["variants.x.training: must hold keys, not None"]),
        ("data: 3", ["data: must hold keys, not 3"]),
        ("variants: {x: 3}", ["variants.x: must hold keys, not 3"]),
        ("runs: {r: 3}", ["runs.r: must hold keys, not 3"]),
        (
            "variants: {x: {loss: {alpha: 1.5}}}",
            ["variants.x.loss.alpha: must be less than or equal to 1, not 1.5"],
        ),
        ("data: {max_input_len: 8}", ["data.max_input_len: must be greater than or equal to 16, not 8"]),
        (
            "teacher: {training: {max_grad_norm: .inf}}",
            ["teacher.training.max_grad_norm: must be a finite number, not inf"],
        ),
        (
            "variants: {x: {loss: {weights: [.nan], components: [ce]}}}",
            ["variants.x.loss.weights.0: must be a finite number, not nan"],
        ),
        ("run: rr", ["run: 'rr' is not an entry of `runs` (did you mean `r`?)"]),
        ("run: [r]", ["run: ['r'] is not an entry of `runs` (known: r, other)"]),
        ("run: ", ["run: None is not an entry of `runs` (known: r, other)"]),
        ("runs: {r: {variants: [x, xy]}}", ["runs.r.variants: 'xy' is not an entry of `variants` (did you mean `x`?)"]),
        ("runs: {r: {variants: [{x: 1}]}}", ["runs.r.variants: {'x': 1} is not an entry of `variants` (known: x)"]),
        (
            "runs: {r: {variants: x}}",
            ["runs.r.variants: must be a list of names of `variants`, or be left out for all of them"],
        ),
        ("seeds: [1, 2, 1]", ["seeds: needs at least one seed, each once"]),
        ("seeds: []", ["seeds: needs at least one seed, each once"]),
        ("runs: {r: {seeds: [3, 3]}}", ["runs.r.seeds: needs at least one seed, each once"]),
        ("seeds: 42", ["seeds: must be a valid list, not 42"]),
        ("seeds: [-1]", ["seeds: must be greater than or equal to 0, not -1"]),
        (
            "variants: {a/b: {}}",
            [f"variants.a/b: {NAME_RULE}"],
        ),
        (
            "runs: {r: {}, ../up: {}}",
            [f"runs.../up: {NAME_RULE}"],
        ),
        (
            "variants: {x: {}, teacher: {}}\nruns: {r: {variants: [x]}}",
            ["variants.teacher: `teacher` is the name of the teacher in the report; choose another name"],
        ),
        (
            "variants: {x: {}}\nevaluation: {external: {x: f, teacher: f, a/b: f}}",
            [
                "evaluation.external.x: `x` is a variant; choose another name",
                "evaluation.external.teacher: `teacher` is the name of the teacher in the report; choose another name",
                f"evaluation.external.a/b: {NAME_RULE}",
            ],
        ),
        ("evaluation: {external: {e: 1}}", ["evaluation.external.e: must be a valid string, not 1"]),
        (
            "data: {validation_share: 0.6, test_share: 0.6}",
            ["data: validation_share + test_share must stay below 1, so that training records are left"],
        ),
        (
            "variants: {x: {model: {scratch: {d_model: 64, heads: 5}}}}",
            ["variants.x.model.scratch: heads (5) must divide d_model (64)"],
        ),
        (
            "teacher: {training: {epoch_sampling: true}}",
            [
                "teacher.training: epoch_sampling draws max_train_samples records an epoch: set max_train_samples",
            ],
        ),
        (
            "variants: {x: {loss: {components: [ce, ce]}}}",
            ["variants.x.loss: components: each component may stand there once"],
        ),
        (
            "variants: {x: {loss: {components: [ce], weights: [0]}}}",
            ["variants.x.loss: weights: at least one must be above 0"],
        ),
        (
            "variants: {x: {loss: {components: []}}}",
            ["variants.x.loss.components: must have at least 1 item after validation, not 0"],
        ),
        ("variants: {x: {loss: {schedule: {ce: {start: 1}}}}}", ["variants.x.loss.schedule.ce.end: Field required"]),
        (
            "teacher: {training: {device: gpu}}",
            [r"teacher.training.device: must match pattern '^(auto|cpu|cuda|cuda:\d+|mps)$', not 'gpu'"],
        ),
    ],
)
def test_a_fault_is_named_with_its_key_and_the_nearest_known_one(text: str, expected: list[str]) -> None:
    runs = config(text).get("runs", {})
    found = faults(text)
    if "other" not in runs:
        found = [line for line in found if not line.startswith("run: ")] or found
    assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("distillation: {loss: {alpha: 2}}", ["distillation.loss.alpha"]),
        ("runs: {r: {distillation: {loss: {alpha: 2}}}}", ["runs.r.distillation.loss.alpha"]),
        ("variants: {x: {loss: {alpha: 2}}}", ["variants.x.loss.alpha"]),
        (
            "distillation: {loss: {alpha: 2}}\nvariants: {x: {loss: {alpha: 3}}}",
            ["distillation.loss.alpha", "variants.x.loss.alpha"],
        ),
        ("distillation: {loss: {alpha: 2}}\nvariants: {x: {loss: {alpha: 0.5}}}", ["distillation.loss.alpha"]),
        ("distillation: {loss: {components: [ce, ce]}}", ["distillation.loss"]),
        ("runs: {r: {distillation: {loss: {components: [ce, ce]}}}}", ["runs.r.distillation.loss"]),
        ("distillation: {loss: {schedule: {ce: {start: 1}}}}", ["distillation.loss.schedule.ce.end"]),
        ("distillation: {loss: {components: [ce, kl]}}\nvariants: {x: {loss: {weights: [1]}}}", ["variants.x.loss"]),
        ("distillation: {model: {scratch: {heads: 5}}}", ["distillation.model.scratch"]),
        ("data: {test_share: 0.5}\nruns: {r: {data: {validation_share: 0.5}}}", ["runs.r.data"]),
        ("runs: {r: {}, other: {teacher: {seed: -1}}}", ["runs.other.teacher.seed"]),
    ],
)
def test_a_fault_is_named_once_and_at_the_layer_that_holds_it(text: str, expected: list[str]) -> None:
    assert [line.partition(": ")[0] for line in faults(text)] == expected


def test_all_faults_are_said_at_once() -> None:
    found = faults("""
run: demmo
seeds: [1, 1]
datta: {}
evaluation: {num_beems: 2, batch_size: 0}
runs:
  demo: {variants: [x, q], teacher: {seed: -1}}
variants:
  x: {loss: {alpha: two, temperature: 0}}
  bad name: {}
""")
    assert {line.partition(": ")[0] for line in found} == {
        "run",
        "seeds",
        "datta",
        "evaluation.num_beems",
        "evaluation.batch_size",
        "runs.demo.variants",
        "runs.demo.teacher.seed",
        "variants.x.loss.alpha",
        "variants.x.loss.temperature",
        "variants.bad name",
    }


def test_names_may_be_numbers() -> None:
    run = load_run(config("run: 7\nruns: {7: {variants: [8], seeds: [3]}}\nvariants: {8: {training: {lr: 0.5}}}"))
    assert (run.name, run.seeds, run.variants["8"].training.lr) == ("7", (3,), 0.5)


def test_nothing_that_follows_from_a_missing_mapping_is_listed() -> None:
    text = "runs: {r: {variants: [x]}, other: {variants: [x, y]}}"
    assert faults(f"{text}\nvariants: 5") == ["variants: must hold keys, not 5"]
    assert faults("runs: [r]\nreport: 5") == ["runs: must hold keys, not ['r']", "report: must hold keys, not 5"]


def test_files_are_needed_by_the_chosen_run_alone() -> None:
    text = "runs: {r: {}, other: {data: {source: files}}}"
    assert load_run(config(text)).data.source == "embedded"
    assert faults(f"{text}\nrun: other") == [
        "runs.other.data.train_file: is needed, since data.source is `files` (or set data.train_file)"
    ]
    assert load_run(config(f"{text}\nrun: other\ndata: {{train_file: a.jsonl}}")).data.train_file == "a.jsonl"


def test_java_projects_are_needed_where_records_are_mined() -> None:
    text = "runs: {r: {}, other: {data: {source: java}}}"
    assert load_run(config(text)).data.source == "embedded"
    assert faults(f"{text}\nrun: other") == [
        "runs.other.data.java_sources: needs at least one folder, since data.source is `java`"
    ]
    run = load_run(config(f"{text}\nrun: other\ndata: {{java_sources: [a, b], test_file: t.jsonl}}"))
    assert run.data.java_sources == ("a", "b")
    assert run.data.files == {"test": "t.jsonl"}


def test_the_baseline_is_a_variant_of_the_chosen_run() -> None:
    text = "variants: {softer: {}, hard_labels: {}, bare: {}}\nruns: {r: {variants: [softer, bare]}, other: {}}"
    assert load_run(config(text)).baseline == "softer", "the first, since this run has no hard_labels"
    assert load_run(config(f"{text}\nrun: other")).baseline == "hard_labels"
    assert load_run(config(f"{text}\nevaluation: {{baseline: bare}}")).baseline == "bare"
    assert load_run(config(f"{text}\nrun: other\nevaluation: {{baseline: softer}}")).baseline == "softer"
    assert faults(f"{text}\nevaluation: {{baseline: hard_labels}}") == [
        "evaluation.baseline: 'hard_labels' is not a variant of the run 'r' (known: softer, bare)"
    ]
    assert faults(f"{text}\nevaluation: {{baseline: sofdter}}") == [
        "evaluation.baseline: 'sofdter' is not a variant of the run 'r' (did you mean `softer`?)"
    ]
    assert load_run(config("variants: {}")).baseline is None


@pytest.mark.parametrize("name", list(yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["runs"]))
def test_the_shipped_config_has_no_fault(name: str) -> None:
    whole = load_config(CONFIG) | {"run": name}
    if whole["runs"][name].get("data", {}).get("source") == "files":
        with pytest.raises(UserError, match=r"data\.train_file: is needed"):
            load_run(whole)
        whole["data"] = {"train_file": "train.jsonl"}
    run = load_run(whole)
    assert run.name == name
    assert list(run.variants) == (whole["runs"][name].get("variants") or list(whole["variants"]))


def test_a_key_may_stand_over_that_of_a_merged_anchor(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "a: &a {x: 1, y: 1}\nouter: {b: &b {<<: *a, x: 2}}\nc: {<<: *b, y: 3}\nd: {<<: [*a, *b]}\n", encoding="utf-8"
    )
    assert load_config(file)["c"] == {"x": 2, "y": 3}


@pytest.mark.parametrize("name", ["..", ".", "", "a b", "a=b", "-x", "_x", "a/b", "a\\b", "ä", "x" * 101])
@pytest.mark.parametrize("section", ["variants", "runs", "evaluation.external"])
def test_a_name_that_is_no_folder_is_refused(name: str, section: str) -> None:
    named: dict[str, Any] = {name: {}}
    if section == "evaluation.external":
        named = {"external": {name: "file"}}
    found = faults(yaml.safe_dump({section.partition(".")[0]: named | ({"r": {}} if section == "runs" else {})}))
    assert f"{section}.{name}: {NAME_RULE}" in found


@pytest.mark.parametrize("name", [*TAKEN, "Teacher", "LOGITS"])
def test_a_name_that_a_run_has_for_something_else_is_refused(name: str) -> None:
    for section, text in (
        ("variants", f"variants: {{{name}: {{}}}}"),
        ("evaluation.external", f"evaluation: {{external: {{{name}: f}}}}"),
    ):
        (found,) = faults(text)
        assert found == f"{section}.{name}: `{name.lower()}` {TAKEN[name.lower()]}; choose another name"


def test_names_that_differ_by_case_alone_are_refused() -> None:
    (variant,) = faults("variants: {softer: {}, Softer: {}}")
    assert variant.startswith("variants.Softer: differs from softer by the case of letters alone")
    (run,) = faults("runs: {r: {}, R: {}}")
    assert run.startswith("runs.R: differs from r by the case")
    (system,) = faults("evaluation: {external: {X: f}}")
    assert system == "evaluation.external.X: `x` is a variant; choose another name"
