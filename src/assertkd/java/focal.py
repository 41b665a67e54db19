"""Links a test to the method that it tests: by names, then by the last call before the assertion."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from assertkd.java.index import Member, ProjectIndex
from assertkd.java.names import begins, has_words, is_name, likeness, parts_of, shortened, stems
from assertkd.java.resolution import CallResolver, ResolvedCalls
from assertkd.java.roles import GETTER, IMPLICIT, Roles, only_doing
from assertkd.java.structure import CONSTRUCTOR, Assertion, JavaClass, JavaFile, JavaTest

CONSTRUCTOR_WORD = re.compile(r"(?:(?<![A-Za-z])c|C)onstructors?(?![a-z])")
SHORT = 3
"""Letters of names that are too common to tell anything where they stand inside a test's name."""
DEPTH = 2
"""Methods of tests' classes, called by each other, whose calls count as the test's."""
REQUESTS = frozenset({"perform", "exchange", "retrieve", "andExpect", "statusCode", "getForObject", "getForEntity"})
"""What a test calls that tests a class by requests to a server (Spring, REST Assured)."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a test tests.

    Attributes:
        focal: the method under test, which has a body.
        how: `name`: class and method by their names, or the class's only method; `call`: the class by its name, the
            method as the last one of it that is called up to the assertion; `type`: the last method of any of the
            project's own classes that the names of test or test class tell, or that is of the only class called.
    """

    focal: Member
    how: Literal["name", "call", "type"]


