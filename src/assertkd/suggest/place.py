"""The test that an assertion is asked for, and the method that it tests."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from assertkd.errors import UserError
from assertkd.java.declarations import read_declarations
from assertkd.java.focal import Linker, Unlinked
from assertkd.java.index import Member, ProjectIndex
from assertkd.java.nearby import nearby_files
from assertkd.java.placeholder import Placeholder, code_at, find_placeholder
from assertkd.java.source import read_source
from assertkd.java.structure import CONSTRUCTOR, Assertion, JavaClass, JavaFile, JavaTest
from assertkd.records import MARKER

SHOWN = 12
"""Names that a message lists."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an assertion is asked for.

    Attributes:
        file: what to call the file.
        source: the file, normalised.
        name: of the test, with its class.
        gap: where the assertion goes.
        focal_name: of the method under test, with its class.
        focal_file: where it stands.
        focal_method: its source.
        link: how it was found: `given`, or as in `java.focal.Link`.
    """

    file: str
    source: bytes
    name: str
    gap: Placeholder
    focal_name: str
    focal_file: str
    focal_method: str
    link: str

    def filled(self, assertion: str) -> bytes:
        """Return the file's source with an assertion in its place."""
        return self.gap.filled(self.source, assertion)


def find_place(
    source: bytes, name: str, folders: list[Path], more: list[Path], test: str | None = None, focal: str | None = None
) -> Place:
    """Return where an assertion is asked for in a file.

    Args:
        source: the file that holds the test, normalised.
        name: what to call it.
        folders: where the classes of its project lie.
        more: further files that may hold what is tested.
        test: the test's name, with or without its class; needed where the file has several tests and no marker.
        focal: the method under test as `Class.method`; found by names and calls where it is not given.

    Raises:
        UserError: there is no such test or method, or it is not clear which one is meant.
    """
    file = read_declarations(source, name, lenient=True)
    test_class, chosen = _chosen_test(source, file, test)
    gap = find_placeholder(source, chosen)
    others = {path: read_declarations(read_source(path), path.name) for path in more}
    others |= {path: one for path, one in nearby_files(source, file, folders).items() if path not in others}
    index = ProjectIndex([file, *others.values()])
    if focal is None:
        spot = Assertion("", gap.replaced)
        link = Linker(index).link(file, test_class, chosen, spot)
        if isinstance(link, Unlinked):
            raise UserError(
                f"{name}: it is not clear what {chosen.name} tests: {link.reason}",
                "Name the method with --focal Class.method, and the folder of its class with --sources.",
            )
        member, how = link.focal, str(link.how)
    else:
        member, how = _given(index, [file, *others.values()], focal, chosen), "given"
    home = next((path for path, one in others.items() if member.owner in one.classes), None)
    label = member.owner.simple_name if member.method.name == CONSTRUCTOR else member.method.name
    return Place(
        file=name,
        source=source,
        name=f"{test_class.name}.{chosen.name}",
        gap=gap,
        focal_name=f"{member.owner.name}.{label}",
        focal_file=name if home is None else _from_here(home),
        focal_method=code_at(source if home is None else read_source(home), member.method.span),
        link=how,
    )


def _chosen_test(source: bytes, file: JavaFile, name: str | None) -> tuple[JavaClass, JavaTest]:
    tests = [(declared, test) for declared in file.classes for test in declared.tests]
    if not tests:
        fault = read_declarations(source, file.path).fault
        raise UserError(
            f"{file.path}: holds no test" + (f"; it {fault}" if fault else ""),
            "Give a Java file with a JUnit or TestNG test in it.",
        )
    if name is not None:
        named = [(c, t) for c, t in tests if f".{c.name}.{t.name}".endswith(f".{name.replace('#', '.')}")]
        if not named:
            raise UserError(f"{file.path}: has no test {name!r}", f"It has {_listed(t.name for _, t in tests)}.")
        return named[0]
    marker = MARKER.encode()
    marked = [(c, t) for c, t in tests if source.find(marker, t.body.start, t.body.end) >= 0]
    if len(marked) == 1 or (len(tests) == 1 and not marked):
        return (marked or tests)[0]
    several = marked or tests
    raise UserError(
        f"{file.path}: {len(several)} of its tests {'hold the marker' if marked else 'could be meant'}",
        f"Name one with --test ({_listed(t.name for _, t in several)})"
        + ("." if marked else f", or put {MARKER} where the assertion goes."),
    )


def _given(index: ProjectIndex, files: list[JavaFile], focal: str, test: JavaTest) -> Member:
    owner_name, _, method = focal.replace("#", ".").rpartition(".")
    owners = [one for file in files for one in file.classes if f".{one.name}".endswith(f".{owner_name}")]
    if not owner_name or not owners:
        raise UserError(
            f"--focal {focal}: no class {owner_name!r} was found",
            "Write Class.method, and name the folder of the class with --sources.",
        )
    owner = owners[0]
    method = CONSTRUCTOR if method == owner.simple_name else method
    members = [member for member in index.members(owner).get(method, []) if member.method.has_body]
    if not members:
        names = (name for name in index.members(owner) if name != CONSTRUCTOR)
        raise UserError(
            f"--focal {focal}: {owner.name} has no method {method!r} with a body", f"It has {_listed(names)}."
        )
    for call in reversed(test.calls):
        if call.name == method:
            plain = [one if isinstance(one, str) else "" for one in call.arguments]
            if (found := index.find(owner, method, plain)) in members:
                return found
    return members[0]


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _listed(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(names))
    return ", ".join(every[:SHOWN]) + (", …" if len(every) > SHOWN else "")
