"""The test that an assertion is suggested for, and the method that it tests."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from assertkd.corpus.placeholders import around_marker, find_placeholders
from assertkd.errors import UserError
from assertkd.java.declarations import read_declarations
from assertkd.java.focal import Linker
from assertkd.java.index import Member, ProjectIndex
from assertkd.java.nearby import nearby_files
from assertkd.java.placeholder import Placeholder, code_at, find_placeholder
from assertkd.java.source import read_source
from assertkd.java.structure import CONSTRUCTOR, JavaClass, JavaFile, JavaTest
from assertkd.records import MARKER

SHOWN = 12
"""Names that a message lists."""


@dataclass(frozen=True, slots=True)
class AssertionSite:
    """The test that an assertion is suggested for, where the assertion goes, and the method that it tests.

    Attributes:
        file: name of the file in messages.
        source: the file, normalised, every form of the marker replaced by `MARKER`.
        test: its name, with its class.
        placeholder: where the assertion goes.
        focal_name: of the method under test, with its class.
        focal_file: the file that declares it.
        focal_method: its source.
        link: how it was found: `given` by the user, or as in `java.focal.Link`.
    """

    file: str
    source: bytes
    test: str
    placeholder: Placeholder
    focal_name: str
    focal_file: str
    focal_method: str
    link: str


def find_site(
    source: bytes, name: str, folders: list[Path], more: list[Path], test: str | None = None, focal: str | None = None
) -> AssertionSite:
    """Return the site of a file that an assertion is suggested for.

    Args:
        source: the file that holds the test, normalised.
        name: name of the file in messages.
        folders: those of its project's classes.
        more: further files that may hold what is tested.
        test: the test's name, with or without its class; needed where the file has several tests and no marker.
        focal: the method under test as `Class.method`; None finds it by names and calls.

    Raises:
        UserError: there is no such test or method, or it is ambiguous.
    """
    original = source.decode("utf-8")
    marked, marks = _with_markers(original)
    source = marked.encode()
    file = read_declarations(source, name)
    test_class, chosen = _chosen_test(source, file, test)
    _check_marks(name, chosen.name, source[chosen.body.start : chosen.body.end].decode("utf-8"))
    placeholder = find_placeholder(source, chosen)
    placeholder = replace(placeholder, line=_line_as_given(placeholder, marks))
    others = {path: read_declarations(read_source(path), path.name) for path in more}
    others |= {path: one for path, one in nearby_files(source, file, folders).items() if path not in others}
    index = ProjectIndex([file, *others.values()])
    if focal is None:
        (link,) = Linker(index).links(file, test_class, chosen, [placeholder.replaced.end])
        if isinstance(link, str):
            raise UserError(
                f"{name}: it is not clear what {chosen.name} tests: {link}",
                "Name the method with --focal Class.method, and the folder of its class with --sources.",
            )
        member, how = link.focal, str(link.how)
    else:
        member, how = _named_member(index, [file, *others.values()], focal, chosen), "given"
    home = next((path for path, one in others.items() if member.owner in one.classes), None)
    shown = home.relative_to(Path.cwd()) if home is not None and home.is_relative_to(Path.cwd()) else home
    return AssertionSite(
        file=name,
        source=source,
        test=f"{test_class.name}.{chosen.name}",
        placeholder=placeholder,
        focal_name=member.label,
        focal_file=str(shown or name),
        focal_method=code_at(source if home is None else read_source(home), member.method.span),
        link=how,
    )


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark that became `MARKER`: the byte where that begins, the line as the file was given, and lines it adds."""

    start: int
    line: int
    lines_added: int


def _with_markers(source: str) -> tuple[str, list[_Mark]]:
    """Return a file with `MARKER` for every form of it, and its marks."""
    found, _ = find_placeholders(source)
    to_end: list[tuple[int, int, int]] = []
    # From the last to the first, so that places stay true; the bytes from a marker to the end stay the same too.
    for mark in sorted(found, key=lambda mark: mark.start, reverse=True):
        line = source.count("\n", 0, mark.start) + 1
        before, after = around_marker(source, mark)
        changed = before + MARKER + after
        to_end.append((len((MARKER + after).encode()), line, changed.count("\n") - source.count("\n")))
        source = changed
    length = len(source.encode())
    return source, [_Mark(length - left, line, added) for left, line, added in to_end]


def _line_as_given(placeholder: Placeholder, marks: list[_Mark]) -> int:
    """Return the line of a placeholder in the file as it was given."""
    start = placeholder.replaced.start
    at_mark = (mark.line for mark in marks if mark.start == start)
    return next(at_mark, placeholder.line - sum(mark.lines_added for mark in marks if mark.start < start))


def _check_marks(file: str, test: str, body: str) -> None:
    """Raise UserError where a test has no marker, but something that has its name."""
    if MARKER in body:
        return
    # Words like a mask may be of the test's subject.
    if named := [kind for kind in find_placeholders(body)[1] if kind.startswith("name in")]:
        raise UserError(
            f"{file}: {test} has what looks like a marker and is none ({named[0]})",
            f"Write {MARKER} where the assertion goes.",
        )


def _chosen_test(source: bytes, file: JavaFile, name: str | None) -> tuple[JavaClass, JavaTest]:
    index = ProjectIndex([file])
    # The class that makes one of JUnit 3's a test may be in another file.
    tests = [(c, t) for c, t in file.tests if t.framework == "junit3" or index.framework(c, t)]
    if not tests:
        fault = read_declarations(source, file.path).fault
        raise UserError(
            f"{file.path}: holds no test" + (f" ({fault})" if fault else ""),
            "Give a Java file with a JUnit or TestNG test in it.",
        )
    if name is not None:
        matching = [(c, t) for c, t in tests if f".{c.name}.{t.name}".endswith(f".{name.replace('#', '.')}")]
        if not matching:
            raise UserError(f"{file.path}: has no test {name!r}", f"It has {_listed(t.name for _, t in tests)}.")
        return matching[0]
    marker = MARKER.encode()
    marked = [(c, t) for c, t in tests if source.find(marker, t.body.start, t.body.end) >= 0]
    candidates = marked or tests
    if len(candidates) == 1:
        return candidates[0]
    raise UserError(
        f"{file.path}: {len(candidates)} of its tests {'hold the marker' if marked else 'could be meant'}",
        f"Name one with --test ({_listed(t.name for _, t in candidates)})"
        + ("." if marked else f", or put {MARKER} where the assertion goes."),
    )


def _named_member(index: ProjectIndex, files: list[JavaFile], focal: str, test: JavaTest) -> Member:
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
            if (overload := index.find(owner, method, plain)) in members:
                return overload
    return members[0]


def _listed(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(names))
    return ", ".join(every[:SHOWN]) + (", …" if len(every) > SHOWN else "")
