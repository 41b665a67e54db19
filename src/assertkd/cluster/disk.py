"""How much room a run's results take on the disk: an estimate from sizes and settings, before anything is computed."""

from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from pathlib import Path

from assertkd.cluster.memory import BYTES_PER_WEIGHT_SAVED, CHECKPOINTS
from assertkd.dry_run import PlannedJob
from assertkd.errors import UserError
from assertkd.logits.codecs.registry import build_codec, codec_parameters
from assertkd.models.registry import adapter_parameter_count, shape_and_parameter_count
from assertkd.runtime.storage import format_bytes
from assertkd.settings import ModelSettings, RunSettings
from assertkd.settings.model import size_settings

BYTES_PER_WEIGHT = 4
"""A model is kept in float32."""
BYTES_PER_RECORD = 1_000
"""Of a record's two methods and assertion, about."""
TARGET_TOKENS = 24
"""Tokens of an assertion, about."""
COPIES_PER_RECORD = 3
"""A record stands in the corpus, in the teacher's predictions and, if it is of the test, in those of the models."""
BYTES_PER_MODEL = 2_000_000
"""Logs, curves and scores of a model, about, and its part of the report."""


@dataclass(frozen=True)
class RunDisk:
    """What jobs write, in bytes.

    Attributes:
        models: trained models; those whose sizes are not known on this machine are not counted.
        checkpoints: of the training, or of the students side by side, that takes most; they go when it is done.
        logits: the stores of the teacher's logits.
        texts: corpus, predictions, logs and report.
    """

    models: int
    checkpoints: int
    logits: int
    texts: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.models + self.checkpoints + self.logits + self.texts

    def __str__(self) -> str:
        parts = {name: format_bytes(getattr(self, name)) for name in ("models", "checkpoints", "logits", "texts")}
        return ", ".join(f"{name} {size}" for name, size in parts.items())


def run_disk(run: RunSettings, jobs: Collection[PlannedJob], at_once: int) -> RunDisk:
    """Return the estimate of what the jobs that are about to run write, of which up to `at_once` run side by side."""
    trained = [run.teacher.model for job in jobs if job.rule in ("pretrain", "train_teacher")]
    weights = [_weights(model, run) for model in trained]
    variants = [run.variants[job.wildcards["variant"]] for job in jobs if job.rule == "distill_student"]
    students = [_weights(variant.model, run) for variant in variants]
    saved = CHECKPOINTS * BYTES_PER_WEIGHT_SAVED
    records = _records(run)
    stores = sum(job.rule in ("compress_logits", "compress_predictions", "import_logits") for job in jobs)
    return RunDisk(
        models=BYTES_PER_WEIGHT * sum([*weights, *students]),
        # One more is written before the oldest goes, and the best weights are kept beside them.
        checkpoints=(saved + BYTES_PER_WEIGHT_SAVED + BYTES_PER_WEIGHT)
        * max(
            _weights(run.teacher.model, run) if any(job.rule == "pretrain" for job in jobs) else 0,
            _trained_weights(run) if trained else 0,
            sum(sorted(students)[-at_once:]),
        ),
        logits=stores * records * min(TARGET_TOKENS, run.data.max_output_len) * _bytes_per_token(run),
        texts=COPIES_PER_RECORD * records * BYTES_PER_RECORD + BYTES_PER_MODEL * (len(weights) + len(students)),
    )


def _trained_weights(run: RunSettings) -> int:
    """Return the weights that the teacher's training changes: all, or its adapters'."""
    if not run.teacher.lora.rank:
        return _weights(run.teacher.model, run)
    try:
        return adapter_parameter_count(run.teacher.model, run.tokenizer.vocab_size, run.teacher.lora, only_local=True)
    except UserError:
        return 0


def _weights(model: ModelSettings, run: RunSettings) -> int:
    try:
        settings = size_settings(model, run.teacher.model)
        return shape_and_parameter_count(settings, run.tokenizer.vocab_size, only_local=True)[1]
    except UserError:
        return 0


def _records(run: RunSettings) -> int:
    if run.data.source == "embedded" and not run.data.has_external_teacher:
        return run.data.embedded.records
    sizes = [path.stat().st_size for path in map(Path, run.data.files.values()) if path.is_file()]
    return sum(sizes) // BYTES_PER_RECORD


def _bytes_per_token(run: RunSettings) -> int:
    """Return what the logits of one target token take; 0 where the teacher's sizes are not known here."""
    try:
        shape, _ = shape_and_parameter_count(run.teacher.model, run.tokenizer.vocab_size, only_local=True)
        parameters = codec_parameters(run.logits, [1.0])
        codec = build_codec(run.logits.codec, shape.vocab_size, shape.width, parameters)
    except UserError:
        return 0
    # Of the likeliest tokens there are up to max_k a position.
    rows = {name: parameters.get("max_k", 1) for name in ("ids", "levels")}
    return sum(rows.get(name, 1) * dtype.itemsize * prod(sizes) for name, (dtype, sizes) in codec.layout.items())
