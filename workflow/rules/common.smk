# The names of the run's files, and the functions that rules use in place of lambdas.

import os
from pathlib import Path

from assertkd.cluster.params import CheckCudaParams, PrefetchModelsParams
from assertkd.corpus.formats.registry import files_of
from assertkd.corpus.params import (
    MineCorpusParams,
    PrepareCorpusParams,
    PreparePretrainingParams,
    PrepareUnlabelledParams,
)
from assertkd.evaluation.params import (
    ExecuteGoldParams,
    ExecuteParams,
    FindNearestRecordParams,
    ImportPredictionsParams,
    PredictExternalTeacherParams,
    PredictParams,
    ScoreParams,
)
from assertkd.layout import NEAREST_RECORD, SPLITS, TEACHER, RunLayout, external_name, is_external, student_name
from assertkd.logits.params import (
    CaptureLogitsParams,
    CompressLogitsParams,
    CompressPredictionsParams,
    CompressUnlabelledParams,
    ImportLogitsParams,
)
from assertkd.models.model_folder import is_tokenizer_file, model_files
from assertkd.report.params import BuildReportParams
from assertkd.runtime.job import WANTED_MODULES
from assertkd.runtime.machine import has_gpu
from assertkd.signals import leave_usr1_to_jobs
from assertkd.students.params import GOLD, TEXTS, DistillStudentParams, EmbedTargetsParams, encoder_slug
from assertkd.teacher.params import PretrainParams, TrainTeacherParams

# A second busy process makes spinning OpenMP threads ten times slower; passive ones wait instead.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
leave_usr1_to_jobs()

# Paths with wildcards, for rules; and those of this run, for input functions.
FILES = RunLayout("results/{run}")
MODEL = FILES.model("{model}")
STUDENT = FILES.model(student_name("{variant}", "{seed}"))
EVALUATION = FILES.evaluation("{model}")
EXTERNAL = FILES.evaluation(external_name("{system}"))
NEAREST = FILES.evaluation(external_name(NEAREST_RECORD))
RUN_FILES = RunLayout(f"results/{RUN.name}")

ENCODERS = {encoder_slug(encoder): encoder for student in STUDENTS.values() for encoder in student.encoders}

if workflow.remote_exec:
    # Compute nodes have no network; a model that was not fetched is then missed at once and by name.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if "env-modules" in map(str, workflow.deployment_settings.deployment_method):
        os.environ[WANTED_MODULES] = " ".join(RUN.cluster.modules)


# Names of models that predict, and of all models that are scored.
TRAINED = r"teacher|students/[A-Za-z0-9][A-Za-z0-9_.-]*/seed\d+"
SCORED = rf"{TRAINED}|external/[A-Za-z0-9][A-Za-z0-9_.-]*"


wildcard_constraints:
    run=RUN.name.replace(".", r"\."),
    variant=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    seed=r"\d+",
    model=SCORED,
    system=rf"(?!{NEAREST_RECORD}/)[A-Za-z0-9][A-Za-z0-9_.-]*",
    encoder=r"[\w.-]+",
    texts="|".join(TEXTS),


def settings(params):
    """What a rule gives its script as `params`."""
    return params.model_dump(mode="json")


def job_resources():
    """What the profile gives every job, as it stands there; nothing without a cluster."""
    defaults = workflow.resource_settings.default_resources or {}
    return {name: resource.raw for name, resource in defaults.items()}


def gpus_here(wildcards):
    """GPUs that a job takes: one, the cluster's or this machine's, or none where there is none."""
    return int("slurm_partition" in job_resources() or has_gpu())


def teacher_gpus(wildcards):
    """GPUs that the teacher's training takes."""
    return RUN.teacher.training.gpu_count * gpus_here(wildcards)


def pretrain_gpus(wildcards):
    """GPUs that the pre-training takes."""
    return RUN.teacher.pretrain.training.gpu_count * gpus_here(wildcards)


def student_gpus(wildcards):
    """GPUs that a student's training takes."""
    return STUDENTS[wildcards.variant].training.gpu_count * gpus_here(wildcards)


def models():
    """Every model of the run by its name, other systems last."""
    students = [student_name(variant, seed) for variant in RUN.variants for seed in RUN.seeds]
    return [TEACHER, *students, *map(external_name, RUN.evaluation.systems)]


