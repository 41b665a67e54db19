"""A config file's faults are found with file and line, in seconds; what `--config` sets goes over it."""

import time
from pathlib import Path

import pytest
import yaml

from assertkd.errors import UserError
from assertkd.settings import load_config, load_run
from assertkd.settings.config_file import whole_config
from assertkd.settings.yaml_text import MAX_VALUES, parse_yaml

BOMB = "\n".join(["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 60))])
LIST_BOMB = "\n".join(["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 60))])
MERGE_BOMB = "\n".join(["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60))])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, ": no such file"),
        (b"a: [", r":1: not valid YAML \("),
        (b"a: 1\nb: !!bool maybe", r":2: 'maybe' is no bool"),
        (b"a: !!int ''", r":1: '' is no int"),
        (b"a: !!timestamp foo", r":1: 'foo' is no timestamp"),
        (b"- 1", ": holds no keys"),
        (b"", ": holds no keys"),
        (b"a: 1\nb: \xff", ":2: not UTF-8"),
        ("a: 1".encode("utf-16"), ":1: not UTF-8"),
        (b"a: 1\nb: 2\x00", r":2: holds the control character U\+0000"),
        (b"a: 1\nb:\n\tc: 1", r":3: not valid YAML \(.*found character '\\t'"),
        (b"a: 1\n---\nb: 2", r":2: not valid YAML \(.*single document"),
        (b"a: *missing", ":1: not valid YAML .*undefined alias"),
        (b"a: !!python/object/apply:os.system [true]", ":1: not valid YAML .*python/object"),
        (b"a:\n  - !thing 1", ":2: not valid YAML .*!thing"),
        (b"a: 2001-99-99", ":1: month must be in"),
        (b"a: 1\nb: " + b"9" * 5000, ":2: a number of 5,000 digits"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, ":1: more than 40 levels"),
        (b"a: " + b"[" * 5000, ":1: more than 40 levels"),
        (b"a: " + b"{a: " * 5000, ":1: more than 40 levels"),
        (b"\n" + b"- " * 900 + b"1", ":2: more than 40 levels"),
        (b"x: 0\na: &a {b: *a}", ":2: the alias is part of what it stands for"),
        (b"x: 0\na: &a [*a]", ":2: the alias is part of what it stands for"),
        (BOMB.encode(), r":1\d: more than 100,000 values"),
        (LIST_BOMB.encode(), r":1\d: more than 100,000 values"),
        (MERGE_BOMB.encode(), r":1\d: more than 100,000 values"),
        (b"a: 1\n" * 300_000, ": larger than 1 MB"),
        (b"? [a, b]\n: 1", ":1: a key is a name"),
        (b"? {a: 1}\n: 1", ":1: a key is a name"),
        (b"__use_yte__: true\na: ?print(1)", ": __use_yte__ would have Snakemake run code"),
    ],
)
def test_what_is_no_config_is_refused_with_its_line(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    began = time.monotonic()
    with pytest.raises(UserError, match=rf"^{path}{problem}") as caught:
        load_config(path)
    assert time.monotonic() - began < 20
    assert len(str(caught.value).splitlines()) == 2


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{tmp_path}: cannot be read"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb: 2\na: 3", ":3: the key `a` stands twice, first in line 1"),
        ("v:\n  x: {l: {t: 8}}\n  y: {}\n  x: {l: {t: 2}}", ":4: the key `x` stands twice, first in line 2"),
        ("v: {x: {l: {t: 8,\n t: 2}}}", ":2: the key `t` stands twice, first in line 1"),
        ("v:\n- a: 1\n- a: 1\n  b: 1\n  a: 2", ":5: the key `a` stands twice, first in line 3"),
        ('v: {x: 1,\n "x": 2}', ":2: the key `x` stands twice, first in line 1"),
        ('v: {1: 1,\n "1": 2}', ":2: the key `1` stands twice, first in line 1"),
        ("v: &a {x: 1}\nw: {<<: *a,\n  <<: *a}", ":3: the key `<<` stands twice, first in line 2"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_places(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert caught.value.problem == f"{path}{where}"


@pytest.mark.parametrize(
    "name", ["on", "yes", "null", "~", "010", "1_0", "1e3", "0x10", "1.50", "2001-01-01T00:00:00Z"]
)
def test_a_name_is_read_as_it_is_written_or_refused(name: str) -> None:
    read = yaml.safe_load(f"{name}: 1")
    if read == {name: 1}:
        assert parse_yaml(f"{name}: 1", "text") == read
    else:
        with pytest.raises(UserError, match="put it in quotes"):
            parse_yaml(f"{name}: 1", "text")
    assert parse_yaml(f'"{name}": 1', "text") == {name: 1}


def test_a_merged_key_may_be_replaced() -> None:
    assert parse_yaml("a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}", "text")["b"] == {"x": 1, "y": 2}


def test_as_many_values_as_fit_are_read() -> None:
    assert len(parse_yaml("a: &a [1, 2, 3, 4]\nb: [" + "*a, " * (MAX_VALUES // 5 - 4) + "]", "text")["b"]) > 1000


def test_places_that_share_an_anchor_hold_values_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("runs: {a: &a {data: &data {split_seed: 1}, l: &l [1]}, b: *a, c: {data: *data, l: *l}}")
    runs = load_config(file)["runs"]
    runs["a"]["data"]["split_seed"] = 2
    runs["a"]["l"].append(2)
    assert runs == {
        name: {"data": {"split_seed": 1 + (name == "a")}, "l": [1, 2] if name == "a" else [1]} for name in "abc"
    }


def test_what_the_command_line_sets_is_read_as_a_file_is(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("{data: {train_file: t.jsonl, limit: 4}, run: 7, kept: 1}")
    options = ["data={train_file: null, records: 3}", "seeds=[1, 2]", "note=a=b"]
    assert whole_config([file], options) == {
        "data": {"train_file": None, "limit": 4, "records": 3},
        "run": 7,
        "kept": 1,
        "seeds": [1, 2],
        "note": "a=b",
    }
    with pytest.raises(UserError, match=r"--config data:1: the key `a` stands twice"):
        whole_config([], ["data={a: 1, a: 2}"])


def test_what_is_typed_goes_over_what_the_chosen_run_sets(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    teacher = {"seed": 1, "training": {"max_steps": 625, "lr": 0.1}}
    run = {"seeds": [1], "teacher": teacher}
    file.write_text(yaml.safe_dump({"run": "a", "runs": {"a": run, "b": run}, "teacher": {"seed": 9}}))
    typed = ["teacher={training: {max_steps: 150}}", "seeds=[4, 5]", "data={limit: 3}", "run=b"]
    config = whole_config([file], typed)
    training = teacher["training"] | {"max_steps": 150}  # type: ignore[operator]
    assert config["runs"] == {"a": run, "b": {"seeds": [4, 5], "teacher": teacher | {"training": training}}}
    assert (config["teacher"], config["data"]) == ({"seed": 9, "training": {"max_steps": 150}}, {"limit": 3})
    below = whole_config([file], [*typed, "runs={b: {teacher: {training: {max_steps: 7}}}}"])
    assert below["runs"]["b"]["teacher"]["training"] == {"max_steps": 7, "lr": 0.1}
    assert below["runs"]["b"]["seeds"] == [4, 5]


@pytest.mark.parametrize("typed", ["teacher=5", "teacher={training: 5}", "runs=5", "runs={a: 5}", "run=c"])
def test_a_typed_value_of_another_kind_is_left_to_the_check(tmp_path: Path, typed: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("{run: a, runs: {a: {teacher: {training: {max_steps: 6}}}}}")
    with pytest.raises(UserError):
        load_run(whole_config([file], [typed]))


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("teacher=null", "--config teacher"),
        ("teacher=", "--config teacher"),
        ("data=null", "--config data"),
        ("variants={hard: null}", "--config variants.hard"),
        ("runs={a: null}", "--config runs.a"),
        ("runs={a: {teacher: null}}", "--config runs.a.teacher"),
    ],
)
def test_null_in_place_of_what_has_keys_is_refused(tmp_path: Path, typed: str, place: str) -> None:
    file, above = tmp_path / "config.yaml", tmp_path / "above.yaml"
    file.write_text(
        "{run: a, runs: {a: {teacher: {seed: 1}}}, data: {source: files}, variants: {hard: {targets: gold}}}"
    )
    with pytest.raises(UserError) as refused:
        whole_config([file], [typed])
    assert refused.value.problem.startswith(f"{place}: is empty")
    # A variant of defaults, a section without keys, and an option that may be null take nothing away.
    empty = whole_config([file], ["variants={new: null, hard: {on_policy: null}}", "report=null"])
    assert empty["variants"] == {"new": None, "hard": {"targets": "gold", "on_policy": None}}
    above.write_text("variants: {hard: }")
    with pytest.raises(UserError, match=rf"^{above}: variants.hard: is empty"):
        whole_config([file, above], [])
    # In a file the top level stays below the run.
    above.write_text("teacher: ")
    assert whole_config([file, above], [])["runs"]["a"] == {"teacher": {"seed": 1}}
    whole_config([file], ["run=b", "teacher=null"])


def test_names_in_a_list_are_left_to_the_check(tmp_path: Path) -> None:
    file, above = tmp_path / "config.yaml", tmp_path / "above.yaml"
    file.write_text("{run: a, runs: [a], variants: [hard]}")
    above.write_text("{runs: {a: }, variants: {hard: }}")
    # What is above replaces the lists.
    assert whole_config([file, above], []) == {"run": "a", "runs": {"a": None}, "variants": {"hard": None}}
    with pytest.raises(UserError, match="variants: must hold keys"):
        load_run(whole_config([file], ["runs={a: null}"]))


@pytest.mark.parametrize("name", ["on", "no", "null", "0x10", "007", "1.10", "2024_01", "2024"])
def test_a_run_may_have_any_name_on_the_command_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"runs": {name: {"seeds": [7, 8]}}}))
    config = whole_config([file], [f"run={name}"])
    assert (config["run"], config["runs"]) == (name, {name: {"seeds": [7, 8]}})


def test_a_name_that_yaml_reads_as_a_number_is_one_name_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("runs: {2024: {seeds: [7, 8]}}")
    config = whole_config([file], ["run=2024", "runs={2024: {variants: [hard_labels]}}"])
    assert config == {"run": "2024", "runs": {"2024": {"seeds": [7, 8], "variants": ["hard_labels"]}}}
