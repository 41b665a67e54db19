"""Links a test to the method that it tests: by names, then by the last call before the assertion."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assertkd.java.index import Member, ProjectIndex
from assertkd.java.structure import CONSTRUCTOR, Assertion, Call, JavaClass, JavaFile, JavaTest

CLASS_PREFIX = re.compile(r"^(?:Test|IT)(?=[A-Z])")
CLASS_SUFFIX = re.compile(r"_?(?:Unit|Integration)?(?:Tests?|TestCases?|TestSuite|IT|ITCase|Spec)$")
METHOD_PREFIX = re.compile(r"^(?:tests?|should|verify|check)(?=[A-Z_\d])_?")
METHOD_SUFFIX = re.compile(r"_?Tests?$")
WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")
OVERLOOKED = re.compile(r"assert\w*|verify\w*|fail|expect\w*")
"""A project that is itself a library of assertions calls them everywhere."""

IMPLICIT = frozenset({"equals", "hashCode", "toString", "compareTo"})
"""Methods that run without a call of that name: inside `assertEquals`, string concatenation, collections."""

How = Literal["name", "call", "type"]


@dataclass(frozen=True, slots=True)
class Link:
    """What a test tests.

    Attributes:
        focal: the method under test, which has a body.
        how: `name`: class and method by their names; `call`: the class by its name, the method as the last one of it
            that is called up to the assertion; `type`: the last method of any of the project's own classes.
    """

    focal: Member
    how: How


@dataclass(frozen=True, slots=True)
class Unlinked:
    """Why a test has no focal method, in words that are the same for every such test."""

    reason: str


class Linker:
    """Links the tests of one project."""

    def __init__(self, index: ProjectIndex) -> None:
        self._index = index
        self._subjects: dict[int, JavaClass | None] = {}
        self._latest: tuple[JavaTest, _Links] | None = None

    def link(
        self, file: JavaFile, test_class: JavaClass, test: JavaTest, assertion: Assertion | None = None
    ) -> Link | Unlinked:
        """Return the focal method of a test, or why there is none.

        Calls inside the assertion count as before it. Getters and constructors are taken only where nothing else is
        called.

        Args:
            file: the test's file.
            test_class: the test's class.
            test: the test.
            assertion: calls behind it are not looked at; None looks at all.
        """
        if self._latest is None or self._latest[0] is not test:
            # A test is asked for once an assertion, one test after the other.
            self._latest = test, self._links(file, test_class, test)
        return self._latest[1].at(assertion.span.end if assertion is not None else test.span.end)

    def _links(self, file: JavaFile, test_class: JavaClass, test: JavaTest) -> "_Links":
        """Return what a test is linked to after each of its calls."""
        subject = self.subject(file, test_class)
        stem = METHOD_SUFFIX.sub("", METHOD_PREFIX.sub("", test.name))
        parts = [stem, *stem.split("_")[1:]]
        unnamed = Unlinked("no class under test is named, and none of the project is called")
        links = _Links(unnamed if subject is None else Unlinked("no method of the class under test is called"))
        named = self._named_without_call(subject, stem, parts) if subject is not None else None
        if named is not None:
            links.start = Link(named, "name")
        own, anything = _Last(), _Last()
        for end, member in self._called(file, test_class, test):
            anything.add(member)
            if subject is not None and self._belongs(member.owner, subject):
                own.add(member)
                name, longest = member.method.name, 0 if links.named is None else len(links.named.method.name)
                if member.method.has_body and name != CONSTRUCTOR and len(name) >= longest and _begins(name, *parts):
                    links.named = member
            links.add(end, own.chosen, anything.chosen)
        return links

    def subject(self, file: JavaFile, test_class: JavaClass) -> JavaClass | None:
        """Return the class that a test class is named after, or None."""
        key = id(test_class)
        if key not in self._subjects:
            self._subjects[key] = self._class_named(file, test_class.name.partition(".")[0])
        return self._subjects[key]

    def _class_named(self, file: JavaFile, name: str) -> JavaClass | None:
        for stem in stems(name):
            exact = self._index.in_package(stem, file.package) or self._index.resolve(stem, file)
            exact = exact if exact is not None and self._index.is_own(exact) else self._index.only(stem)
            if exact is not None:
                return exact
        for stem in stems(name):
            for shorter in shortened(stem):
                found = self._index.in_package(shorter, file.package)
                if found is not None:
                    return found
        return None

    def _belongs(self, owner: JavaClass, subject: JavaClass) -> bool:
        """Return whether a class is the subject, lies in it, or is related to it."""
        if owner is subject or owner in self._index.ancestors(subject) or subject in self._index.ancestors(owner):
            return True
        return owner.file == subject.file and owner.name.startswith(f"{subject.name}.")

    def _named_without_call(self, subject: JavaClass, stem: str, parts: list[str]) -> Member | None:
        """Return the method of the subject that a test is named after though it need not call it.

        The test's name begins with that of a method which runs without being called (`IMPLICIT`), or is that of a
        method without overloads.
        """
        known = {
            name: [member for member in members if member.method.has_body]
            for name, members in self._index.members(subject).items()
            if _equal(name, stem) or (name in IMPLICIT and _begins(name, *parts))
        }
        same = next((members for name, members in known.items() if members), [])
        return same[0] if len(same) == 1 or (same and same[0].method.name in IMPLICIT) else None

    def _called(self, file: JavaFile, test_class: JavaClass, test: JavaTest) -> Iterator[tuple[int, Member]]:
        """Yield where each call of one of the project's own methods ends, and the method."""
        results: list[tuple[str, JavaFile]] = []
        for call in test.calls:
            member = self._member(file, test_class, call, results)
            if call.name == CONSTRUCTOR and isinstance(call.receiver, str):
                results.append((call.receiver, file))
            elif member is None:
                results.append(("", file))
            else:
                results.append((member.method.returns, self._index.file_of(member.owner)))
            if member is not None and not OVERLOOKED.fullmatch(call.name) and self._index.is_own(member.owner):
                yield call.span.end, member

    def _member(
        self, file: JavaFile, test_class: JavaClass, call: Call, results: list[tuple[str, JavaFile]]
    ) -> Member | None:
        arguments = [results[one][0] if isinstance(one, int) else one for one in call.arguments]
        owner: JavaClass | None
        if isinstance(call.receiver, int):
            returned, home = results[call.receiver]
            owner = self._index.resolve(returned, home) if returned else None
        elif call.receiver is None:
            if self._index.find(test_class, call.name, arguments) is not None:
                owner = test_class
            else:
                owner = self._static_import(file, call.name)
        else:
            owner = self._index.resolve(call.receiver, file) if call.receiver else None
        return None if owner is None else self._index.find(owner, call.name, arguments)

    def _static_import(self, file: JavaFile, name: str) -> JavaClass | None:
        for line in file.imports:
            if line.startswith("static "):
                owner, _, member = line.removeprefix("static ").rpartition(".")
                if member in (name, "*"):
                    found = self._index.resolve(owner.rpartition(".")[2], file)
                    if found is not None and (member == name or any(m.name == name for m in found.methods)):
                        return found
        return None


