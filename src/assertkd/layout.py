"""The names of all files of a run, each once; rules, scripts, commands, stages and report take paths from here.

Paths are joined, never resolved. `RunLayout("results/{run}")` therefore gives the paths that rules declare, wildcards
included, and `RunLayout("results/demo")` those of the run `demo`.
"""

import os
from pathlib import Path

SPLITS = ("train", "validation", "test")
"""The parts of a corpus."""


STAGE_FOLDERS = (
    "corpus",
    "pretrain",
    "teacher",
    "logits",
    "students",
    "embeddings",
    "evaluation",
    "report",
    "report_so_far",
)
"""Folders of a run that the workflow alone writes."""


class Entry:
    """A file or folder at a fixed place below its layout's folder; the layout's attribute is its path."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, layout: "Layout", owner: type) -> Path:
        return layout.folder / self.name


class Layout:
    """A folder, named as it was passed, whose entries have fixed names."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)


class CorpusLayout(Layout):
    """What `mine_corpus`, `prepare_corpus`, `prepare_pretraining` and `prepare_unlabelled` write."""

    train, validation, test = Entry("train.jsonl"), Entry("validation.jsonl"), Entry("test.jsonl")
    quality, rejected = Entry("quality.json"), Entry("rejected.jsonl")
    tokenizer = Entry("tokenizer")
    mined, mined_counts = Entry("mined.jsonl"), Entry("mined.json")
    pretraining, pretraining_validation = Entry("pretraining.jsonl"), Entry("pretraining_validation.jsonl")
    pretraining_counts = Entry("pretraining.json")
    unlabelled = Entry("unlabelled.jsonl")
    unlabelled_quality, unlabelled_rejected = Entry("unlabelled_quality.json"), Entry("unlabelled_rejected.jsonl")

    def split(self, name: str) -> Path:
        """Return the file of a split's records, or of the unlabelled ones."""
        return self.folder / f"{name}.jsonl"


class LogitsLayout(Layout):
    """What `compress_logits`, `compress_predictions` and `compress_unlabelled` write."""

    teacher_predictions = Entry("teacher_predictions.jsonl")
    unlabelled_predictions = Entry("unlabelled_predictions.jsonl")
    fidelity, fidelity_picture = Entry("fidelity.json"), Entry("fidelity.svg")
    train, validation, test = Entry("train"), Entry("validation"), Entry("test")
    train_predictions = Entry("train_predictions")
    """Store of the logits on the teacher's own predictions for the training split."""
    unlabelled = Entry("unlabelled")

    @property
    def served(self) -> "InterchangeLayout":
        """What `capture_logits` writes."""
        return InterchangeLayout(self.folder / "served")

    def store(self, name: str) -> Path:
        """Return the folder of one store: a split's, `train_predictions` or `unlabelled`."""
        return self.folder / name


class ModelLayout(Layout):
    """A saved model with its tokenizer, or a tokenizer alone, in the form of the Hugging Face hub."""

    weights, weights_index = Entry("model.safetensors"), Entry("model.safetensors.index.json")
    config, generation_config = Entry("config.json"), Entry("generation_config.json")
    tokenizer, tokenizer_config = Entry("tokenizer.json"), Entry("tokenizer_config.json")


class TrainingLayout(Layout):
    """The folder of a trained model: the teacher's or a student's."""

    final_model = Entry("final_model")
    checkpoints = Entry("checkpoints")
    """Stands only until training has succeeded."""
    report, losses = Entry("training_report.json"), Entry("multi_component_loss_summary.json")
    steps, epochs = Entry("step_metrics.csv"), Entry("training_metrics.csv")
    epoch_summaries = "epoch_*_summary.json"
    """Pattern of the names that `epoch_summary` gives."""
    log, tensorboard = Entry("distillation_log.txt"), Entry("tensorboard")
    loss_scaling, loss_scaling_picture = Entry("loss_scaling.json"), Entry("loss_scaling.svg")
    reproduced = Entry("reproduced")
    """Where `assertkd reproduce` trains the model a second time."""

    def epoch_summary(self, epoch: int) -> Path:
        """Return the file of an epoch's metrics, epochs counted from 1."""
        return self.folder / self.epoch_summaries.replace("*", str(epoch))


