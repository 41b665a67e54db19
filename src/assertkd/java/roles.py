"""What a method that a test calls is likely to be: what it tests, what makes that, or what looks at a result."""

import re
from collections.abc import Sequence

from assertkd.java.index import Member
from assertkd.java.resolution import CallResolver
from assertkd.java.structure import CONSTRUCTOR, JavaClass

FACTORY = re.compile(r"(?:new|create|make)(?=[A-Z]|$)")
"""Beginnings of the names of methods that make something."""
GETTER = re.compile(r"(?:get|is|has)(?=[A-Z])")
CLOSING = frozenset({"close", "flush"})
"""Methods that end what was done before, which is tested."""
IMPLICIT = frozenset({"equals", "hashCode", "toString", "compareTo"})
"""Methods that run without a call of that name: inside `assertEquals`, string concatenation, collections."""
PREPARES, MAKES, LOOKS = 2, 4, 5
"""Ranks of factories, constructors, and what only looks at a result; those of what is likelier tested are lower."""


class Roles:
    """The roles of one project's methods."""

    def __init__(self, calls: CallResolver) -> None:
        self._calls = calls

    def last_tested(self, called: Sequence[Member]) -> Member | None:
        """Return the last method that does something, else such a constructor, else the last getter, else any."""
        return min(reversed(called), key=self.rank, default=None)

    def doing(self, called: Sequence[Member]) -> list[Member]:
        """Return the methods that do something, in their order, without those that make what is tested."""
        return [member for member in called if self.rank(member) < PREPARES and not self.is_factory(member)]

    def rank(self, member: Member) -> int:
        """Return a rank of a called method; that of the lowest is likeliest to be what is tested."""
        method = member.method
        is_constructor = method.name == CONSTRUCTOR
        if method.trivial or method.name in CLOSING or (is_constructor and not method.parameters):
            return LOOKS + is_constructor
        if is_constructor or method.name in IMPLICIT:
            return MAKES - (not is_constructor)
        # Of the class under test what makes instances of others is tested.
        if self.is_factory(member, of_own=True):
            return PREPARES
        return int(not method.parameters and (GETTER.match(method.name) is not None or _has_setter(member)))

    def is_factory(self, member: Member, of_own: bool = False) -> bool:
        """Return whether a method makes an instance, of which a test calls what it tests.

        Args:
            member: the method.
            of_own: whether that must be of its own class, unless its name says what it does.
        """
        method, owner = member.method, member.owner.simple_name
        if owner in method.parameters or (of_own and not method.static):
            return False
        if FACTORY.match(method.name) and method.returns[:1].isupper():
            return True
        created, only = self._calls.created_by(member)
        if of_own:
            return method.returns.rpartition(".")[2] == owner or (only and created == [member.owner])
        return method.static and only


def only_doing(subject: JavaClass) -> Member | None:
    """Return the method of a class that has just one that does something, as a test that sends requests runs it."""
    own = [method for method in subject.methods if method.has_body and method.name not in IMPLICIT]
    methods = [method for method in own if method.name != CONSTRUCTOR and not method.trivial]
    return Member(subject, methods[0]) if len(methods) == 1 else None


def _has_setter(member: Member) -> bool:
    """Return whether a method of the same name sets what this one gets: `text(String)` for `text()`."""
    owner, name = member.owner, member.method.name
    setters = (one for one in owner.methods if one.name == name and len(one.parameters) == 1)
    return any(one.returns in ("void", owner.simple_name) for one in setters)