class _Last:
    """The last called method that does something, else such a constructor, else the last getter, else what there is."""

    def __init__(self) -> None:
        self._by_kind: dict[tuple[bool, bool], Member] = {}

    def add(self, member: Member) -> None:
        """Take note of a call."""
        if member.method.has_body:
            # `toString` and the like are called to look at a result more often than to be tested.
            looks = member.method.trivial or member.method.name in IMPLICIT
            self._by_kind[looks, member.method.name == CONSTRUCTOR] = member

    @property
    def chosen(self) -> Member | None:
        """The member that counts after the calls so far."""
        return self._by_kind[min(self._by_kind)] if self._by_kind else None


class _Links:
    """What a test is linked to, by the number of calls that count."""

    def __init__(self, start: Link | Unlinked) -> None:
        self.start = start
        self.named: Member | None = None
        self._ends: list[int] = []
        self._links: list[Link | Unlinked] = []

    def add(self, end: int, own: Member | None, anything: Member | None) -> None:
        """Take note of what the test is linked to after a call that ends at `end`."""
        link = self.start
        if self.named is not None:
            link = Link(self.named, "name")
        elif isinstance(self.start, Unlinked) and own is not None:
            link = Link(own, "call")
        elif isinstance(self.start, Unlinked) and anything is not None:
            link = Link(anything, "type")
        self._ends.append(end)
        self._links.append(link)

    def at(self, position: int) -> Link | Unlinked:
        """Return what the test is linked to by the calls that end at or before a position."""
        count = bisect_right(self._ends, position)
        return self._links[count - 1] if count else self.start


def stems(class_name: str) -> Iterator[str]:
    """Yield what a test class's name says of the class under test, most specific first."""
    without_suffix = CLASS_SUFFIX.sub("", class_name)
    without_both = CLASS_PREFIX.sub("", without_suffix)
    yield from dict.fromkeys(
        name for name in (without_suffix, CLASS_PREFIX.sub("", class_name), without_both) if name and name != class_name
    )


def shortened(stem: str) -> Iterator[str]:
    """Yield a name without its last word, its last two words, …: `StringUtilsTrim` gives `StringUtils`, `String`."""
    ends = [match.start() for match in WORD_END.finditer(stem)]
    for end in reversed(ends):
        if end:
            yield stem[:end]


def _equal(method: str, stem: str) -> bool:
    return bool(stem) and method[:1].lower() == stem[:1].lower() and method[1:] == stem[1:]


def _begins(method: str, stem: str, *later: str) -> bool:
    """Return whether a test's name begins with a method's and a word ends there, or a later part equals it."""
    if any(_equal(method, part) for part in later):
        return True
    head, rest = stem[: len(method)], stem[len(method) :]
    return _equal(method, head) and not rest[:1].islower()
