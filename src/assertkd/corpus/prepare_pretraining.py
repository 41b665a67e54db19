"""The rule `prepare_pretraining`: records with gaps in methods of Java projects, none of a class in another split."""

import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from assertkd.corpus.leakage import TEST_FILE, named_method, triple_key
from assertkd.corpus.mine.counts import Counts
from assertkd.corpus.mine.mine_corpus import cut_records, parsed_projects
from assertkd.corpus.params import PreparePretrainingParams
from assertkd.corpus.split import split_off
from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.java.gaps import cut_statements, cut_tokens
from assertkd.java.placeholder import code_at
from assertkd.java.projects import Project, find_projects
from assertkd.java.source import read_source
from assertkd.java.source_roots import lies_with_tests
from assertkd.java.structure import JavaFile, Method
from assertkd.java.tests import uses_test_library
from assertkd.layout import CorpusLayout
from assertkd.records import MARKER, Record, read_records, write_records

SAME_TEST = "with a test of validation or test, up to literals"
SAME_TEST_CLASS = "with the name of a test class of validation or test"
SAME_FOCAL_METHOD = "with a focal method of validation or test, up to literals"
OF_SUCH_A_PROJECT = "of a project of validation or test"
"""Why a file is left out."""

MIN_SHARED_CHARACTERS = 80
"""Of a method from its name on, `blanked`, from which on it tells that two classes are the same."""
MASKED = "/* masked */"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """What must not be trained on: the methods, test classes and projects of the validation and test splits."""

    records: list[Record]

    @cached_property
    def projects(self) -> set[str]:
        """Names of their projects without owners, in lower case; of an address its last part."""
        names = (record.project.casefold().rstrip("/") for record in self.records if record.project)
        return {name.rpartition("/")[2].removesuffix(".git") for name in names}

    @cached_property
    def focal_methods(self) -> set[str]:
        """Their focal methods from the names on, blanked."""
        return {named_method(record.focal_method)[1] for record in self.records}

    @cached_property
    def test_classes(self) -> set[str]:
        """Names of the files of their tests, without folders."""
        files = (record.extra.get(TEST_FILE) for record in self.records)
        # Of Windows and other systems.
        return {PureWindowsPath(str(file)).name for file in files if file}

    @cached_property
    def tests(self) -> dict[str, list[str]]:
        """Name of each of their tests to its text up to the gap or, where that is short, its assertion, blanked."""
        beginnings: dict[str, list[str]] = defaultdict(list)
        for record in self.records:
            # A statement that was masked is not what the source has.
            before_gap = record.test_method.partition(MARKER)[0].partition(MASKED)[0]
            name, text = named_method(before_gap)
            if not text:
                # A short assertion alone is in many tests.
                text = named_method(record.test_method.replace(MARKER, record.assertion))[1]
                if len(text) < MIN_SHARED_CHARACTERS:
                    continue
            elif len(text) < MIN_SHARED_CHARACTERS:
                text = named_method(before_gap + record.assertion)[1]
            beginnings[name].append(text)
        return beginnings

    def reason_against(self, file: JavaFile, source: bytes) -> str | None:
        """Return why a file must not be trained on, or None; that it shares a short method is no reason."""
        without_name = self.tests.get("", [])
        for _, test in file.tests:
            text = named_method(code_at(source, test.span))[1]
            if text.startswith(tuple(self.tests.get(test.name, []))) or any(part in text for part in without_name):
                return SAME_TEST
        if PurePosixPath(file.path).name in self.test_classes:
            return SAME_TEST_CLASS
        for declared in file.classes:
            for method in declared.methods:
                text = named_method(code_at(source, method.span))[1]
                if len(text) >= MIN_SHARED_CHARACTERS and text in self.focal_methods:
                    return SAME_FOCAL_METHOD
        return None

    def holds_method_of(self, record: Record) -> bool:
        """Return whether a record's focal method, or the production method that it is cut out of, is one of theirs."""
        method = record.focal_method or record.test_method.replace(MARKER, record.assertion)
        return named_method(method)[1] in self.focal_methods