def share_of_cores(wildcards):
    """Threads of a job that every model has: models go side by side first, and share the cores that are left."""
    # On a cluster's login node there is no such number.
    return max(1, (workflow.resource_settings.cores or 1) // len(models()))


def every_core(wildcards):
    """All cores of this machine, for a job that measures time with no other beside it; one for a job that SLURM places."""
    return workflow.resource_settings.cores or 1


def trained_models():
    """Those of them that this workflow trains."""
    own = [model for model in models() if not is_external(model)]
    return [model for model in own if model != TEACHER or not RUN.has_external_teacher]


def report_files():
    """The files that a finished run ends with."""
    return [RUN_FILES.report.leaderboard, RUN_FILES.report.page]


def source_files(wildcards):
    """The files that records are read from: those that the config names, and mined ones; none if generated."""
    mined = [RUN_FILES.corpus.mined] if RUN.data.is_mined else []
    return mined + [str(file) for path in RUN.data.files.values() for file in files_of(Path(path), RUN.data.format)]


def teacher_files(wildcards):
    """The files that hold an external teacher's logits: those that the config names, or what its server answered."""
    if RUN.logits.server.url is None:
        return source_files(wildcards)
    return [RUN_FILES.logits.served.split(split) for split in SPLITS]


def tokenizer_source(wildcards):
    """The files of a folder that the run's tokenizer comes from; none where it is trained, or comes from the hub."""
    return [file for file in model_files(RUN.tokenizer.name or RUN.teacher.model.name) if is_tokenizer_file(file)]


def teacher_source(wildcards):
    """The files of a folder that the teacher's training begins with."""
    return [*model_files(RUN.teacher.model.name), *model_files(TrainTeacherParams.from_run(RUN).validation_encoder)]


def pretrain_source(wildcards):
    """The files of a folder that the pre-training begins with."""
    return [*model_files(RUN.teacher.model.name), *model_files(PretrainParams.from_run(RUN).validation_encoder)]


def pretrained_model(wildcards):
    """The pre-trained model that the teacher's training begins with, where the run pre-trains one."""
    return [RUN_FILES.pretrain.final_model] if RUN.is_pretrained else []


def student_source(wildcards):
    """The files of folders that a student's training begins with, and whose encoders it learns from."""
    student = STUDENTS[wildcards.variant]
    own = [] if student.model.layers is not None else model_files(student.model.name)
    if student.model.tokenizer is not None:
        own += [
            file for file in model_files(student.model.own_tokenizer) if is_tokenizer_file(file) and file not in own
        ]
    encoders = [*student.encoders, student.validation_encoder]
    return [*own, *(file for encoder in encoders for file in model_files(encoder))]


def encoder_source(wildcards):
    """The files of a folder that holds the encoder of `embed_targets`."""
    return model_files(ENCODERS[wildcards.encoder])


def score_source(wildcards):
    """The files of a folder that holds the encoder of the metrics."""
    return model_files(RUN.evaluation.encoder)


def unlabelled_file(wildcards):
    """The file of records without an assertion that the config names, or the first of its two."""
    return str(files_of(Path(RUN.data.unlabelled), RUN.data.format)[0])


def unlabelled_beside(wildcards):
    """The file that belongs to it, where it is one of two."""
    return list(map(str, files_of(Path(RUN.data.unlabelled), RUN.data.format)[1:]))


def student_settings(wildcards):
    """The params of a student's training."""
    return settings(STUDENTS[wildcards.variant])


def student_logits(wildcards):
    """The teacher's logits and predictions that a student reads; none where it learns from gold assertions alone."""
    return STUDENTS[wildcards.variant].logits_inputs(RUN_FILES.logits)


def student_teacher(wildcards):
    """The teacher itself, for a student that is made of its layers, learns its hidden states or has its outputs scored."""
    return [RUN_FILES.teacher.final_model] if STUDENTS[wildcards.variant].needs_teacher_model else []


def student_unlabelled(wildcards):
    """The records without an assertion, for a student that learns from them."""
    learns = STUDENTS[wildcards.variant].target_policy.learns_unlabelled
    return [RUN_FILES.corpus.unlabelled] if learns else []


def student_embeddings(wildcards):
    """The embeddings of a student's targets, by each encoder of its loss."""
    student = STUDENTS[wildcards.variant]
    return [
        RUN_FILES.embeddings(encoder_slug(encoder), texts)
        for encoder in student.encoders
        for texts in student.embedded_texts
    ]


def embedded_file(wildcards):
    """The file that holds the texts to embed."""
    return getattr(RUN_FILES.corpus if wildcards.texts == GOLD else RUN_FILES.logits, wildcards.texts)


def embed_settings(wildcards):
    """The params of `embed_targets`."""
    return settings(EmbedTargetsParams.from_run(RUN, ENCODERS[wildcards.encoder], wildcards.texts))


def predict_settings(wildcards):
    """The params of `predict`."""
    return settings(PredictParams.from_run(RUN, is_student=wildcards.model != TEACHER))


def test_logits(wildcards):
    """The teacher's logits on the test split, for the divergence from it of a student with its tokenizer."""
    if wildcards.model == TEACHER:
        return []
    student = STUDENTS.get(Path(wildcards.model).parts[1])
    return [] if student is not None and student.model.tokenizer is not None else [RUN_FILES.logits.test]


def teacher_scores(wildcards):
    """The teacher's scores, for a student's gaps and its agreement with the teacher."""
    teacher = RUN_FILES.evaluation(TEACHER)
    return [] if wildcards.model == TEACHER else [teacher.examples, teacher.summary, teacher.measured]


def external_file(wildcards):
    """The file of another system's predictions."""
    return RUN.evaluation.external[wildcards.system]


def executions(wildcards):
    """The executions of a model's assertions; none where the config leaves them out."""
    evaluation = RUN_FILES.evaluation(wildcards.model)
    return [] if RUN.evaluation.execute.enabled is False else [evaluation.execution, evaluation.execution_summary]


def trained_files(name):
    """Input function: the file of this name in the layout of every model that this workflow trains."""

    def files(wildcards):
        return [getattr(RUN_FILES.model(model), name) for model in trained_models()]

    return files


def scored_files(name):
    """Input function: the file of this name in the layout of every model's evaluation."""

    def files(wildcards):
        return [getattr(RUN_FILES.evaluation(model), name) for model in models()]

    return files


def further_counts(wildcards):
    """The counts of the records without an assertion and of those of a pre-training, where the config asks for them."""
    unlabelled = [] if RUN.data.unlabelled is None else [RUN_FILES.corpus.unlabelled_quality]
    return [*unlabelled, *([RUN_FILES.corpus.pretraining_counts] if RUN.is_pretrained else [])]
