"""Records of one project, from its parsed files."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from assertkd.corpus.mine.counts import Counts
from assertkd.java.focal import Link, Linker, Unlinked
from assertkd.java.index import ProjectIndex
from assertkd.java.placeholder import code_at, cut_assertion
from assertkd.java.projects import Project
from assertkd.java.source import read_source
from assertkd.java.structure import CONSTRUCTOR, Assertion, JavaClass, JavaFile, JavaTest
from assertkd.records import MARKER, Record
from assertkd.settings.data import MiningSettings

CACHED_SOURCES = 64
"""Sources in memory while records are cut: tests and their focal methods are in few files at a time."""


def cut_records(
    project: Project, files: Sequence[JavaFile], settings: MiningSettings, max_characters: int, counts: Counts
) -> Iterator[Record]:
    """Yield a record for every assertion whose test is linked to a focal method.

    Args:
        project: where the files lie.
        files: all files of the project, parsed.
        settings: which tests are used.
        max_characters: longest test that is used.
        counts: grow while the records are read.
    """
    index = ProjectIndex(file for file in files if file.fault is None)
    linker = Linker(index)

    @lru_cache(maxsize=CACHED_SOURCES)
    def source(path: str) -> bytes:
        return read_source(project.root / path)

    for file in files:
        counts.files += 1
        counts.lines += file.lines
        if file.fault is not None:
            counts.bad_files[file.fault] += 1
        for test_class in file.classes:
            for test in test_class.tests:
                if not index.is_test(test_class, test.framework):
                    continue
                counts.tests[test.framework] += 1
                fault = _fault(test, source(file.path), settings, max_characters)
                if fault is not None:
                    counts.tests_left_out[fault] += 1
                    continue
                linked = False
                for number, assertion in enumerate(test.assertions):
                    counts.assertions += 1
                    link = linker.link(file, test_class, test, assertion)
                    if isinstance(link, Unlinked):
                        counts.unlinked[link.reason] += 1
                        continue
                    counts.records[link.how] += 1
                    linked = True
                    focal = code_at(source(link.focal.owner.file), link.focal.method.span)
                    method, text = cut_assertion(source(file.path), test.span, assertion.span)
                    extra = _about(project, file, test_class, test, assertion, link, source(file.path))
                    identity = f"{project.name}/{file.path}#{test_class.name}.{test.name}:{extra['line']}:{number}"
                    yield Record(identity, focal, method, text, project.name, extra)
                counts.tests_linked += linked


def _fault(test: JavaTest, source: bytes, settings: MiningSettings, max_characters: int) -> str | None:
    """Return why a test is left out, or None."""
    if not test.assertions:
        return "no assertion"
    if test.disabled:
        return "disabled"
    if settings.max_assertions is not None and len(test.assertions) > settings.max_assertions:
        return f"more than {settings.max_assertions} assertions"
    text = source[test.span.start : test.span.end]
    if len(text.decode("utf-8")) > max_characters:
        return f"longer than {max_characters} characters"
    if MARKER.encode() in text:
        return "holds the marker"
    return None


def _about(
    project: Project,
    file: JavaFile,
    test_class: JavaClass,
    test: JavaTest,
    assertion: Assertion,
    link: Link,
    source: bytes,
) -> dict[str, str | int]:
    owner, method = link.focal.owner, link.focal.method
    name = owner.simple_name if method.name == CONSTRUCTOR else method.name
    about: dict[str, str | int] = {
        "assertion_type": assertion.kind,
        "link": link.how,
        "framework": test.framework,
        "focal_name": f"{owner.name}.{name}",
        "focal_file": owner.file,
        "test_name": f"{test_class.name}.{test.name}",
        "test_file": file.path,
        "line": source.count(b"\n", 0, assertion.span.start) + 1,
    }
    return about if project.licence is None else about | {"licence_file": project.licence}
