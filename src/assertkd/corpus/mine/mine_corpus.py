"""Mines Java projects: files are parsed in parallel; a project's tests are linked and cut once its files are read."""

import json
import logging
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assertkd.corpus.mine.counts import Counts, summed
from assertkd.corpus.mine.cut import cut_records
from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.java.declarations import read_declarations
from assertkd.java.projects import Project, find_projects
from assertkd.java.source import normalised
from assertkd.java.structure import JavaFile
from assertkd.records import Record, write_records
from assertkd.settings.data import MiningSettings

CHUNK = 16
"""Files that a process parses at once."""
AHEAD = 8
"""Chunks per process that are parsed ahead of linking; bounds the memory."""

log = logging.getLogger(__name__)

Parse = Callable[[Project, Sequence[Path]], Callable[[], list[JavaFile]]]
"""Starts to parse some files of a project; the function that it returns waits for the result."""


def mine_corpus(
    settings: MiningSettings,
    max_characters: int,
    sources: Sequence[Path],
    records_file: Path,
    counts_file: Path,
    workers: int,
) -> dict[str, Any]:
    """Write a record for every assertion of every test that is linked to the method it tests.

    No code of the projects is executed. One project at a time is in memory.

    Args:
        settings: which files and tests are used.
        max_characters: longest test that is used.
        sources: folders of Java projects.
        records_file: JSONL file for the records.
        counts_file: JSON file for the counts, of all projects together and of each.
        workers: processes that parse; with 1 everything happens in this one.

    Returns:
        The content of `counts_file`.

    Raises:
        UserError: a folder is missing, or there is no Java file, or no record comes out.
    """
    projects = find_projects(sources)
    counts: dict[str, Counts] = {}

    def records() -> Iterator[Record]:
        with _parser(settings.max_file_bytes, workers) as parse:
            for project, files in _parsed_projects(projects, parse, workers):
                counts[project.name] = Counts()
                yield from cut_records(project, files, settings, max_characters, counts[project.name])
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


def parse_files(root: Path, paths: Sequence[Path], max_bytes: int) -> list[JavaFile]:
    """Return what each file declares; one that cannot be used has its `fault` set and no classes."""
    return [_parse_file(path, path.relative_to(root).as_posix(), max_bytes) for path in paths]


def _parse_file(path: Path, name: str, max_bytes: int) -> JavaFile:
    try:
        if path.stat().st_size > max_bytes:
            return JavaFile(name, fault=f"larger than {max_bytes} bytes")
        raw = path.read_bytes()
    except OSError as fault:
        return JavaFile(name, fault=f"cannot be read ({fault.strerror})")
    if b"\0" in raw:
        return JavaFile(name, fault="no text")
    return read_declarations(normalised(raw), name)


@contextmanager
def _parser(max_bytes: int, workers: int) -> Iterator[Parse]:
    if workers == 1:
        yield lambda project, paths: lambda: parse_files(project.root, paths, max_bytes)
        return
    # Forked, because a spawned process would run the calling script a second time.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:

        def start(project: Project, paths: Sequence[Path]) -> Callable[[], list[JavaFile]]:
            future: Future[list[JavaFile]] = pool.submit(parse_files, project.root, paths, max_bytes)
            return future.result

        yield start


def _parsed_projects(
    projects: Sequence[Project], parse: Parse, workers: int
) -> Iterator[tuple[Project, list[JavaFile]]]:
    """Yield every project with its parsed files; meanwhile the files of the next ones are parsed."""
    chunks = ((project, start) for project in projects for start in range(0, len(project.files), CHUNK))
    pending: deque[tuple[Project, Callable[[], list[JavaFile]]]] = deque()

    def start_chunks() -> None:
        for project, start in chunks:
            pending.append((project, parse(project, project.files[start : start + CHUNK])))
            if len(pending) >= AHEAD * workers:
                return

    start_chunks()
    for project in projects:
        files: list[JavaFile] = []
        while pending and pending[0][0] is project:
            files += pending.popleft()[1]()
            start_chunks()
        yield project, files
