"""The generator: draws a family, a project and a style for each record, and renders the scenario."""

import random
from collections.abc import Iterator, Sequence

from assertkd.records import Record
from assertkd.synthetic import java
from assertkd.synthetic.families import FAMILIES, Family, families_named
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.names import PROJECTS, Project
from assertkd.synthetic.style import STYLES, write_test

MOST_ATTEMPTS = 200


def generate(records: int, seed: int, families: Sequence[str] | None = None) -> Iterator[Record]:
    """Yield `records` records of small Java classes with JUnit 4 tests, no two with the same input.

    The same arguments give the same records on every machine, and a longer run starts with the records of a
    shorter one of the same seed. Records go round the projects in turn. `extra` holds the compilation units
    `class_source` and `test_source` (with the marker in place of the assertion), `class_name`, `test_class_name`,
    `family` and `assertion_type`. Each record has a package of its own, so that all compile together.

    Args:
        records: how many.
        seed: of all choices.
        families: names of the families to draw from, in any order; None for all.

    Raises:
        UserError: there is no such family.
        RuntimeError: the families are too few for so many different records.
    """
    chosen = FAMILIES if families is None else families_named(families)
    written: set[tuple[str, str]] = set()
    for number in range(records):
        project = PROJECTS[number % len(PROJECTS)]
        for attempt in range(MOST_ATTEMPTS):
            record = _record(number, project, chosen, random.Random(f"{seed}/{number}/{attempt}"))
            key = (record.focal_method, record.test_method)
            if key not in written:
                break
        else:
            raise RuntimeError(f"record {number}: {MOST_ATTEMPTS} attempts gave inputs already written")
        written.add(key)
        yield record


def _record(number: int, project: Project, families: Sequence[Family], rng: random.Random) -> Record:
    family = rng.choices(families, [family.weight for family in families])[0]
    style = STYLES[project.number % len(STYLES)]
    scenario = family.scenario(NameSource(rng, project))
    test = write_test(scenario, style, rng)
    package = f"synthetic.r{number:05d}"
    name = scenario.class_name
    heading = f"{name} implements {scenario.implements}" if scenario.implements else name
    return Record(
        id=f"synthetic-{number:05d}",
        focal_method=java.member(scenario.body, scenario.focal),
        test_method=test.method,
        assertion=test.assertion,
        project=project.name,
        extra={
            "family": family.name,
            "assertion_type": scenario.claim.kind,
            "class_name": name,
            "test_class_name": f"{name}Test",
            "class_source": java.class_unit(package, heading, scenario.body),
            "test_source": java.test_unit(package, f"{name}Test", test.method),
        },
    )
