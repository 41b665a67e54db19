"""Which methods of a project the calls of a test mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assertkd.java.index import Member, ProjectIndex
from assertkd.java.names import has_words, likeness
from assertkd.java.structure import CONSTRUCTOR, Call, JavaClass, JavaFile


@dataclass(frozen=True, slots=True)
class ResolvedCalls:
    """What calls mean.

    Attributes:
        members: of each call the project's method, or None where it is another's or not known.
        unknown: of each call whether it is not plain to see what it is called on.
    """

    members: list[Member | None]
    unknown: list[bool]


class CallResolver:
    """Resolves the calls of one project's tests."""

    def __init__(self, index: ProjectIndex) -> None:
        self._index = index
        self._created: dict[int, tuple[list[JavaClass], bool]] = {}

    def resolve(
        self, file: JavaFile, test_class: JavaClass, calls: Sequence[Call], test_name: str, as_declared: bool = False
    ) -> ResolvedCalls:
        """Return what the calls of a test mean, or of a method of a class that helps tests.

        Args:
            file: where the calls stand.
            test_class: the class that they stand in.
            calls: in the order in which they are completed.
            test_name: its words tell among overloads that fit equally well.
            as_declared: whether results are of the types that methods declare, also where they create others.
        """
        types: list[tuple[str, JavaFile]] = []
        resolved = ResolvedCalls([], [])

        def type_of(kind: str | int) -> tuple[str, JavaFile]:
            if isinstance(kind, int):
                return types[kind]
            return self._variable(kind, test_class, file) if "." in kind else (kind, file)

        for call in calls:
            arguments = [type_of(one)[0] for one in call.arguments]
            kind, home = ("", file) if call.receiver is None else type_of(call.receiver)
            member: Member | None = None
            owner: JavaClass | None = None
            if call.receiver is None:
                member = self._index.find(test_class, call.name, arguments, test_name)
                owner = self._static_import(file, call.name) if member is None else None
            elif kind:
                owner = self._index.resolve(kind, home)
                if owner is None and call.name != CONSTRUCTOR and _is_of_library(kind, home):
                    owner = self._index.only_heir(kind, call.name, len(call.arguments))
            if owner is not None:
                member = self._index.find(owner, call.name, arguments, test_name)
            resolved.members.append(member)
            resolved.unknown.append(call.receiver is not None and not kind)
            if call.name == CONSTRUCTOR:
                types.append((kind, file))
            elif member is None:
                types.append(self._component(owner or test_class, call) or ("", file))
            else:
                types.append(self._returned(member, test_class, as_declared))
        return resolved

    def _bound(self, kind: str, owner: JavaClass, test_class: JavaClass) -> tuple[str, JavaFile]:
        """Return what a type parameter of a class that the test's class extends stands for; another type as it is."""
        for one in reversed((test_class, *self._index.ancestors(test_class))):
            for name, arguments in one.type_arguments.items() if kind in owner.type_parameters else ():
                bound = dict(zip(owner.type_parameters, arguments, strict=False)).get(kind)
                if bound is not None and self._index.resolve(name, self._index.file_of(one)) is owner:
                    kind, owner = bound, one
                    break
        return kind, self._index.file_of(owner)

    def _component(self, owner: JavaClass, call: Call) -> tuple[str, JavaFile] | None:
        """Return the type of a record's component where a call is that of its accessor, which need not be declared."""
        is_accessor = owner.kind == "record" and not call.arguments and call.name in owner.fields
        return (owner.fields[call.name], self._index.file_of(owner)) if is_accessor else None

    def implementation(self, member: Member, made: Sequence[str], test_class: JavaClass) -> Member:
        """Return the method that runs when a method without a body is called; itself where that is not clear.

        Of several implementations that of a class is taken which is created near the call; which is named as the test
        is; which the test's class creates; which is named after what declares the method (`RealSource` after `Source`);
        which is created last.

        Args:
            member: a method.
            made: names of the classes whose instances are created up to the call, in their order.
            test_class: the test's.
        """
        if member.method.has_body:
            return member
        found = self._index.implementations(member)
        likest = max((likeness(one.owner.simple_name, test_class.name) for one in found), default=0)
        ways: tuple[Callable[[Member], bool], ...] = (
            lambda one: self._index.is_made(one.owner, made),
            lambda one: likeness(one.owner.simple_name, test_class.name) == likest,
            lambda one: self._index.is_made(one.owner, test_class.makes),
            lambda one: has_words(one.owner.simple_name, member.owner.simple_name),
        )
        for fits in ways:
            if len(found) > 1:
                found = [one for one in found if fits(one)] or found
        for name in reversed(made):
            found = [one for one in found if self._index.is_made(one.owner, {name})] or found
        return found[0] if len(found) == 1 else member

    def created_by(self, member: Member) -> tuple[list[JavaClass], bool]:
        """Return of which of the project's classes a method returns new instances, itself or by what it calls.

        Also returned is whether it returns nothing else.
        """
        if id(member.method) not in self._created:
            # Methods may return each other's results. What they call is resolved by declared types alone, so that it
            # depends on nothing that is being found out.
            returning, found, only = [member], list[JavaClass](), True
            for one in returning:
                home = self._index.file_of(one.owner)
                made = [self._index.resolve(kind, home) for kind in one.method.makes]
                resolved = (self.resolve(home, one.owner, calls, "", True).members for calls in one.method.passes_on)
                passed = [members[-1] if members else None for members in resolved]
                only = only and bool(made or passed) and None not in [*made, *passed]
                found += [declared for declared in made if declared is not None and declared not in found]
                returning += [more for more in passed if more is not None and more not in returning]
            self._created[id(member.method)] = found, only and bool(found)
        return self._created[id(member.method)]

    def _returned(self, member: Member, test_class: JavaClass, as_declared: bool) -> tuple[str, JavaFile]:
        """Return the type of what a method returns: that of the instances that it creates where they have one."""
        home, created = self._index.file_of(member.owner), [] if as_declared else self.created_by(member)[0]
        declared = self._index.resolve(member.method.returns, home) if len(created) == 1 else None
        if declared is not None and declared in self._index.ancestors(created[0]):
            return created[0].name, self._index.file_of(created[0])
        return self._bound(member.method.returns, member.owner, test_class)

    def _variable(self, name: str, test_class: JavaClass, file: JavaFile) -> tuple[str, JavaFile]:
        """Return the type that `.name` or `Type.CONSTANT` of a `Call` stands for, and the file that knows it."""
        owner, _, field = name.rpartition(".")
        places = [self._index.resolve(owner, file)] if owner else [test_class, self._static_import(file, field)]
        for declared in places:
            if declared is not None and (found := self._index.field(declared, field)) is not None:
                return self._bound(*found, test_class)
        unknown = name.removeprefix(".")
        return unknown if field[:1].isupper() else "", file

    def _static_import(self, file: JavaFile, name: str) -> JavaClass | None:
        for line in file.imports:
            owner, _, member = line.rpartition(".")
            if line.startswith("static ") and member in (name, "*"):
                found = self._index.resolve(owner.removeprefix("static ").rpartition(".")[2], file)
                if found is not None and (member == name or self._has(found, name)):
                    return found
        return None

    def _has(self, declared: JavaClass, name: str) -> bool:
        return name in self._index.members(declared) or self._index.field(declared, name) is not None


def _is_of_library(kind: str, file: JavaFile) -> bool:
    """Return whether a file imports a type of this name, but not as a collection, which many projects implement."""
    return any(line.endswith(f".{kind}") and not line.startswith(("java.util.", "static ")) for line in file.imports)
