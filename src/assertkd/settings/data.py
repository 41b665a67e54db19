"""Options of the records: where they come from and how they are split."""

from typing import Literal

from pydantic import Field, model_validator

from assertkd.settings.section import PathText, Section, Seed, Share

Format = Literal["auto", "jsonl", "atlas", "methods2test"]
VisibleAnswerPolicy = Literal["keep", "reject", "mask"]


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
    """JSONL file of training records with `teacher_logits_compressed` (or `teacher_logprobs`, which need the codec
    `topk`) and `teacher_prediction`. Where it is set, no teacher is trained or run, and records come from these files
    whatever `data.source` says."""
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


class MiningSettings(Section):
    """How records are mined from the Java projects of `data.java_sources`."""

    max_file_bytes: int = Field(1_000_000, ge=1_000)
    """Largest Java file that is parsed, in bytes; larger ones (generated, as a rule) are counted and left out."""
    max_assertions: int | None = Field(None, ge=1)
    """Tests with more assertions than this are counted and left out; null takes all. A few endless tests can otherwise
    fill a corpus with records that hardly differ."""
    line_comments: Literal["keep", "remove"] = "keep"
    """Whether a comment behind an assertion on its line, which often says what is expected (`// 3 = 1 + 2`), stays in
    the test without the assertion. Those that stay are counted. Copies of the assertion elsewhere in its test are
    counted too; `on_visible_answer` removes them."""


class DataSettings(Section):
    """Where the records come from and how they are split."""

    source: Literal["embedded", "files", "java"] = "embedded"
    """`embedded`: the generated corpus; `files`: the JSONL files named below; `java`: what is mined from the projects
    in `java_sources`, with `validation_file` and `test_file` where these are set."""
    java_sources: tuple[PathText, ...] = ()
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
    split_by: Literal["auto", "project", "test_class", "record"] = "auto"
    """`project`: no project is on two sides of a split; `test_class`: projects may be, but no test class is (records
    name its file as `test_file`, which mined ones do); `auto`: by project where every record names one, else by
    record. Whatever is chosen, no focal method is on two sides, equal ones up to literals."""
    split_seed: Seed = 42
    """Seed of the split, of the order of the training records and of the choice of labelled records."""
    format: Format = "auto"
    """Format of the files: `jsonl`; `atlas`: the folder of `testMethods.txt` and `assertLines.txt`, or the first of
    them; `methods2test`: a folder of JSON files as Methods2Test has them, or JSONL of such objects. `auto` tells them
    apart by name and fields."""
    on_visible_answer: VisibleAnswerPolicy = "keep"
    """A record whose test shows its own assertion beside the marker, so that copying it is enough. `keep` counts it in
    `quality.json` and warns with the share: real tests do repeat assertions. `reject`: it is a bad record. `mask`: the
    shown statement becomes `/* masked */;`, in a comment or string `masked`; in a test without marker the marker takes
    the statement's place."""
    on_bad_record: Literal["reject", "error"] = "reject"
    """`reject`: a bad record is counted and written to `rejected.jsonl`; `error`: the first stops the run."""
    multiple: Literal["split", "join"] = "split"
    """A record with a list of assertions becomes one record each (`split`) or one joined target (`join`)."""
    max_characters: int = Field(20_000, ge=100)
    """Longest focal method, test, assertion or list of assertions, in characters; a longer one is a bad record."""
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
    def has_external_teacher(self) -> bool:
        """Whether files take the place of a teacher."""
        return self.distillation_jsonl.train is not None

    @property
    def is_mined(self) -> bool:
        """Whether the training records come out of Java projects."""
        return self.source == "java" and not self.has_external_teacher

    @property
    def files(self) -> dict[str, str]:
        """Split name to the JSONL file that the config names for it, training first; empty for a generated corpus."""
        named: dict[str, str | None] = {}
        if self.has_external_teacher:
            named = self.distillation_jsonl.model_dump()
        elif self.source != "embedded":
            train = self.train_file if self.source == "files" else None
            named = {"train": train, "validation": self.validation_file, "test": self.test_file}
        return {split: file for split, file in named.items() if file is not None}

    @model_validator(mode="after")
    def _format_is_that_of_all_files(self) -> "DataSettings":
        if self.format not in ("auto", "jsonl") and (self.has_external_teacher or self.is_mined):
            raise ValueError(f"format {self.format}: mined records and those with a teacher's logits are JSONL: auto")
        return self

    @model_validator(mode="after")
    def _shares_leave_training_records(self) -> "DataSettings":
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share + test_share must stay below 1, so that training records are left")
        return self
