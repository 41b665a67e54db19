"""The rule `prepare_pretraining`: records with gaps in methods of Java projects, none of a class in another split."""

import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from assertkd.corpus.leakage import blanked, focal_key, method_name, triple_key
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

SAME_TEST = "test of validation or test, up to literals"
TELLING = 80
"""Characters, blanked, from which on two classes with the same method are taken for the same."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """What must not be trained on: the methods and test classes of the validation and test splits."""

    records: list[Record]

    @cached_property
    def focal(self) -> set[str]:
        """Their focal methods, blanked."""
        return {focal_key(record) for record in self.records}

    @cached_property
    def test_classes(self) -> set[str]:
        """Names of the files of their tests, without folders."""
        return {
            PurePosixPath(str(record.extra["test_file"])).name for record in self.records if "test_file" in record.extra
        }

    @cached_property
    def tests(self) -> dict[str, list[str]]:
        """Name of each of their tests to what stands between it and the gap, blanked."""
        heads: dict[str, list[str]] = defaultdict(list)
        for record in self.records:
            name = method_name(record.test_method)
            heads[name].append(_from_name(name, record.test_method.partition(MARKER)[0]))
        return heads

    def reason_against(self, file: JavaFile, source: bytes) -> str | None:
        """Return why a file must not be trained on, or None; that it shares a short method is no reason."""
        for _, test in file.tests:
            heads = self.tests.get(test.name)
            if heads and _from_name(test.name, code_at(source, test.span)).startswith(tuple(heads)):
                return SAME_TEST
        if PurePosixPath(file.path).name in self.test_classes:
            return "test class of the name of one in validation or test"
        for declared in file.classes:
            for method in declared.methods:
                key = blanked(code_at(source, method.span))
                if len(key) >= TELLING and key in self.focal:
                    return "focal method of validation or test, up to literals"
        return None

    def has(self, record: Record) -> bool:
        """Return whether a record's focal method, or the production method that it is cut out of, is one of theirs."""
        method = record.focal_method or record.test_method.replace(MARKER, record.assertion)
        return blanked(method) in self.focal


def _from_name(name: str, method: str) -> str:
    """Return a method from its name on, blanked: its annotations and modifiers do not tell it from another."""
    text = blanked(method)
    return text[max(0, text.find(f"{name}(")) :]


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
    left_out: dict[str, Counter[str]] = {}
    records: list[Record] = []
    with closing(parsed_projects(projects, params.mining.max_file_bytes, workers)) as parsed:
        for project, files in parsed:
            counts = left_out[project.name] = Counter()
            found = _records_of_project(project, files, params, held_out, counts)
            records += (record for record in found if not held_out.has(record))
            log.info("%s: %d records so far; files left out: %s", project.name, len(records), dict(counts))
    unique = list({triple_key(record): record for record in records}.values())
    chosen = _with_share_of_production(unique, params.production_share, params.seed)
    if not chosen:
        raise UserError(
            f"{', '.join(params.java_sources)}: no method is left to train on; files left out: {left_out}",
            "Name folders with other projects in teacher.pretrain.java_sources.",
        )
    splits = split_off(chosen, {"validation": params.validation_share}, _file, params.seed)
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
    project: Project, files: list[JavaFile], params: PreparePretrainingParams, held_out: HeldOut, counts: Counter[str]
) -> Iterator[Record]:
    """Yield the records of a project's files that may be trained on; those left out are counted by reason."""
    allowed: list[JavaFile] = []
    for file in files:
        reason = file.fault or held_out.reason_against(file, read_source(project.root / file.path))
        if reason is not None:
            counts[reason] += 1
        else:
            allowed.append(file)
    if params.projects_apart and counts[SAME_TEST]:
        counts["of a project with such a test"] += len(allowed)
        return
    yield from _test_records(project, allowed, params)
    for file in allowed:
        if not any(file.tests) and not uses_test_library(file.imports) and not lies_with_tests(file.path, file.package):
            yield from _production_records(project, file, params)


def _test_records(project: Project, files: list[JavaFile], params: PreparePretrainingParams) -> Iterator[Record]:
    """Yield the records of assertions, and of other statements of the same tests."""
    tests: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in cut_records(project, files, params.of_mining(), Counts()):
        tests[record.extra["test_file"], record.extra["test_name"]].append(record)
        yield replace(record, extra={"kind": "assertion", "file": record.extra["test_file"]})
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
    """Return the records of tests, and as many of production methods, drawn by the seed, as make up a share of all."""
    production = [record for record in records if record.extra["kind"] == "tokens"]
    of_tests = [record for record in records if record.extra["kind"] != "tokens"]
    wanted = round(len(of_tests) * share / (1 - share)) if of_tests else len(production)
    return of_tests + random.Random(seed).sample(production, min(wanted, len(production)))


def _file(record: Record) -> str:
    return f"{record.project}/{record.extra['file']}"
