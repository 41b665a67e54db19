"""Which methods of a project the calls of a test mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from assertkd.java.index import Member, ProjectIndex
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

    def resolve(self, file: JavaFile, test_class: JavaClass, calls: Sequence[Call], test_name: str) -> ResolvedCalls:
        """Return what the calls of a test mean, or of a method of a class that helps tests.

        Args:
            file: where the calls stand.
            test_class: the class that they stand in.
            calls: in the order in which they are completed.
            test_name: its words tell among overloads that fit equally well.
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
            if owner is not None:
                member = self._index.find(owner, call.name, arguments, test_name)
            resolved.members.append(member)
            resolved.unknown.append(call.receiver is not None and not kind)
            if call.name == CONSTRUCTOR:
                types.append((kind, file))
            elif member is None:
                types.append(("", file))
            else:
                types.append(self._returned(member))
        return resolved

    def _returned(self, member: Member) -> tuple[str, JavaFile]:
        """Return the type of what a method returns: that of the instances that it creates where they have one."""
        home, method = self._index.file_of(member.owner), member.method
        if len(method.makes) == 1:
            made, declared = (self._index.resolve(kind, home) for kind in (method.makes[0], method.returns))
            if made is not None and declared in self._index.ancestors(made):
                return method.makes[0], home
        return method.returns, home

    def _variable(self, name: str, test_class: JavaClass, file: JavaFile) -> tuple[str, JavaFile]:
        """Return the type that `.name` or `Type.CONSTANT` of a `Call` stands for, and the file that knows it."""
        owner, _, field = name.rpartition(".")
        if not owner:
            found = self._index.field(test_class, field)
            imported = self._static_import(file, field)
            if found is None and imported is not None:
                found = self._index.field(imported, field)
            return found or (field if field[:1].isupper() else "", file)
        declared = self._index.resolve(owner, file)
        found = None if declared is None else self._index.field(declared, field)
        return found or (name if field[:1].isupper() else "", file)

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