class Linker:
    """Links the tests of one project."""

    def __init__(self, index: ProjectIndex) -> None:
        self._index = index
        self._calls = CallResolver(index)
        self._roles = Roles(self._calls)

    def assertions(self, file: JavaFile, test_class: JavaClass, test: JavaTest) -> tuple[list[Assertion], int]:
        """Return the outermost assertion statements of a test in their order, and how many are no statements.

        A statement is one by the names that it calls, where these are not all methods of the code under test: a test of
        a `TokenVerifier` calls `verifier.verify(text)` to see what it does.
        """
        resolved = self._calls.resolve(file, test_class, test.calls, test.name)
        found: list[Assertion] = []
        for assertion in test.assertions:
            foreign = not assertion.calls or any(not self._is_tested(test, resolved, one) for one in assertion.calls)
            if foreign and (not found or found[-1].span.end <= assertion.span.start):
                found.append(assertion)
        return found, sum(not self._is_tested(test, resolved, one) for one in test.inner_claims)

    def links(
        self, file: JavaFile, test_class: JavaClass, test: JavaTest, positions: Iterable[int]
    ) -> Iterator[Link | str]:
        """Yield for each of ascending positions in a test's file the test's focal method, or why there is none.

        Only calls that end at or before the position are looked at, and none that prepares a mock or asks it for its
        calls. Getters, constructors and factories are taken only where nothing else is called; getters and factories
        that a helper of the test calls are not.
        """
        subject = self._class_named(file, test_class.name.partition(".")[0])
        is_request = any(call.name in REQUESTS for call in test.calls)
        calls = deque(self._tested_calls(file, test_class, test))
        # Each method once, that called last at the end: a test may hold thousands of calls of few methods.
        helped: dict[int, Member] = {}
        called: dict[int, Member] = {}
        for position in positions:
            while calls and calls[0][0] <= position:
                _, member, is_direct = calls.popleft()
                gets = GETTER.match(member.method.name) or member.method.name == "get"
                if not is_direct and (gets or self._roles.is_factory(member)):
                    continue
                seen = called if is_direct else helped
                seen[id(member.method)] = seen.pop(id(member.method), member)
            # What the test calls itself counts more than what its helpers call.
            yield self._link(subject, test_class.name, test.name, [*helped.values(), *called.values()], is_request)

    def _link(
        self,
        subject: JavaClass | None,
        class_name: str,
        test_name: str,
        called: Sequence[Member],
        is_request: bool,
    ) -> Link | str:
        if subject is not None:
            parts = parts_of(test_name)
            own = [member for member in called if self._belongs(member.owner, subject)]
            methods = [member for member in reversed(own) if member.method.name != CONSTRUCTOR]
            named = [member for member in methods if begins(member.method.name, *parts)]
            # Of those with the longest name the last call counts.
            by_name = max(named, key=lambda m: len(m.method.name), default=None) or self._uncalled(subject, parts)
            if by_name is not None:
                return _linked(by_name, "name")
            if (last := self._named_in_test(own, test_name) or self._roles.last_tested(own)) is not None:
                return _linked(last, "call")
            if not called and is_request and (only := only_doing(subject)) is not None:
                return Link(only, "name")
        if (
            last := self._named_in_test(called, test_name)
            or self._of_one_class(called)
            or self._named_in_class(called, class_name)
        ) is not None:
            return _linked(last, "type")
        if called:
            return "methods of several classes are called, and the test names none"
        if subject is not None:
            return "no method of the class under test is called"
        return "no class under test is named, and none of the project is called"

    def _class_named(self, file: JavaFile, name: str) -> JavaClass | None:
        """Return the class that a test class of this name is named after, or None."""
        for stem in stems(name):
            exact = self._index.in_package(stem, file.package) or self._index.resolve(stem, file)
            exact = exact if exact is not None and self._index.is_own(exact) else self._index.only(stem)
            if exact is not None:
                return exact
        for stem in stems(name):
            for shorter in shortened(stem):
                if (found := self._index.in_package(shorter, file.package)) is not None:
                    return found
        return None

    def _belongs(self, owner: JavaClass, subject: JavaClass) -> bool:
        """Return whether a class is the subject, lies in it, or is related to it."""
        if owner is subject or owner in self._index.ancestors(subject) or subject in self._index.ancestors(owner):
            return True
        return owner.file == subject.file and owner.name.startswith(f"{subject.name}.")

    def _uncalled(self, subject: JavaClass, parts: list[str]) -> Member | None:
        """Return the method of the subject that a test is named after though it need not call it.

        The test's name begins with that of a method which runs without being called (`IMPLICIT`), or is that of a
        method without overloads.
        """
        for name, members in self._index.members(subject).items():
            with_body = [member for member in members if member.method.has_body]
            implied = name in IMPLICIT and (begins(name, *parts) or has_words(parts[0], name))
            if with_body and (is_name(name, parts[0]) or implied):
                return with_body[0] if len(with_body) == 1 or name in IMPLICIT else None
        return None

    def _named_in_test(self, called: Sequence[Member], test_name: str) -> Member | None:
        """Return the last called method that does something and whose name is part of the test's or holds it, or None.

        A test of a constructor says so: `testConstructorsByArray`.
        """
        if CONSTRUCTOR_WORD.search(test_name):
            return next((member for member in reversed(called) if member.method.name == CONSTRUCTOR), None)
        doing = [member for member in reversed(called) if not member.method.trivial]
        if named := [one for one in doing if len(one.method.name) > SHORT and has_words(test_name, one.method.name)]:
            return max(named, key=lambda member: (len(member.method.name), not self._roles.rank(member)))
        stem = parts_of(test_name)[0]
        return next((member for member in doing if len(stem) > SHORT and has_words(member.method.name, stem)), None)

    def _of_one_class(self, called: Sequence[Member]) -> Member | None:
        """Return the last called method where all that do something are of one class and its kin, or None."""
        doing = self._roles.doing(called)
        doing = [member for member in doing if not self._roles.rank(member)] or doing
        of_one = all(self._belongs(member.owner, doing[0].owner) for member in doing)
        return self._roles.last_tested(doing or called) if of_one else None

    def _named_in_class(self, called: Sequence[Member], class_name: str) -> Member | None:
        """Return the last called method of those likest to the test class by name, else of one class that is likest."""
        doing = self._roles.doing(called)
        best = max(reversed(doing), key=lambda member: likeness(member.method.name, class_name), default=None)
        if best is None or likeness(best.method.name, class_name):
            return best
        likest = max(likeness(member.owner.simple_name, class_name) for member in doing)
        of_likest = [member for member in doing if likeness(member.owner.simple_name, class_name) == likest]
        of_one = all(self._belongs(member.owner, of_likest[0].owner) for member in of_likest)
        return self._roles.last_tested(of_likest) if likest and of_one else None

    def _tested_calls(
        self, file: JavaFile, test_class: JavaClass, test: JavaTest
    ) -> Iterator[tuple[int, Member, bool]]:
        """Yield where calls end that run one of the project's own methods, the method, and whether a test calls it."""
        resolved = self._calls.resolve(file, test_class, test.calls, test.name)
        on_mocks = [
            one.span
            for one in test.mock_statements
            if any(not self._is_tested(test, resolved, number) for number in one.calls)
        ]
        made: dict[str, None] = {}
        # What a helper runs is the same each time that a test calls it.
        run: dict[int, list[Member]] = {}
        for call, member in zip(test.calls, resolved.members, strict=True):
            if member is None or any(s.start <= call.span.start and call.span.end <= s.end for s in on_mocks):
                continue
            if id(member.method) not in run:
                run[id(member.method)] = _each_once(self._run_by(member, test.name, DEPTH))
            for act in run[id(member.method)]:
                running = self._calls.implementation(act, list(made), test_class)
                # Of several that one method may create the first is the plainest.
                created = [act.owner] if act.method.name == CONSTRUCTOR else self._calls.created_by(running)[0][::-1]
                for one in created:
                    made[one.name] = made.pop(one.name, None)
                yield call.span.end, running, act is member

    def _run_by(self, member: Member, test_name: str, depth: int) -> Iterator[Member]:
        """Yield a method if it is one of the project's own, or those that it calls if it is one of tests."""
        if self._index.is_own(member.owner):
            yield member
        elif depth and member.method.calls:
            file = self._index.file_of(member.owner)
            called = self._calls.resolve(file, member.owner, member.method.calls, test_name).members
            for inner in _each_once(one for one in called if one is not None):
                if inner.method is not member.method:
                    yield from self._run_by(inner, test_name, depth - 1)

    def _is_tested(self, test: JavaTest, resolved: ResolvedCalls, number: int) -> bool:
        """Return whether a call is one of the code under test, as far as its name tells where nothing else does."""
        member, call = resolved.members[number], test.calls[number]
        if member is None:
            return resolved.unknown[number] and self._index.declares(call.name, len(call.arguments))
        return self._index.is_own(member.owner)


def _each_once(members: Iterable[Member]) -> list[Member]:
    """Return members in the order in which they come last: a helper may hold thousands of calls of few methods."""
    found: dict[int, Member] = {}
    for member in members:
        found[id(member.method)] = found.pop(id(member.method), member)
    return list(found.values())


def _linked(member: Member, how: Literal["name", "call", "type"]) -> Link | str:
    return Link(member, how) if member.method.has_body else "the method called has no body, or several implementations"