class EvaluationLayout(Layout):
    """What `predict`, `execute` and `score` write for one model."""

    predictions, measured = Entry("predictions.jsonl"), Entry("measured.json")
    execution, execution_summary = Entry("execution.jsonl"), Entry("execution.json")
    examples, table = Entry("predictions_final.jsonl"), Entry("metrics_final.csv")
    summary, comparison = Entry("metrics_summary_final.json"), Entry("evaluation_metrics.json")


class ReportLayout(Layout):
    """What `build_report` writes."""

    page, leaderboard, significance = Entry("report.html"), Entry("leaderboard.csv"), Entry("significance.json")
    figures = Entry("figures")


class InterchangeLayout(Layout):
    """A run's logits as JSONL, under the original's names."""

    def split(self, name: str) -> Path:
        """Return the file of a split."""
        return self.folder / f"distillation_data_{'training' if name == 'train' else name}.jsonl"


class RunLayout(Layout):
    """All files of one run, in `results/{run}`."""

    cuda = Entry("cuda.json")
    gold_execution, gold_summary = Entry("evaluation/gold_execution.jsonl"), Entry("evaluation/gold_execution.json")

    def __init__(self, folder: Path | str) -> None:
        super().__init__(folder)
        self.corpus = CorpusLayout(self.folder / "corpus")
        self.pretrain = TrainingLayout(self.folder / "pretrain")
        self.teacher = self.model(TEACHER)
        self.logits = LogitsLayout(self.folder / "logits")
        self.report = ReportLayout(self.folder / "report")
        self.report_so_far = ReportLayout(self.folder / "report_so_far")
        self.interchange = InterchangeLayout(self.folder / "interchange")

    def model(self, name: str) -> TrainingLayout:
        """Return the layout of a model's training: `TEACHER`'s, or that of a student by `student_name`."""
        return TrainingLayout(self.folder / name)

    def finished_students(self) -> list[Path]:
        """Return the folders of the students whose training is finished, in the order of their names."""
        return sorted(
            report.parent for report in self.folder.glob(f"{student_name('*', '*')}/{self.teacher.report.name}")
        )

    def embeddings(self, encoder: str, texts: str) -> Path:
        """Return the file of the embeddings of `texts` ("train", "teacher_predictions", …) by the encoder of a slug."""
        return self.folder / "embeddings" / encoder / f"{texts}.safetensors"

    def evaluation(self, model: str) -> EvaluationLayout:
        """Return the layout of a model's evaluation; models are named as in `model`."""
        return EvaluationLayout(self.folder / "evaluation" / model)


TEACHER = "teacher"
"""Name of the teacher among the models of a run."""


def stage_folder(path: Path) -> Path | None:
    """Return the folder of the workflow's stage that a path lies in or is; None outside of a run's results."""
    results = Path("results")
    # A link may lead there, and so may `results` itself.
    for start, root in (
        (Path(os.path.normpath(path.absolute())), results.absolute()),
        (path.resolve(), results.resolve()),
    ):
        for folder in (start, *start.parents):
            if folder.name in STAGE_FOLDERS and _holds_runs(folder.parent.parent, root):
                return folder
    return None


def _holds_runs(folder: Path, root: Path) -> bool:
    """Return whether runs lie in a folder: this project's `root`, or one beside Snakemake's records of another."""
    return folder == root or (folder.name == root.name and (folder.parent / ".snakemake").is_dir())


def student_name(variant: str, seed: int | str) -> str:
    """Return the name of a student among the models of a run."""
    return f"students/{variant}/seed{seed}"


EXTERNAL = "external"
"""Folder of the other systems among the models of a run."""


NEAREST_RECORD = "nearest_record"
"""The other system that a run makes itself: a search in the training records."""


def external_name(system: str) -> str:
    """Return the name of another system among the models of a run."""
    return f"{EXTERNAL}/{system}"


def is_external(model: str) -> bool:
    """Return whether a model of a run is another system."""
    return model.startswith(f"{EXTERNAL}/")


def variant_and_seed(model: str) -> tuple[str, int | None]:
    """Return variant and seed of a model of a run by its name, the inverse of `student_name`.

    `TEACHER` and other systems are their own variants, without a seed.
    """
    if model == TEACHER or is_external(model):
        return model.removeprefix(f"{EXTERNAL}/"), None
    _, variant, seed = model.split("/")
    return variant, int(seed.removeprefix("seed"))
