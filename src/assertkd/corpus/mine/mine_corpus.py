"""The rule `mine_corpus`: files are parsed in parallel, then a project's tests are linked and cut into records."""

import json
import logging
import multiprocessing
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import lru_cache, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from assertkd.corpus.mine.counts import Counts, summed
from assertkd.corpus.params import MineCorpusParams
from assertkd.corpus.visible_answers import find_visible_answers, plainest_kind
from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.java.assertions import EXPECTS
from assertkd.java.declarations import read_declarations
from assertkd.java.focal import Linker
from assertkd.java.index import ProjectIndex
from assertkd.java.placeholder import code_at, cut_assertion
from assertkd.java.projects import Project, find_projects
from assertkd.java.source import normalised, read_source
from assertkd.java.structure import Assertion, JavaFile, JavaTest
from assertkd.jsonl import storable
from assertkd.records import MARKER, Record, write_records

CHUNK = 16
"""Files that a process parses at once."""
CACHED_SOURCES = 64
"""Sources in memory while records are cut: tests and their focal methods are in few files at a time."""
NO_STATEMENT = "no statement of their own (in a lambda that is returned or passed on)"
"""Why assertions are not used: nothing could be cut out that a statement replaces."""

log = logging.getLogger(__name__)


def mine_corpus(params: MineCorpusParams, records_file: Path, counts_file: Path, workers: int) -> dict[str, Any]:
    """Write a record for every assertion of every test that is linked to the method it tests.

    No code of the projects is executed. Two projects at a time are in memory.

    Args:
        params: folders of Java projects, and which files and tests are used.
        records_file: JSONL file for the records.
        counts_file: JSON file for the counts, of all projects together and of each.
        workers: processes that parse.

    Returns:
        The content of `counts_file`.

    Raises:
        UserError: a folder is missing, or there is no Java file, or no record comes out.
    """
    projects = find_projects([Path(folder) for folder in params.java_sources])
    counts: dict[str, Counts] = {}

    def records() -> Iterator[Record]:
        with closing(parsed_projects(projects, params.mining.max_file_bytes, workers)) as parsed:
            for project, files in parsed:
                counts[project.name] = Counts()
                yield from cut_records(project, files, params, counts[project.name])
                log.info("%s: %s", project.name, json.dumps(counts[project.name].as_dict()))
        total = summed(counts.values())
        if not total.records:
            raise UserError(
                f"No record comes out of {total.files} Java files ({total.tests.total()} tests; "
                f"unlinked: {dict(total.unlinked)})",
                "Name folders that hold the tests together with the classes that they test.",
            )

    write_records(records_file, records())
    content = {
        "total": summed(counts.values()).as_dict(),
        "projects": {name: project_counts.as_dict() for name, project_counts in counts.items()},
    }
    write_json(counts_file, content)
    return content


def parsed_projects(
    projects: Sequence[Project], max_bytes: int, workers: int
) -> Generator[tuple[Project, list[JavaFile]], None, None]:
    """Yield every project with its parsed files; meanwhile the next one is parsed."""
    # Forked, because a spawned process would run the calling script a second time.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"))

    def parse(project: Project) -> Iterator[JavaFile]:
        return pool.map(partial(_parse_file, project.root, max_bytes), project.files, chunksize=CHUNK)

    try:
        parsing = parse(projects[0])
        for project, following in zip_longest(projects, projects[1:]):
            files = list(parsing)
            if following is not None:
                parsing = parse(following)
            yield project, files
    finally:
        pool.shutdown(cancel_futures=True)


def _parse_file(root: Path, max_bytes: int, path: Path) -> JavaFile:
    """Return what a file declares; one that cannot be used has its `fault` set and no classes."""
    name = path.relative_to(root).as_posix()
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return JavaFile(storable(name), fault="its name is not UTF-8")
    try:
        if path.stat().st_size > max_bytes:
            return JavaFile(name, fault=f"larger than {max_bytes} bytes")
        raw = path.read_bytes()
    except OSError as fault:
        return JavaFile(name, fault=f"cannot be read ({fault.strerror})")
    if b"\0" in raw:
        return JavaFile(name, fault="no text")
    return read_declarations(normalised(raw), name)


