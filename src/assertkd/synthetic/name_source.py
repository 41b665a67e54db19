"""The source of a scenario's names and literals: seeded choices within one project's vocabulary."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from assertkd.synthetic import java
from assertkd.synthetic.names import Project

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Receiver:
    """What a method is called on: a class or a fresh instance.

    Attributes:
        modifier: `static ` for a class, else nothing.
        name: the expression before the dot.
        steps: the statements that make the instance.
    """

    modifier: str
    name: str
    steps: tuple[str, ...]


class NameSource:
    """Names and values for one scenario; no noun or string comes twice."""

    def __init__(self, rng: random.Random, project: Project) -> None:
        self.rng = rng
        self.project = project
        self._nouns = rng.sample(project.nouns, len(project.nouns))
        self._amounts = rng.sample(project.amounts, len(project.amounts))
        self._measures = rng.sample(project.measures, len(project.measures))
        self._values = rng.sample(project.values, len(project.values))

    def noun(self) -> str:
        """Return a noun of the project in lower case, such as `parcel`."""
        return self._nouns.pop()

    def amount(self) -> str:
        """Return the name of a whole quantity, such as `weight`."""
        return self._amounts.pop()

    def measure(self) -> str:
        """Return the name of a real quantity, such as `ratio`."""
        return self._measures.pop()

    def word(self) -> str:
        """Return a short string value, such as `copper`."""
        return self._values.pop()

    def words(self, count: int) -> list[str]:
        """Return `count` different short string values."""
        return [self.word() for _ in range(count)]

    def pick(self, *options: T) -> T:
        """Return one of the options, each as likely."""
        return self.rng.choice(options)

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.rng.random() < probability

    def integer(self, low: int, high: int) -> int:
        """Return an integer from low to high, both included."""
        return self.rng.randint(low, high)

    def integers(self, count: int, low: int, high: int) -> list[int]:
        """Return `count` different integers from low to high, both included."""
        return self.rng.sample(range(low, high + 1), count)

    def compound(self, noun: str) -> str:
        """Return the name of a whole quantity, every second time with the noun before it: `parcelWeight`."""
        return noun + java.capitalised(self.amount()) if self.chance(0.5) else self.amount()

    def method(self, verb: str, noun: str) -> str:
        """Return a method name: the verb, mostly with the noun after it, as in `closeParcel`."""
        return verb + java.capitalised(noun) if self.chance(0.6) else verb

    def receiver(self, class_name: str) -> "Receiver":
        """Decide whether a method without state is static or called on an instance."""
        return Receiver("static ", class_name, ()) if self.chance(0.5) else self.instance(class_name)

    def instance(self, class_name: str) -> "Receiver":
        """Return a fresh instance to call a method on."""
        variable = self.variable(class_name)
        return Receiver("", variable, (self.construct(class_name, variable),))

    def round_number(self) -> int:
        """Return a number that people choose, such as 5, 20 or 100."""
        return self.rng.choice((2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 80, 100))

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in a random order."""
        return self.rng.sample(items, len(items))

    def class_name(self, noun: str, *suffixes: str) -> str:
        """Return a class name from the noun and one of the suffixes, now and then with the project's qualifier."""
        qualifier = self.rng.choice(self.project.qualifiers) if self.chance(0.12) else ""
        return qualifier + java.capitalised(noun) + self.rng.choice(suffixes)

    def variable(self, class_name: str) -> str:
        """Return a name for a local that holds an instance: the class's, or its last word."""
        last = max(place for place, letter in enumerate(class_name) if letter.isupper())
        return java.uncapitalised(class_name if self.chance(0.1) else class_name[last:])

    def construct(self, class_name: str, variable: str, *arguments: object) -> str:
        """Return the statement that puts a new instance into a local."""
        return f"{class_name} {variable} = new {class_name}({java.listed(arguments)});"

    def calls(self, variable: str, method: str, values: Sequence[str]) -> list[str]:
        """Return one statement for each string: `queue.add("north");`."""
        return [f"{variable}.{method}({java.text(value)});" for value in values]
