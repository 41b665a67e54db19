"""What the rules of the corpus use of a run's settings."""

from typing import Literal

from pydantic import Field

from assertkd.layout import RunLayout
from assertkd.settings import DataSettings, MiningSettings, RunSettings, TokenizerSettings
from assertkd.settings.data import Format, VisibleAnswerPolicy
from assertkd.settings.model import SCRATCH
from assertkd.settings.section import Section, Seed

FILES = {"train_file", "validation_file", "test_file"}
MINING = {"java_sources", "mining"}
STUDENTS_ALONE = {"labelled_share", "unlabelled"}


class Reading(Section):
    """How a file of records is read; the options of `data` with these names."""

    format: Format = "auto"
    multiple: Literal["split", "join"] = "split"
    max_characters: int = 20_000
    on_bad_record: Literal["reject", "error"] = "error"
    on_visible_answer: VisibleAnswerPolicy = "keep"

    @classmethod
    def of(cls, data: DataSettings) -> "Reading":
        """Return how the files of a run are read."""
        return cls(**data.model_dump(include=set(cls.model_fields)))


class MineCorpusParams(Section):
    """Folders of Java projects, how they are mined, and the longest test that the corpus takes."""

    java_sources: tuple[str, ...]
    mining: MiningSettings
    max_characters: int

    @classmethod
    def from_run(cls, run: RunSettings) -> "MineCorpusParams":
        """Return the params of a run."""
        data = run.data
        return cls(java_sources=data.java_sources, mining=data.mining, max_characters=data.max_characters)


class PreparePretrainingParams(Section):
    """Folders of Java projects, what is cut out of their methods, and what is left out."""

    java_sources: tuple[str, ...]
    mining: MiningSettings
    max_characters: int
    statements: int
    production_share: float
    cut_share: float
    longest_cut: int
    """Tokens of a cut at most."""
    validation_share: float
    seed: Seed
    projects_apart: bool
    """Whether the corpus was split by project, if records name one: such a project is then left out whole."""

    @classmethod
    def from_run(cls, run: RunSettings) -> "PreparePretrainingParams":
        """Return the params of a run."""
        data, pretrain = run.data, run.teacher.pretrain
        shared = pretrain.model_dump(include=cls.model_fields.keys() & type(pretrain).model_fields.keys())
        return cls(
            **shared,
            mining=data.mining,
            max_characters=data.max_characters,
            longest_cut=data.max_output_len // 2,
            projects_apart=data.split_by in ("auto", "project") and bool(_split_off(data)),
        )

    def mining_params(self) -> MineCorpusParams:
        """Return how the projects' tests are mined."""
        return MineCorpusParams(java_sources=self.java_sources, mining=self.mining, max_characters=self.max_characters)


class PrepareCorpusParams(Section):
    """The records, and the tokenizer that counts their tokens."""

    data: DataSettings
    tokenizer: TokenizerSettings
    teacher: str
    """The teacher's name, whose tokenizer is the default; `scratch` where another tokenizer is used."""
    decoder_only: bool = Field(False, exclude_if=lambda it: not it)
    """Whether the teacher is a decoder-only model whose files do not say so: from scratch, or served."""

    @classmethod
    def from_run(cls, run: RunSettings) -> "PrepareCorpusParams":
        """Return the params of a run; options without effect have their defaults. Mined records are files here."""
        data, has_named_tokenizer = run.data, run.tokenizer.name is not None
        if data.has_external_teacher:
            without_effect = {"embedded", "source", "multiple", *FILES, *MINING}
        elif data.source == "embedded":
            without_effect = {
                "distillation_jsonl",
                *Reading.model_fields.keys() - {"on_visible_answer"},
                *FILES,
                *MINING,
            }
        else:
            without_effect = {"embedded", "distillation_jsonl", *MINING}
        if data.is_mined:
            mined = str(RunLayout(f"results/{run.name}").corpus.mined)
            data = data.model_copy(update={"source": "files", "train_file": mined})
        trains_tokenizer = not has_named_tokenizer and run.teacher.model.name == SCRATCH
        return cls(
            data=data.with_defaults(without_effect | STUDENTS_ALONE),
            tokenizer=run.tokenizer.with_defaults({"keep"} if trains_tokenizer else {"vocab_size"}),
            teacher=SCRATCH if has_named_tokenizer else run.teacher.model.name,
            decoder_only=run.teacher.model.is_decoder_only_scratch or run.logits.server.url is not None,
        )


class PrepareUnlabelledParams(Section):
    """How records without an assertion are checked, and which splits share no project with the others."""

    projects_apart: tuple[str, ...]
    test_classes_apart: tuple[str, ...] = Field((), exclude_if=lambda splits: not splits)
    format: Format = "auto"
    on_bad_record: Literal["reject", "error"]
    max_characters: int
    max_input_len: int
    max_output_len: int

    @classmethod
    def from_run(cls, run: RunSettings) -> "PrepareUnlabelledParams":
        """Return the params of a run."""
        data = run.data
        return cls(
            projects_apart=_split_off(data) if data.split_by in ("auto", "project") else (),
            test_classes_apart=_split_off(data) if data.split_by == "test_class" else (),
            format=data.format,
            on_bad_record=data.on_bad_record,
            max_characters=data.max_characters,
            max_input_len=data.max_input_len,
            max_output_len=data.max_output_len,
        )


def _split_off(data: DataSettings) -> tuple[str, ...]:
    """Return the splits that no file is named for."""
    return tuple(sorted({"validation", "test"} - set(data.files)))
