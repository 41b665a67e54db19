# The checked settings of the chosen run, and the functions that stages use in place of lambdas.

import csv
import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from assertkd.cluster.account import check_submission
from assertkd.runtime.environment_modules import WANTED as WANTED_MODULES
from assertkd.errors import UserError
from assertkd.runtime.job import has_gpu
from assertkd.settings import feasible, load_run, params
from assertkd.signals import leave_usr1_to_jobs

# A second busy process makes spinning OpenMP threads ten times slower; passive ones wait instead.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
leave_usr1_to_jobs()

try:
    RUN = load_run(config)
    feasible.check(RUN)
except UserError as fault:
    raise WorkflowError(str(fault))

# What a GPU job loads with `--software-deployment-method env-modules`; torch brings its own CUDA libraries.
MODULES = ("2024r1", "cuda/12.5")

if workflow.remote_exec:
    # Compute nodes have no network; a model that was not fetched is then missed at once and by name.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if "env-modules" in map(str, workflow.deployment_settings.deployment_method):
        os.environ[WANTED_MODULES] = " ".join(MODULES)


wildcard_constraints:
    run=RUN.name.replace(".", r"\."),
    variant=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    seed=r"\d+",
    model=r"teacher|students/[A-Za-z0-9][A-Za-z0-9_.-]*/seed\d+",


def job_resources():
    """What the profile gives every job, as it stands there; nothing without a cluster."""
    given = workflow.resource_settings.default_resources or {}
    return {name: resource.raw for name, resource in given.items()}


def require_account():
    """Refuse to start where jobs are to be sent to SLURM without an account."""
    try:
        check_submission(job_resources(), os.environ)
    except UserError as fault:
        raise WorkflowError(str(fault))


def gpus_here(wildcards):
    """GPUs that a job takes: one, the cluster's or this machine's, or none where there is none."""
    return int("slurm_partition" in job_resources() or has_gpu())


def teacher_gpus(wildcards):
    """GPUs that the teacher's training takes."""
    return params.gpus(RUN.teacher.training) * gpus_here(wildcards)


def student_gpus(wildcards):
    """GPUs that a student's training takes."""
    return params.gpus(RUN.variants[wildcards.variant].training) * gpus_here(wildcards)


def models():
    """Every model of the run, as its folder below the run's."""
    return ["teacher", *(f"students/{variant}/seed{seed}" for variant in RUN.variants for seed in RUN.seeds)]


def share_of_cores(wildcards):
    """Threads of a job that every model has: models go side by side first, what cores are left are shared out."""
    # On a cluster's login node there is no such number.
    return max(1, (workflow.resource_settings.cores or 1) // len(models()))


def trained_models():
    """Those of them that this workflow trains."""
    return [model for model in models() if model != "teacher" or not RUN.data.has_external_teacher]


def report_files():
    return [f"results/{RUN.name}/report/leaderboard.csv", f"results/{RUN.name}/report/report.html"]


def source_files(wildcards):
    """The files that records are read from: those that the config names, and mined ones; none if generated."""
    mined = [params.mined_records(RUN)] if RUN.data.is_mined else []
    return mined + list(RUN.data.files.values())


def unlabelled_file(wildcards):
    """The file of records without an assertion that the config names."""
    return RUN.data.unlabelled


def student_params(wildcards):
    return params.distill_student(RUN, wildcards.variant)


def student_logits(wildcards):
    """What a student needs of the teacher; nothing where it learns from gold assertions alone."""
    return [f"results/{wildcards.run}/logits/{name}" for name in params.logits_of_student(RUN, wildcards.variant)]


def student_teacher(wildcards):
    """The teacher itself, for a student that is made of its layers or has its own outputs scored."""
    needs = params.uses_teacher_itself(RUN, wildcards.variant)
    return [f"results/{wildcards.run}/teacher/final_model"] if needs else []


def student_unlabelled(wildcards):
    """The records without an assertion, for a student that learns from them."""
    learns = params.learns_unlabelled(RUN, wildcards.variant)
    return [f"results/{wildcards.run}/corpus/unlabelled.jsonl"] if learns else []


def predict_params(wildcards):
    return params.predict(RUN, is_student=wildcards.model != "teacher")


def test_logits(wildcards):
    """The teacher's logits on the test split, for a student's divergence from it."""
    return [] if wildcards.model == "teacher" else [f"results/{wildcards.run}/logits/test"]


def teacher_scores(wildcards):
    """What was found of the teacher, for a student's gaps and agreement with it."""
    if wildcards.model == "teacher":
        return []
    names = ("predictions_final.jsonl", "metrics_summary_final.json", "measured.json")
    return [f"results/{wildcards.run}/evaluation/teacher/{name}" for name in names]


def executions(wildcards):
    """What became of a model's assertions when they were run; nothing where the config leaves that out."""
    if RUN.evaluation.execute.enabled is False:
        return []
    folder = f"results/{wildcards.run}/evaluation/{wildcards.model}"
    return [f"{folder}/execution.jsonl", f"{folder}/execution.json"]


def trained_files(name):
    """Input function: the file `name` of every model that this workflow trains."""

    def files(wildcards):
        return [f"results/{wildcards.run}/{model}/{name}" for model in trained_models()]

    return files


def unlabelled_quality(wildcards):
    """What became of the records without an assertion; nothing where the config names none."""
    return [] if RUN.data.unlabelled is None else [f"results/{wildcards.run}/corpus/unlabelled_quality.json"]


def fidelity_files(wildcards):
    """How faithful the logit cache is; nothing where the logits were given without a head."""
    return [] if RUN.data.has_external_teacher else [f"results/{wildcards.run}/logits/fidelity.json"]


def scored(name):
    """Input function: the file `name` that `score` writes for every model of the run."""

    def files(wildcards):
        return [f"results/{wildcards.run}/evaluation/{model}/{name}" for model in models()]

    return files


def closing_words(run):
    """What a finished run says: where its report is, and the leaderboard's note where it has one."""
    page = Path("results", run, "report", "report.html")
    if not page.exists():
        return f"The run `{run}` has no full report yet."
    with page.with_name("leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        notes = [row["note"] for row in csv.DictReader(handle) if row.get("note")]
    return "\n".join([*notes, f"Report: {page.resolve()}"])
