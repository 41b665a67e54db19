"""The classes of a project by name: what a type's name means in a file, and which method a call means."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from assertkd.java.structure import CONSTRUCTOR, JavaClass, JavaFile, Method

TEST_FOLDERS = frozenset({"test", "tests", "testing", "it", "jmh", "testfixtures", "androidtest", "integrationtest"})
"""Folders (in lower case) whose classes serve tests and are not what is tested."""
JUNIT3_BASE = "TestCase"
WIDER = ("byte", "short", "char", "int", "long", "float", "double")
"""Primitive numbers; each can be passed where one further right is declared (JLS 5.1.2, but for byte to char)."""
PRIMITIVE = frozenset({*WIDER, "boolean"})
BOXES = {name.capitalize(): name for name in PRIMITIVE - {"char", "int"}} | {"Character": "char", "Integer": "int"}
SAME, KIN, UNKNOWN, AGAINST = 12, 8, 0, -24
"""What a parameter adds where its type is the argument's, one that the argument can have, unclear, or impossible."""


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

    A class counts as one of the project's own where its file holds no tests and lies in no folder of tests.
    """

    def __init__(self, files: Iterable[JavaFile]) -> None:
        self._files: dict[str, JavaFile] = {}
        self._by_name: dict[str, list[JavaClass]] = defaultdict(list)
        self._inherited: dict[int, tuple[JavaClass, ...]] = {}
        self._members: dict[int, dict[str, list[Member]]] = {}
        self._tested: set[str] = set()
        for file in files:
            self._files[file.path] = file
            for declared in file.classes:
                self._by_name[declared.simple_name].append(declared)
        for file in self._files.values():
            folders = file.path.lower().split("/")[:-1]
            tests = any(self.is_test(declared, test.framework) for declared, test in file.tests)
            if tests or not TEST_FOLDERS.isdisjoint(folders):
                self._tested.add(file.path)

    def file_of(self, declared: JavaClass) -> JavaFile:
        """Return the file of one of the index's classes."""
        return self._files[declared.file]

    def is_own(self, declared: JavaClass) -> bool:
        """Return whether a class may be what tests test."""
        return declared.file not in self._tested

    def is_test(self, declared: JavaClass, framework: str) -> bool:
        """Return whether tests of this framework run in a class; JUnit 3's need a `TestCase`."""
        if framework != "junit3":
            return True
        line = (declared, *self.ancestors(declared))
        return any(name.rpartition(".")[2].endswith(JUNIT3_BASE) for one in line for name in one.supertypes)

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

    def find(self, declared: JavaClass, name: str, arguments: Sequence[str]) -> Member | None:
        """Return the method that a call on a class means, as far as names, number and plain types of arguments tell.

        Among overloads that fit equally well the nearest class's first is taken, one with a body before others.
        """
        candidates = [m for m in self.members(declared).get(name, ()) if m.method.takes(len(arguments))]
        return max(
            candidates, key=lambda m: (_fit(arguments, m.method, self._is_kind), m.method.has_body), default=None
        )

    def _is_kind(self, name: str, above: str) -> bool:
        """Return whether a class of this name inherits from one of the other, here or in a library."""
        named = self._by_name.get(name.rpartition(".")[2], ())
        return any(above in one.supertypes for declared in named for one in (declared, *self.ancestors(declared)))


def _fit(arguments: Sequence[str], method: Method, is_kind: Callable[[str, str], bool]) -> int:
    """Return how well arguments fit; the highest of several overloads is likeliest to be meant.

    Args:
        arguments: their types, "" where not known, "null" and "->" (lambda) as such.
        method: one that takes this number of arguments.
        is_kind: whether the first named type inherits from the second.
    """
    parameters = list(method.parameters)
    if method.variadic:
        if len(arguments) == len(parameters) and arguments[-1].endswith("[]"):
            parameters[-1] += "[]"
        parameters += parameters[-1:] * (len(arguments) - len(parameters))
    fits = sum(_parameter_fit(*pair, is_kind) for pair in zip(arguments, parameters, strict=False))
    return fits - method.variadic


def _parameter_fit(argument: str, parameter: str, is_kind: Callable[[str, str], bool]) -> int:
    if argument == parameter:
        return SAME
    if argument in ("", "->"):
        # What is not plain to see is seldom a primitive number.
        return UNKNOWN - (parameter in PRIMITIVE)
    if argument == "null":
        return AGAINST if parameter in PRIMITIVE else UNKNOWN
    if argument in WIDER and parameter in WIDER:
        steps = WIDER.index(parameter) - WIDER.index(argument)
        return KIN - steps if steps > 0 else AGAINST
    if BOXES.get(argument) == parameter or BOXES.get(parameter) == argument:
        return KIN - len(WIDER)
    if argument in PRIMITIVE or parameter in PRIMITIVE:
        # A primitive may still be boxed into an Object or a type parameter, never become another class.
        return AGAINST if parameter in PRIMITIVE or parameter in (*BOXES, "String") else UNKNOWN - 1
    if argument.endswith("[]") != parameter.endswith("[]"):
        return UNKNOWN - 1 if parameter == "Object" or len(parameter) == 1 else AGAINST
    if argument.endswith("[]"):
        inner = argument.removesuffix("[]"), parameter.removesuffix("[]")
        return AGAINST if PRIMITIVE.intersection(inner) else UNKNOWN
    return KIN if is_kind(argument, parameter) else UNKNOWN - (parameter == "Object")
