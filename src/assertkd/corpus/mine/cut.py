"""Records of one project, from its parsed files."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from assertkd.corpus.mine.counts import Counts
from assertkd.corpus.params import MineCorpusParams
from assertkd.java.focal import Linker
from assertkd.java.index import ProjectIndex
from assertkd.java.placeholder import code_at, cut_assertion
from assertkd.java.projects import Project
from assertkd.java.source import read_source
from assertkd.java.structure import JavaFile, JavaTest
from assertkd.records import MARKER, Record

CACHED_SOURCES = 64
"""Sources in memory while records are cut: tests and their focal methods are in few files at a time."""


def cut_records(
    project: Project, files: Sequence[JavaFile], params: MineCorpusParams, counts: Counts
) -> Iterator[Record]:
    """Yield a record for every assertion whose test is linked to a focal method.

    Args:
        project: where the files lie.
        files: all files of the project, parsed.
        params: which tests are used.
        counts: grow while the records are read.
    """
    index = ProjectIndex(file for file in files if file.fault is None)
    linker = Linker(index)
    licence = {} if project.licence is None else {"licence_file": project.licence}

    @lru_cache(maxsize=CACHED_SOURCES)
    def source(path: str) -> bytes:
        return read_source(project.root / path)

    for file in files:
        counts.files += 1
        counts.lines += file.lines
        if file.fault is not None:
            counts.bad_files[file.fault] += 1
        for test_class, test in file.tests:
            if not index.is_test(test_class, test.framework):
                continue
            counts.tests[test.framework] += 1
            fault = _fault(test, source(file.path), params)
            if fault is not None:
                counts.tests_left_out[fault] += 1
                continue
            linked = False
            ends = [assertion.span.end for assertion in test.assertions]
            for number, link in enumerate(linker.links(file, test_class, test, ends)):
                counts.assertions += 1
                if isinstance(link, str):
                    counts.unlinked[link] += 1
                    continue
                counts.records[link.how] += 1
                linked = True
                assertion, owner = test.assertions[number], link.focal.owner
                focal = code_at(source(owner.file), link.focal.method.span)
                method, text = cut_assertion(source(file.path), test.span, assertion.span)
                extra = {
                    "assertion_type": assertion.kind,
                    "link": link.how,
                    "framework": test.framework,
                    "focal_name": link.focal.label,
                    "focal_file": owner.file,
                    "test_name": f"{test_class.name}.{test.name}",
                    "test_file": file.path,
                    "line": source(file.path).count(b"\n", 0, assertion.span.start) + 1,
                    **licence,
                }
                identity = f"{project.name}/{file.path}#{test_class.name}.{test.name}:{extra['line']}:{number}"
                yield Record(identity, focal, method, text, project.name, extra)
            counts.tests_linked += linked


def _fault(test: JavaTest, source: bytes, params: MineCorpusParams) -> str | None:
    """Return why a test is left out, or None."""
    most = params.mining.max_assertions
    text = source[test.span.start : test.span.end].decode("utf-8")
    if not test.assertions:
        return "no assertion"
    if test.disabled:
        return "disabled"
    if most is not None and len(test.assertions) > most:
        return f"more than {most} assertions"
    if len(text) > params.max_characters:
        return f"longer than {params.max_characters} characters"
    return "holds the marker" if MARKER in text else None
