"""Suggested assertions compiled and run in their test."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from assertkd.errors import UserError
from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.jdk import ToolMissingError, find_toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.runner import NOT_RUN, Runner
from assertkd.evaluation.execution.units import asserts, is_whole_statement, subject_of
from assertkd.java.declarations import read_declarations
from assertkd.java.nearby import nearby_files
from assertkd.java.projects import source_files
from assertkd.java.source import read_source
from assertkd.records import MARKER, Record
from assertkd.signals import StopSignals
from assertkd.suggest.site import AssertionSite

HERE = "// <HERE>"
"""Replaces the marker of this test while those of the file's other tests are removed."""

SECONDS = 5.0
"""Time limit of one test."""


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a suggestion holds.

    Attributes:
        compiles: whether javac accepts it in its place.
        passes: whether the test passes with it.
        message: what is wrong; "" where it passes.
        ran: whether the test was run; its framework may refuse it, whatever the assertion.
    """

    compiles: bool
    passes: bool
    message: str
    ran: bool = True


def check_assertions(
    site: AssertionSite, assertions: Sequence[str], folders: Sequence[Path], class_path: Sequence[Path] = ()
) -> list[Check]:
    """Return for each assertion whether it compiles in its place, and whether the test passes with it.

    Args:
        site: the test.
        assertions: texts.
        folders: those of its project's sources; the classes that the test names are compiled with it.
        class_path: the project's compiled classes, where there are any, and what its tests need beside JUnit.

    Raises:
        UserError: there is no JDK or JUnit or no way to confine them, the test does not compile even without an
            assertion, or it cannot be run.
    """
    try:
        execution_pool = ExecutionPool(find_toolchain(), class_path, workers=1)
    except ToolMissingError as missing:
        raise UserError(f"--check: {missing}", "Install it, or leave --check out.") from None
    # Other tests of the file may have markers too.
    source = site.placeholder.filled(site.source, HERE).decode().replace(MARKER, "").replace(HERE, MARKER)
    subject = subject_of(Record("", site.focal_method, site.placeholder.test, "", extra={"test_source": source}))
    if subject is None:
        raise UserError(f"{site.file}: the test is in no class that could be run", "Check that the file parses.")
    others = {}
    if not class_path:
        test = read_declarations(site.source, site.file)
        nearby = nearby_files(site.source, test, folders)
        # A test of an abstract class or an interface runs in the classes that extend it.
        for path in _extending(subject.test_class.rpartition(".")[2].rpartition("$")[2], folders):
            nearby.setdefault(path, read_declarations(read_source(path), path.name))
        for path, file in nearby.items():
            # The path that the file's package requires.
            others["/".join([*filter(None, file.package.split(".")), path.name])] = read_source(path).decode("utf-8")
    with StopSignals(), execution_pool:
        texts = ["", *(text for text in assertions if is_whole_statement(text))]
        units = [Unit(execution_pool.new_folder(), {**others, **subject.filled(text)}) for text in texts]
        errors = execution_pool.compile(units)
        if all(errors):
            raise UserError(
                f"{site.file}: does not compile, whatever replaces the placeholder ({errors[0]})",
                "Build the project, and name its classes and jars with --class-path, or write --class-path build.",
            )
        compiled = dict(zip(texts, zip(units, errors, strict=True), strict=True))

        def check(text: str, runner: Runner) -> Check:
            unit, error = compiled.get(text, (None, "no whole statement"))
            if unit is None or error is not None:
                return Check(False, False, str(error))
            if not asserts(text):
                return Check(True, False, "no assertion")
            outcome = runner.run(subject.test_class, subject.test_method, [unit.folder], SECONDS)
            message = outcome.message if outcome.message or outcome.passed else outcome.ended
            return Check(True, outcome.passed, message, outcome.ended != NOT_RUN)

        checks = list(execution_pool.each(assertions, lambda batch: [partial(check, text) for text in batch]))
    compiling = [one for one in checks if one.compiles]
    if compiling and not any(one.ran for one in compiling):
        raise UserError(
            f"{site.file}: {site.test} was not run ({compiling[0].message})",
            "Name what it needs with --class-path, or leave --check out.",
        )
    return checks


def _extending(name: str, folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the files of a project with classes that extend or implement one of this name."""
    pattern = re.compile(rb"\b(?:extends|implements)\b[^{;()]*\b" + re.escape(name.encode()) + rb"\b")
    for path in (path for folder in folders for path in source_files(folder)):
        if pattern.search(read_source(path)):
            yield path