def cut_records(
    project: Project, files: Sequence[JavaFile], params: MineCorpusParams, counts: Counts
) -> Iterator[Record]:
    """Yield a record for every assertion whose test is linked to a focal method; the counts grow meanwhile."""
    index = ProjectIndex((file for file in files if file.fault is None), project.test_roots)
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
        counts.files_in_part += file.in_part
        for _ in range(file.anonymous_tests):
            counts.add_left_out("junit3", "in an anonymous TestCase")
        for test_class, test in file.tests:
            framework = index.framework(test_class, test)
            if framework is None:
                if index.is_left_out(test_class, test):
                    counts.add_left_out("junit3", "named as JUnit 3 names tests, in a class that is no TestCase")
                continue
            assertions, inner = linker.assertions(file, test_class, test)
            fault = _fault(test, assertions, inner, source(file.path), params)
            if fault is not None:
                counts.add_left_out(framework, fault)
                continue
            counts.tests[framework] += 1
            counts.assertions += inner
            counts.unlinked += Counter({NO_STATEMENT: inner})
            linked = False
            ends = [*(assertion.span.end for assertion in assertions), test.body.end]
            *links, link_to_end = linker.links(file, test_class, test, ends)
            for number, (assertion, link) in enumerate(zip(assertions, links, strict=True)):
                if EXPECTS.fullmatch(assertion.kind):
                    link = link_to_end
                counts.assertions += 1
                if isinstance(link, str):
                    counts.unlinked[link] += 1
                    continue
                counts.records[link.how] += 1
                linked = True
                owner = link.focal.owner
                focal = code_at(source(owner.file), link.focal.method.span)
                keep = params.mining.line_comments == "keep"
                method, text = cut_assertion(source(file.path), test.span, assertion.span, keep)
                if (where := _shown(method, text)) is not None:
                    counts.shown[where] += 1
                extra = {
                    "assertion_type": assertion.kind,
                    "link": link.how,
                    "framework": framework,
                    "focal_name": link.focal.label,
                    "focal_file": owner.file,
                    "focal_line": _line(source(owner.file), link.focal.method.span.start),
                    "test_name": f"{test_class.name}.{test.name}",
                    "test_file": file.path,
                    "line": _line(source(file.path), assertion.span.start),
                    **licence,
                }
                identity = f"{project.name}/{file.path}#{test_class.name}.{test.name}:{extra['line']}:{number}"
                yield Record(identity, focal, method, text, project.name, extra)
            counts.tests_linked += linked


def _shown(test: str, assertion: str) -> str | None:
    """Return where a test shows its assertion or a comment on the assertion's line, or None."""
    kind = plainest_kind(find_visible_answers(test, assertion))
    beside = test.partition(MARKER)[2].partition("\n")[0].strip()
    return kind or ("comment on its line" if beside.startswith(("//", "/*")) else None)


def _line(source: bytes, position: int) -> int:
    return source.count(b"\n", 0, position) + 1


def _fault(
    test: JavaTest, assertions: Sequence[Assertion], inner: int, source: bytes, params: MineCorpusParams
) -> str | None:
    """Return why a test is left out, or None."""
    most = params.mining.max_assertions
    text = source[test.span.start : test.span.end].decode("utf-8")
    if not test.parses:
        return "does not parse"
    if not assertions:
        return f"no assertion but such as are {NO_STATEMENT}" if inner else "no assertion"
    if test.disabled:
        return "disabled"
    if most is not None and len(assertions) > most:
        return f"more than {most} assertions"
    if len(text) > params.max_characters:
        return f"longer than {params.max_characters} characters"
    return "holds the marker" if MARKER in text else None
