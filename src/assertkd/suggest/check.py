"""Suggested assertions compiled and run in their test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from assertkd.errors import UserError
from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.jdk import ToolMissingError, find_toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.runner import Runner
from assertkd.evaluation.execution.units import asserts, is_whole_statement, subject_of
from assertkd.java.declarations import read_declarations
from assertkd.java.nearby import nearby_files
from assertkd.java.source import read_source
from assertkd.records import MARKER, Record
from assertkd.suggest.place import Place

HERE = "// <HERE>"
"""Stands for the gap while the file's other markers are taken out."""

SECONDS = 5.0
"""Time limit of one test."""


@dataclass(frozen=True, slots=True)
class Check:
    """What became of a suggestion.

    Attributes:
        compiles: whether javac accepts it in its place.
        passes: whether the test passes with it.
        message: what is wrong; "" where it passes.
    """

    compiles: bool
    passes: bool
    message: str


def check_assertions(
    place: Place, assertions: Sequence[str], folders: Sequence[Path], class_path: Sequence[Path] = ()
) -> list[Check]:
    """Return for each assertion whether it compiles in its place, and whether the test passes with it.

    Args:
        place: the test.
        assertions: what may go there.
        folders: where the classes of its project lie, in source; those that the test names are compiled with it.
        class_path: the project's compiled classes, where there are any, and what its tests need beside JUnit.

    Raises:
        UserError: there is no JDK or JUnit, or the test does not compile whatever stands in it.
    """
    try:
        toolchain = find_toolchain()
    except ToolMissingError as missing:
        raise UserError(f"--check: {missing}", "Install it, or leave --check out.") from None
    # Other tests of the file may have gaps too.
    source = place.filled(HERE).decode().replace(MARKER, "").replace(HERE, MARKER)
    subject = subject_of(Record("", place.focal_method, place.gap.test, "", extra={"test_source": source}))
    if subject is None:
        raise UserError(f"{place.file}: the test is in no class that could be run", "Check that the file parses.")
    others = {} if class_path else sources_near(place, folders)
    with ExecutionPool(toolchain, class_path, workers=1) as execution_pool:
        texts = ["", *(text for text in assertions if is_whole_statement(text))]
        units = [Unit(execution_pool.new_folder(), {**others, **subject.filled(text)}) for text in texts]
        errors = execution_pool.compile(units)
        if all(errors):
            raise UserError(
                f"{place.file}: does not compile, whatever stands in the gap ({errors[0]})",
                "Build the project, and name its classes and jars with --class-path.",
            )
        found = dict(zip(texts, zip(units, errors, strict=True), strict=True))

        def judge(text: str, runner: Runner) -> Check:
            unit, error = found.get(text, (None, "no whole statement"))
            if unit is None or error is not None:
                return Check(False, False, str(error))
            if not asserts(text):
                return Check(True, False, "no assertion")
            run = runner.run(subject.test_class, subject.test_method, [unit.folder], SECONDS)
            return Check(True, run.passed, run.message if run.message or run.passed else run.ended)

        return list(execution_pool.each(assertions, lambda batch: [partial(judge, text) for text in batch]))


def sources_near(place: Place, folders: Sequence[Path]) -> Mapping[str, str]:
    """Return the sources of a project's classes that a test names, by the path that their package asks for."""
    test = read_declarations(place.source, place.file, lenient=True)
    return {
        "/".join([*filter(None, file.package.split(".")), path.name]): read_source(path).decode("utf-8")
        for path, file in nearby_files(place.source, test, folders).items()
    }
