"""What a training learns from: examples, the teacher's distributions for them, and what text components need."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assertkd.batching.epoch_sampling import EpochSampler
from assertkd.batching.examples import Example, TeacherSource
from assertkd.corpus.training_records import TrainingRecords
from assertkd.models.distillable import DistillableModel
from assertkd.models.encoders import TextEncoder
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records
from assertkd.runtime.devices import resolve_device
from assertkd.settings import TrainingSettings
from assertkd.settings.distillation import OnPolicySettings
from assertkd.training.parallel.process_group import ProcessGroup


@dataclass(frozen=True)
class OnPolicyTeacher:
    """The teacher that scores the student's own outputs, in evaluation mode, and how."""

    model: DistillableModel
    settings: OnPolicySettings


@dataclass(frozen=True)
class TrainingData:
    """What a model learns from and is validated on.

    Attributes:
        train: the training examples of every epoch, or what draws them for each.
        validation: validation examples.
        teacher: the teacher's distributions for every training example, or None where the loss needs none.
        files: the files all this came from, for the report and the fingerprint.
        encoders: loss component to the encoder that it embeds with.
        max_new_tokens: longest sampled prediction, in tokens.
        on_policy: the teacher for the student's own outputs; None where all targets come from the examples.
        hidden_teacher: the teacher whose hidden states the student learns, in evaluation mode; None where it does not.
        validation_encoder: embeds decoded validation samples; None where their metrics need none.
    """

    train: Sequence[Example] | EpochSampler
    validation: Sequence[Example]
    teacher: TeacherSource | None
    files: tuple[Path, ...]
    encoders: Mapping[str, TextEncoder] = field(default_factory=dict)
    max_new_tokens: int = 128
    on_policy: OnPolicyTeacher | None = None
    hidden_teacher: DistillableModel | None = None
    validation_encoder: TextEncoder | None = None


class ExamplePool:
    """Training records as examples, encoded when they are asked for, their critical target tokens marked if asked."""

    def __init__(self, records: TrainingRecords, prompt: Prompt, *, marked: bool = False) -> None:
        self._records, self._prompt, self._marked = records, prompt, marked
        self.examples_of = records.targets

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def examples(self, numbers: Iterable[int]) -> list[Example]:
        """Return the examples of the records of these ascending numbers: one for each target."""
        return [_example(record, target, self._prompt, self._marked) for record, target in self._records.read(numbers)]


def training_examples(pool: ExamplePool, settings: TrainingSettings) -> list[Example] | EpochSampler:
    """Return what a run trains on: the examples of the first `max_train_samples` records, or a draw for each epoch."""
    if settings.epoch_sampling and settings.max_train_samples is not None:
        return EpochSampler(pool.examples_of, pool.examples, settings.max_train_samples, settings.sampling_seed)
    count = len(pool) if settings.max_train_samples is None else min(settings.max_train_samples, len(pool))
    return pool.examples(range(count))


def validation_examples(path: Path, prompt: Prompt, settings: TrainingSettings) -> list[Example]:
    """Return the validation examples with their gold targets, at most `max_val_samples`."""
    records = list(read_records(path))[: settings.max_val_samples]
    return [_example(record, record.assertion, prompt) for record in records]


def load_validation_encoder(name: str | None, settings: TrainingSettings) -> TextEncoder | None:
    """Return the encoder of decoded validation samples, on the training's device; only the first process has one.

    It is none of the loss's encoders, whose caches are part of a checkpoint.
    """
    processes = ProcessGroup()
    if name is None or not processes.is_first:
        return None
    return TextEncoder(name, resolve_device(settings.device, processes.rank, processes.size))


def _example(record: Record, target: str, prompt: Prompt, marked: bool = False) -> Example:
    source = array("i", prompt.encode_record(record).ids)
    if marked:
        ids, critical = prompt.encode_target_marked(target)
        return Example(record.id, source, ids, target, critical)
    return Example(record.id, source, prompt.encode_target(target), target)
