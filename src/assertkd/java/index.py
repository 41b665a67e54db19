"""The classes of a project by name: what a type's name means in a file, and which method a call means."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from assertkd.java.names import has_words
from assertkd.java.overloads import fit
from assertkd.java.source_roots import lies_with_tests
from assertkd.java.structure import CONSTRUCTOR, JavaClass, JavaFile, JavaTest, Method
from assertkd.java.tests import ANNOTATIONS, framework_of_imports, uses_test_library

JUNIT3_BASE = re.compile(r"\w*(?:Test|Tests|Case|TestBase|TestSupport)")
"""Names of classes of libraries that are a `TestCase`."""
LIBRARY_MARKS = frozenset({"Property", "Example", "FuzzTest"})
"""Annotations of libraries that mark tests (jqwik, Jazzer), beside those whose names end with `Test`."""


@dataclass(frozen=True, slots=True)
class Member:
    """A method with the class that declares it."""

    owner: JavaClass
    method: Method

    @property
    def label(self) -> str:
        """The names of class and method, a constructor's that of its class: `Outer.Inner.Inner`."""
        name = self.owner.simple_name if self.method.name == CONSTRUCTOR else self.method.name
        return f"{self.owner.name}.{name}"


class ProjectIndex:
    """The classes of one project.

    A class counts as one of the project's own where its file holds no tests and serves none.

    Args:
        files: the project's.
        test_roots: folders that the project's build declares to hold tests, relative to it.
    """

    def __init__(self, files: Iterable[JavaFile], test_roots: Iterable[str] = ()) -> None:
        self._files: dict[str, JavaFile] = {}
        self._by_name: dict[str, list[JavaClass]] = defaultdict(list)
        self._inherited: dict[int, tuple[JavaClass, ...]] = {}
        self._members: dict[int, dict[str, list[Member]]] = {}
        self._heirs: dict[int, list[JavaClass]] | None = None
        self._heirs_of_libraries: dict[str, list[JavaClass]] | None = None
        self._own_methods: dict[str, list[Method]] | None = None
        for file in files:
            self._files[file.path] = file
            for declared in file.classes:
                self._by_name[declared.simple_name].append(declared)
        roots = tuple(f"{root}/" for root in test_roots)
        self._tested = {
            path for path, file in self._files.items() if path.startswith(roots) or lies_with_tests(path, file.package)
        }
        # A test library's classes use each other.
        own_packages = {file.package for file in self._files.values() if file.path not in self._tested}
        self._tested |= {file.path for file in self._files.values() if uses_test_library(file.imports, own_packages)}
        for file in self._files.values():
            if any(not test.marks and self.framework(declared, test) for declared, test in file.tests):
                self._tested.add(file.path)
        for file in self._files.values():
            if any(test.marks and self.framework(declared, test) for declared, test in file.tests):
                self._tested.add(file.path)

    def file_of(self, declared: JavaClass) -> JavaFile:
        """Return the file of one of the index's classes."""
        return self._files[declared.file]

    def is_own(self, declared: JavaClass) -> bool:
        """Return whether a class may be what tests test."""
        return declared.file not in self._tested

    def framework(self, declared: JavaClass, test: JavaTest) -> str | None:
        """Return the framework that runs a method as a test, or None where it is none.

        Tests of JUnit 3 need a class that is a `TestCase`. Annotations mark a test if they stand for `@Test`: because
        they are annotated with it, where the project declares them, else by their names or by their place beside tests.
        """
        if test.framework == "junit3" and self._is_test_case(declared):
            return "junit3"
        if not test.marks:
            return test.framework if test.framework != "junit3" else None
        file = self.file_of(declared)
        known = [mark for mark in test.marks if any(one.kind == "annotation_type" for one in self._by_name[mark])]
        for mark in known:
            if (found := self._composed_of(mark)) is not None:
                return found
        foreign = [mark for mark in test.marks if mark not in known] if declared.file in self._tested else []
        imported = framework_of_imports(file.imports)
        if any(mark.endswith("Test") or mark in LIBRARY_MARKS for mark in foreign):
            return imported
        beside_tests = any(not other.marks and other.framework != "junit3" for other in declared.tests)
        return imported if foreign and beside_tests and test.assertions else None

    def is_left_out(self, declared: JavaClass, test: JavaTest) -> bool:
        """Return whether a method that is no test has the name of one of JUnit 3, and lies in test code."""
        is_named = test.framework == "junit3" and declared.supertypes and not test.marks
        return bool(is_named and test.assertions) and not self.is_own(declared)

    def _is_test_case(self, declared: JavaClass) -> bool:
        line = [one for one in (declared, *self.ancestors(declared)) if one.kind == "class"]
        return any(
            self.resolve(name, self.file_of(one)) is None and JUNIT3_BASE.fullmatch(name.rpartition(".")[2])
            for one in line
            for name in one.supertypes
        )

    def _composed_of(self, mark: str) -> str | None:
        """Return the framework of an annotation of the project that is annotated as a test, directly or not."""
        line = [one for one in self._by_name[mark] if one.kind == "annotation_type"]
        for declared in line:
            for name in declared.annotations:
                if name in ANNOTATIONS:
                    return ANNOTATIONS[name] or framework_of_imports(self.file_of(declared).imports)
                line += [one for one in self._by_name[name] if one.kind == "annotation_type" and one not in line]
        return None

    def resolve(self, name: str, file: JavaFile) -> JavaClass | None:
        """Return the class that a type's name means in a file; None where it is another library's or ambiguous."""
        found = [one for one in self._by_name.get(name.rpartition(".")[2], ()) if f".{one.name}".endswith(f".{name}")]
        if len(found) > 1:
            found = self._nearest(found, name, file)
        return found[0] if len(found) == 1 else None

    def _nearest(self, found: Sequence[JavaClass], name: str, file: JavaFile) -> list[JavaClass]:
        for near in (
            [one for one in found if one.file == file.path],
            [one for one in found if f"{one.package}.{one.name}" in file.imports],
            [one for one in found if one.package == file.package and one.name == name],
            [one for one in found if f"{one.package}.*" in file.imports and one.name == name],
        ):
            if near:
                # The same class in two source sets (as for several Java versions): the first will do.
                return near[:1] if len({(one.package, one.name) for one in near}) == 1 else near
        return list(found)

    def in_package(self, name: str, package: str) -> JavaClass | None:
        """Return the project's own outer class of this name in a package."""
        own = (one for one in self._by_name.get(name, ()) if one.package == package and one.name == name)
        return next((one for one in own if self.is_own(one)), None)

    def only(self, name: str) -> JavaClass | None:
        """Return the project's own outer class of this name where it has exactly one."""
        own = [one for one in self._by_name.get(name, ()) if one.name == name and self.is_own(one)]
        return own[0] if len({(one.package, one.name) for one in own}) == 1 else None

    def ancestors(self, declared: JavaClass) -> tuple[JavaClass, ...]:
        """Return the classes and interfaces of the project that a class inherits from, nearest first."""
        known = self._inherited.get(id(declared))
        if known is None:
            line = [declared]
            for current in line:
                for name in current.supertypes:
                    above = self.resolve(name, self.file_of(current))
                    if above is not None and above not in line:
                        line.append(above)
            self._inherited[id(declared)] = known = tuple(line[1:])
        return known

    def members(self, declared: JavaClass) -> dict[str, list[Member]]:
        """Return a class's own and inherited methods by name, its own first; constructors are not inherited."""
        known = self._members.get(id(declared))
        if known is None:
            known = defaultdict(list)
            for one in (declared, *self.ancestors(declared)):
                for method in one.methods:
                    if one is declared or method.name != CONSTRUCTOR:
                        known[method.name].append(Member(one, method))
            self._members[id(declared)] = known = dict(known)
        return known

    def implementations(self, member: Member) -> list[Member]:
        """Return the methods of the project that can run when a method without a body is called."""
        found = {}
        for heir in self._heirs_of(member.owner):
            overriding = [
                Member(heir, method)
                for method in heir.methods
                if method.name == member.method.name and method.has_body
                if len(method.parameters) == len(member.method.parameters) and self.is_own(heir)
            ]
            if overriding:
                found[heir.package, heir.name] = max(
                    overriding, key=lambda m: fit(member.method.parameters, m.method, self._is_kind)
                )
        return list(found.values())

    def only_heir(self, kind: str, method: str, count: int) -> JavaClass | None:
        """Return the project's own class that inherits from a library's and has a method with this many arguments.

        None where there is no such class, or several.
        """
        if self._heirs_of_libraries is None:
            self._heirs_of_libraries = defaultdict(list)
            for one in (one for file in self._files.values() for one in file.classes if self.is_own(one)):
                for name in {name for above in (one, *self.ancestors(one)) for name in above.supertypes}:
                    self._heirs_of_libraries[name].append(one)
        found = [
            heir
            for heir in self._heirs_of_libraries.get(kind, ())
            if any(one.method.takes(count) and one.method.has_body for one in self.members(heir).get(method, ()))
        ]
        return found[0] if len(found) == 1 else None

    def is_made(self, owner: JavaClass, made: Collection[str]) -> bool:
        """Return whether a class or one that inherits from it has one of these names."""
        return any(one.name in made or one.simple_name in made for one in (owner, *self._heirs_of(owner)))

    def _heirs_of(self, declared: JavaClass) -> list[JavaClass]:
        """Return the classes of the project that inherit from a class."""
        if self._heirs is None:
            self._heirs = defaultdict(list)
            for heir in (one for file in self._files.values() for one in file.classes):
                for above in self.ancestors(heir):
                    self._heirs[id(above)].append(heir)
        return self._heirs.get(id(declared), [])

    def field(self, declared: JavaClass, name: str) -> tuple[str, JavaClass] | None:
        """Return the type of a class's own or inherited field, and the class that declares it; None for no field."""
        for one in (declared, *self.ancestors(declared)):
            if name in one.fields:
                return one.fields[name], one
        return None

    def declares(self, name: str, count: int) -> bool:
        """Return whether one of the project's own classes has a method of this name that takes `count` arguments."""
        if self._own_methods is None:
            self._own_methods = defaultdict(list)
            for one in (one for file in self._files.values() for one in file.classes if self.is_own(one)):
                for method in one.methods:
                    self._own_methods[method.name].append(method)
        return any(method.takes(count) for method in self._own_methods.get(name, ()))

    def find(self, declared: JavaClass, name: str, arguments: Sequence[str], hint: str = "") -> Member | None:
        """Return the method that a call on a class means, as far as names, number and plain types of arguments tell.

        Among overloads that fit equally well, those come first whose parameters' types are words of `hint` (the name of
        the test); then the nearest class's first, one with a body before others.
        """
        candidates = [m for m in self.members(declared).get(name, ()) if m.method.takes(len(arguments))]

        def rank(member: Member) -> tuple[int, int, bool]:
            kinds = [kind.removesuffix("[]") for kind in member.method.parameters]
            # A single letter is a type parameter.
            hinted = sum(len(kind) for kind in kinds if len(kind) > 1 and has_words(hint, kind))
            return fit(arguments, member.method, self._is_kind), hinted, member.method.has_body

        return max(candidates, key=rank, default=None)

    def _is_kind(self, name: str, above: str) -> bool:
        """Return whether a class of this name inherits from one of the other, here or in a library."""
        named = self._by_name.get(name.rpartition(".")[2], ())
        return any(above in one.supertypes for declared in named for one in (declared, *self.ancestors(declared)))
