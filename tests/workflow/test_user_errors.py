"""What a user sees of a fault: what is wrong and what to do, before any work is lost."""

import json
from pathlib import Path

import pytest
from driver import Project

pytestmark = pytest.mark.workflow

GOOD = {
    "focal_method": "int size() { return size; }",
    "test_method": "@Test public void t() {\n    // <ASSERTION_PLACEHOLDER>\n}",
    "assertion": "assertEquals(0, list.size());",
}


def corpus(folder: Path, *, bad: str) -> Path:
    """Write thirty good records with `bad` as the fourth line."""
    methods = [f"int size{n}() {{ return size + field{n}; }}" for n in range(30)]
    lines = [json.dumps(GOOD | {"focal_method": method}) for method in methods]
    lines.insert(3, bad)
    path = folder / "records.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_fault_of_the_config_is_said_before_any_job_starts(project: Project) -> None:
    done = project.snakemake(
        "--profile",
        "profiles/local",
        variants={"traditional": {"loss": {"temprature": 2.0}}},
        evaluation={"num_beams": 0},
        reprot={"title": "x"},
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "The configuration has 3 faults" in said
    assert "variants.traditional.loss.temprature: unknown key (did you mean `temperature`?)" in said
    assert "evaluation.num_beams: must be greater than or equal to 1, not 0" in said
    assert "reprot: unknown key (did you mean `report`?)" in said
    assert "Traceback" not in said
    assert not (project.folder / "results").exists()


def test_an_unknown_run_is_named_with_the_nearest(project: Project) -> None:
    done = project.snakemake("--profile", "profiles/local", "--config", "run=tinny")
    assert done.returncode != 0
    last, remedy = done.stderr.splitlines()[-2:]
    assert "run: 'tinny' is not an entry of `runs` (did you mean `tiny`?)" in last
    assert remedy.startswith("Fix config.yaml")


def test_files_without_a_file_are_refused(project: Project) -> None:
    done = project.snakemake("--profile", "profiles/local", "--config", "run=real", tiny=False)
    assert done.returncode != 0
    assert "data.train_file" in done.stdout + done.stderr


def test_a_bad_line_stops_the_run_where_the_config_says_so(project: Project) -> None:
    path = corpus(project.folder, bad='{"focal_method": "int f()"}')
    done = project.snakemake(
        *("--profile", "profiles/local", "results/tiny/corpus/quality.json"),
        runs={"tiny": {"data": {"source": "files", "train_file": str(path), "on_bad_record": "error"}}},
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"Error: {path}:4: test_method is missing" in said
    last, remedy = done.stderr.splitlines()[-2:]
    assert last.startswith(f"Error: {path}:4: test_method is missing"), "below all that Snakemake says"
    assert "set data.on_bad_record: reject" in remedy
    assert "Traceback" not in said
    assert not (project.folder / "results/tiny/corpus/quality.json").exists()


def test_the_fault_of_a_folder_that_another_process_writes_stands_last(project: Project) -> None:
    folder = project.folder / "results/tiny/corpus"
    folder.mkdir(parents=True)
    # The fault that needs no other process, and does not wait for one.
    (folder / ".lock.json").write_text("{}", encoding="utf-8")
    done = project.snakemake("--profile", "profiles/local", "results/tiny/corpus/quality.json")
    assert done.returncode != 0
    assert done.stderr.splitlines()[-2:] == [
        "Error: results/tiny/corpus/.lock.json: is not a lock of this version",
        "If no other process writes results/tiny/corpus, delete this file.",
    ]


def test_a_bad_line_is_counted_where_the_config_says_so(project: Project) -> None:
    path = corpus(project.folder, bad="not json")
    done = project.snakemake(
        *("--profile", "profiles/local", "results/tiny/corpus/quality.json"),
        runs={"tiny": {"data": {"source": "files", "train_file": str(path), "on_bad_record": "reject"}}},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    quality = json.loads((project.folder / "results/tiny/corpus/quality.json").read_text(encoding="utf-8"))
    assert quality["rejected"]["not JSON"] == {"count": 1, "where": [f"{path}:4"]}
    rejected = (project.folder / "results/tiny/corpus/rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert any(json.loads(line)["reason"] == "not JSON" for line in rejected)


def test_the_faults_of_several_jobs_stand_last_in_the_order_of_their_logs(project: Project) -> None:
    systems = ("first", "second", "third")
    for system in systems:
        (project.folder / f"{system}.txt").write_text("fail();\n", encoding="utf-8")
    done = project.snakemake(
        *("--profile", "profiles/local"),
        *(f"results/tiny/evaluation/external/{system}/predictions.jsonl" for system in systems),
        evaluation={"external": {system: f"{system}.txt" for system in systems}},
    )
    assert done.returncode != 0
    faults = done.stderr.splitlines()[-6::2]
    assert [fault.partition(".txt")[0] for fault in faults] == [f"Error: {system}" for system in systems]


def test_what_cannot_run_here_is_refused_before_the_first_job(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = project.snakemake("--profile", "profiles/local", distillation={"training": {"precision": "fp16"}})
    assert done.returncode != 0
    assert "variants.traditional.training.precision: fp16, and a CPU cannot train in it" in done.stdout + done.stderr
    assert not (project.folder / "results").exists()


def test_a_broken_config_is_named_with_its_line_however_it_is_given(project: Project) -> None:
    (project.folder / "twice.yaml").write_text("variants:\n  softer: {}\n  softer: {}\n", encoding="utf-8")
    (project.folder / "deep.yaml").write_text("run: tiny\nseeds: " + "[" * 5000, encoding="utf-8")
    given = ("--profile", "profiles/local", "--dry-run", "--configfile")
    done = project.snakemake(*given, "tiny.yaml", "deep.yaml", tiny=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == ["Error: deep.yaml:2: more than 40 levels", "Correct that line."]
    done = project.snakemake("--cores", "1", "--dry-run", "--configfile", "tiny.yaml", "twice.yaml", tiny=False)
    assert done.returncode == 1
    assert (
        "twice.yaml:3: the key `softer` stands twice, first in line 2\nCorrect that line." in done.stdout + done.stderr
    )
    (project.folder / "twice.yaml").rename(project.folder / "config.yaml")
    done = project.snakemake("--profile", "profiles/local", "--dry-run")
    assert done.returncode == 1
    assert (
        "\nconfig.yaml:3: the key `softer` stands twice, first in line 2\nCorrect that line."
        in done.stdout + done.stderr
    )


def test_null_on_the_command_line_is_no_text(project: Project) -> None:
    done = project.snakemake(
        "--cores", "1", "--dry-run", "--config", "data={embedded: {records: null, families: null}}"
    )
    assert done.returncode == 1
    assert (
        "The configuration has 1 fault: data.embedded.records: must be a valid integer, not None"
        in done.stdout + done.stderr
    )
