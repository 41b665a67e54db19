"""How predicted assertions are compiled and run."""

from typing import Literal

from pydantic import Field

from assertkd.settings.section import Section


class ExecuteSettings(Section):
    """How predicted assertions are put into their tests, compiled and run, where records carry the code."""

    enabled: bool | Literal["auto"] = "auto"
    """`auto`: where records carry their code and the machine has a JDK and JUnit, otherwise the report says why not;
    true: stop where it cannot be done; false: do not."""
    checkout: str | None = None
    """Folder of the project that the records were mined from, for records that name `test_file` and `focal_file` there
    and do not carry `test_source` and `class_source` themselves. Its tests are read, never written."""
    class_path: tuple[str, ...] = ()
    """Folders and jars with the compiled classes of the project and what its tests need, tests' own helpers included.
    Where it is set, the class under test is taken from there, and its source serves for mutants alone."""
    jdk_home: str | None = None
    """Folder of a JDK, 11 or newer; null for `JAVA_HOME`, or else the JDK whose `javac` is on the PATH."""
    junit: tuple[str, ...] = ()
    """Jars of JUnit 4 and what it needs; empty for those of Debian's package `junit4`."""
    seconds: float = Field(5.0, gt=0.0, le=600.0)
    """Time limit of one test, in seconds."""
    memory_mb: int = Field(256, ge=32, le=65_536)
    """Java heap of a process that runs tests, in MiB."""
    mutants: int = Field(8, ge=0, le=100)
    """Most mutants of a focal method for `kills`, 0 for none."""