def prepare_pretraining(params: PreparePretrainingParams, corpus: Path, workers: int) -> dict[str, Any]:
    """Write `pretraining.jsonl`, `pretraining_validation.jsonl` and `pretraining.json` to `corpus`.

    A record's assertion is what was cut out: an assertion or another statement of a test, whose focal method stands
    beside it, or a run of tokens of a production method, without a focal method. No code of the projects is executed.

    Args:
        params: the projects, and what is cut out.
        corpus: folder that `prepare_corpus` wrote.
        workers: processes that parse.

    Returns:
        The content of `pretraining.json`.

    Raises:
        UserError: a folder is missing, or no record is left.
    """
    layout = CorpusLayout(corpus)
    held_out = HeldOut([record for name in ("validation", "test") for record in read_records(layout.split(name))])
    projects = find_projects([Path(folder) for folder in params.java_sources])
    apart = params.projects_apart and all(record.project for record in held_out.records)
    left_out: dict[str, Counter[str]] = {}
    records: list[Record] = []
    with closing(parsed_projects(projects, params.mining.max_file_bytes, workers)) as parsed:
        for project, files in parsed:
            counts = left_out[project.name] = Counter()
            found = _records_of_project(project, files, params, held_out, apart, counts)
            records += (record for record in found if not held_out.holds_method_of(record))
            log.info("%s: %d records so far; files left out: %s", project.name, len(records), dict(counts))
    unique = list({triple_key(record): record for record in records}.values())
    chosen = _with_share_of_production(unique, params.production_share, params.seed)
    if not chosen:
        reasons = "; ".join(f"{name}: {dict(counts)}" for name, counts in left_out.items())
        raise UserError(
            f"{', '.join(params.java_sources)}: no method is left to train on; files left out: {reasons}",
            "Name folders with other projects in teacher.pretrain.java_sources.",
        )
    try:
        splits = split_off(chosen, {"validation": params.validation_share}, _file, params.seed)
    except UserError:
        count = len(set(map(_file, chosen)))
        larger = ", or raise teacher.pretrain.validation_share" if count > 1 else ""
        raise UserError(
            f"{', '.join(params.java_sources)}: records of {count} files are too few to validate on others",
            f"Name more projects in teacher.pretrain.java_sources{larger}.",
        ) from None
    random.Random(params.seed).shuffle(splits["train"])
    write_records(layout.pretraining, splits["train"])
    write_records(layout.pretraining_validation, splits["validation"])
    content = {
        "kept": {name: len(part) for name, part in splits.items()},
        "kinds": dict(Counter(str(record.extra["kind"]) for record in chosen).most_common()),
        "duplicates": len(records) - len(unique),
        "production_methods_not_drawn": len(unique) - len(chosen),
        "files_left_out": dict(sum(left_out.values(), Counter()).most_common()),
        "projects": {name: dict(counts.most_common()) for name, counts in left_out.items()},
    }
    write_json(layout.pretraining_counts, content)
    log.info("kept %s of kinds %s", content["kept"], content["kinds"])
    return content


def _records_of_project(
    project: Project,
    files: list[JavaFile],
    params: PreparePretrainingParams,
    held_out: HeldOut,
    apart: bool,
    counts: Counter[str],
) -> Iterator[Record]:
    """Yield the records of a project's files that may be trained on; those left out are counted by reason.

    Where projects are `apart`, none is used that has the name of one in validation or test, or one of its tests.
    """
    allowed: list[JavaFile] = []
    for file in files:
        reason = file.fault or held_out.reason_against(file, read_source(project.root / file.path))
        if reason is not None:
            counts[reason] += 1
        else:
            allowed.append(file)
    if apart and (SAME_TEST in counts or project.root.name.casefold() in held_out.projects):
        counts[OF_SUCH_A_PROJECT] += len(allowed)
        return
    yield from _test_records(project, allowed, params)
    for file in allowed:
        if not any(file.tests) and not uses_test_library(file.imports) and not lies_with_tests(file.path, file.package):
            yield from _production_records(project, file, params)


def _test_records(project: Project, files: list[JavaFile], params: PreparePretrainingParams) -> Iterator[Record]:
    """Yield the records of assertions, and of other statements of the same tests."""
    tests: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in cut_records(project, files, params.mining_params(), Counts()):
        tests[record.extra[TEST_FILE], record.extra["test_name"]].append(record)
        yield replace(record, extra={"kind": "assertion", "file": record.extra[TEST_FILE]})
    for (file, name), of_test in tests.items():
        first = of_test[0]
        whole = first.test_method.replace(MARKER, first.assertion)
        rng = random.Random(f"{params.seed} {first.id}")
        others = cut_statements(whole, params.statements, [record.assertion for record in of_test], rng)
        for number, (method, statement) in enumerate(others):
            identity = f"{project.name}/{file}#{name}:statement{number}"
            extra = {"kind": "statement", "file": file}
            yield Record(identity, first.focal_method, method, statement, project.name, extra)


def _production_records(project: Project, file: JavaFile, params: PreparePretrainingParams) -> Iterator[Record]:
    source = read_source(project.root / file.path)
    methods: Iterable[Method] = (method for declared in file.classes for method in declared.methods if method.has_body)
    for method in methods:
        text = code_at(source, method.span)
        if len(text) > params.max_characters or MARKER in text:
            continue
        identity = f"{project.name}/{file.path}:{method.span.start}"
        cut = cut_tokens(text, params.cut_share, params.longest_cut, random.Random(f"{params.seed} {identity}"))
        if cut is not None:
            yield Record(identity, "", *cut, project.name, {"kind": "tokens", "file": file.path})


def _with_share_of_production(records: list[Record], share: float, seed: int) -> list[Record]:
    """Return the records of tests, and as many of production methods, drawn by the seed, as make up a share of all.

    Where no test is left, all are of production methods, but with a share of 0.
    """
    production = [record for record in records if record.extra["kind"] == "tokens"]
    of_tests = [record for record in records if record.extra["kind"] != "tokens"]
    wanted = round(len(of_tests) * share / (1 - share)) if of_tests or not share else len(production)
    return of_tests + random.Random(seed).sample(production, min(wanted, len(production)))


def _file(record: Record) -> str:
    return f"{record.project}/{record.extra['file']}"
