"""Options of the training loop."""

from typing import Literal, get_args

from pydantic import Field, model_validator

from assertkd.settings.section import Device, Section, Seed

ValidationFigure = Literal[
    "validation_loss",
    "validation_token_accuracy",
    "validation_exact_match",
    "validation_f1",
    "validation_bleu",
    "validation_critical_token_accuracy",
    "validation_ast_validity",
    "validation_syntax_validity",
    "validation_semantic_similarity",
    "validation_code_quality_score",
]
"""Figures of `training_metrics.csv` on validation: two on the gold targets, the others the means of text metrics."""

TEACHER_FORCED = ("validation_loss", "validation_token_accuracy")

TEXT_METRICS = tuple(
    figure.removeprefix("validation_") for figure in get_args(ValidationFigure) if figure not in TEACHER_FORCED
)
"""Metrics of `assertkd.metrics` that are logged for decoded validation samples."""


class TrainingSettings(Section):
    """The training loop, for the teacher and for students alike."""

    batch_size: int = Field(4, ge=1)
    """Examples in one forward pass."""
    token_budget: int | None = Field(None, ge=1)
    """Tokens in one forward pass at most, padding counted: examples times the longest source and target. It takes the
    place of `batch_size` in training, so that short examples share larger batches; at least `data.max_input_len` +
    `data.max_output_len`. Null for batches of `batch_size`."""
    gradient_accumulation_steps: int = Field(1, ge=1)
    """Forward passes per optimizer step; the effective batch is `batch_size` (or `token_budget`) times this."""
    epochs: int = Field(5, ge=1)
    """Passes over the training records; without effect where `max_steps` is set."""
    max_steps: int | None = Field(None, ge=1)
    """Optimizer steps of the whole training: as many epochs as they take, the last one cut off. Null for `epochs`
    passes, whose steps grow with the records. Compare variants at equal steps."""
    lr: float = Field(3e-5, gt=0.0, le=1.0)
    """Peak learning rate of AdamW."""
    warmup_steps: int = Field(0, ge=0)
    """Optimizer steps of linear warm-up; 0 means 15 % of all steps. Linear decay towards 0 follows."""
    weight_decay: float = Field(0.01, ge=0.0, lt=1.0)
    """AdamW's weight decay (norms and biases are exempt)."""
    dropout_rate: float = Field(0.1, ge=0.0, lt=1.0)
    """Dropout in every layer while training."""
    relative_lr: bool = False
    """Multiply the learning rate of every weight matrix by the root mean square of its initial values, as T5 itself was
    trained (Adafactor's parameter scaling, Shazeer & Stern 2018). For models from scratch, whose embeddings start a
    hundred times larger than their attention's queries; `lr` is then about 0.01."""
    max_grad_norm: float = Field(1.0, gt=0.0)
    """The gradient is scaled down to this L2 norm where it is longer."""
    max_train_samples: int | None = Field(None, ge=1)
    """Use only so many training records (the first of the shuffled split, those of `data.unlabelled` behind them); null
    for all."""
    max_val_samples: int | None = Field(None, ge=1)
    """Use only so many validation records while training; null for all."""
    validation_frequency: int = Field(1, ge=1)
    """Validate every so many epochs (and always after the last)."""
    enhanced_metrics: bool = False
    """Also decode `validation_samples` validation records at each validation and log their text metrics: exact match,
    token F1, BLEU, critical tokens, AST and syntax validity, semantic similarity (by `evaluation.encoder`) and code
    quality. docs/training.md has what this costs."""
    validation_samples: int = Field(64, ge=1)
    """Validation records decoded for `enhanced_metrics`."""
    epoch_sampling: bool = False
    """Draw a new set of `max_train_samples` from all training records in every epoch, without loading the others. Needs
    `max_train_samples`."""
    sampling_seed: Seed = 42
    """Seed of `epoch_sampling`; the epoch's number is added to it."""
    num_workers: int = Field(0, ge=0)
    """Processes that load batches; 0 loads them in the training process."""
    pin_memory: bool = False
    """Load batches into page-locked memory, for faster copies to a GPU."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the forward pass; fp16 needs a GPU."""
    device: Device = "auto"
    """`auto` (a CUDA GPU if there is one, else the CPU), `cpu`, `cuda`, `cuda:N`, or `mps` (the GPU of Apple silicon,
    fp32 only)."""
    gpus: int = Field(1, ge=1, le=64)
    """GPUs that share a training, each with a process of its own; with `device: cpu`, that many CPU processes. Each
    takes batches of `batch_size`, so the effective batch is `batch_size` x `gradient_accumulation_steps` x `gpus`."""
    log_every: int = Field(1, ge=1)
    """Optimizer steps between lines of `step_metrics.csv`."""
    best_metric: ValidationFigure | None = None
    """Keep the weights of the epoch that is best in this figure of `training_metrics.csv` (of equal ones the first);
    null for those of the last epoch. Text metrics need `enhanced_metrics`."""
    early_stopping: int | None = Field(None, ge=1)
    """Stop after so many validations without a better `best_metric`; null for never. Needs `best_metric`."""
    checkpoint_every: int = Field(500, ge=0)
    """Optimizer steps between checkpoints, from which an interrupted training continues; 0 for none but those that a
    signal asks for."""
    on_checkpoint_mismatch: Literal["refuse", "discard"] = "refuse"
    """Where an interrupted training with other settings or data has left a checkpoint: `refuse` to train and say what
    differs, or `discard` it and start over."""

    @property
    def gpu_count(self) -> int:
        """CUDA GPUs that the training takes on a machine that has enough."""
        return 0 if self.device in ("cpu", "mps") else self.gpus

    @model_validator(mode="after")
    def _options_go_together(self) -> "TrainingSettings":
        if self.gpus > 1 and (self.device == "mps" or self.device.startswith("cuda:")):
            raise ValueError(f"gpus: {self.gpus} cannot share device {self.device}: use device: cuda or gpus: 1")
        if self.epoch_sampling and self.max_train_samples is None:
            raise ValueError("epoch_sampling draws max_train_samples records an epoch: set max_train_samples")
        if self.early_stopping is not None and self.best_metric is None:
            raise ValueError("early_stopping waits for a better best_metric: set best_metric")
        if self.best_metric not in (None, *TEACHER_FORCED) and not self.enhanced_metrics:
            raise ValueError(f"best_metric {self.best_metric} is a text metric: set enhanced_metrics: true")
        return self

    def used(self) -> "TrainingSettings":
        """Return the settings with those that have no effect at their defaults."""
        without_effect = set() if self.enhanced_metrics else {"validation_samples"}
        without_effect |= set() if self.epoch_sampling else {"sampling_seed"}
        without_effect |= set() if self.max_steps is None else {"epochs"}
        return self.with_defaults(without_effect)
