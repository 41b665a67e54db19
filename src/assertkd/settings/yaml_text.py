"""YAML without what has two meanings or what no config needs, every fault with its line.

Of two equal keys YAML's own reader takes the last; aliases may stand for billions of values, and levels may be so many
that Python's stack overflows.
"""

from typing import Any

import yaml

from assertkd.errors import UserError

MAX_VALUES = 100_000
"""Keys and values of a file with every alias written out; the shipped one has 1,000."""

MAX_DEPTH = 40
"""Levels of a file; the shipped one has 7."""

MAX_DIGITS = 40
"""Characters of a number."""

REMEDY = "Correct that line."
SCALARS = ("int", "float", "bool", "null", "timestamp")


class UnusableYAML(yaml.MarkedYAMLError):
    """What is valid YAML and no valid config."""


class StrictLoader(yaml.SafeLoader):
    """Reads YAML as `yaml.SafeLoader` does; UnusableYAML for what no config needs or what has two meanings."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node, and bound the depth of the file and its size with aliases written out."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _fault(f"more than {MAX_DEPTH} levels", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return node
        if id(node) not in self._sizes:
            if isinstance(node, yaml.ScalarNode):
                self._sizes[id(node)] = 1
            elif node.end_mark is None:
                # An alias inside the value that it stands for.
                raise _fault("the alias is part of what it stands for", mark)
            else:
                self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in _children(node))
        if self._sizes[id(node)] > MAX_VALUES:
            raise _fault(f"more than {MAX_VALUES:,} values with its aliases written out", mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the next mapping, which has every key once and names that are read as they are written."""
        node = super().compose_mapping_node(anchor)
        seen: dict[str, yaml.Mark] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _fault("a key is a name, not a list or further keys", key.start_mark)
            if key.value in seen:
                first = seen[key.value].line + 1
                raise _fault(f"the key `{key.value}` stands twice, first in line {first}", key.start_mark)
            seen[key.value] = key.start_mark
            if key.tag.removeprefix("tag:yaml.org,2002:") in SCALARS:
                value = self.construct_object(key)
                if str(value) != key.value:
                    raise _fault(f"the key `{key.value}` is read as {value!r}: put it in quotes", key.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node."""
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:int" and len(node.value) > MAX_DIGITS:
            raise _fault(f"a number of {len(node.value):,} digits", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as fault:
            raise _fault(str(fault), node.start_mark) from None
        except (LookupError, AttributeError):
            # Of a tag, as in `!!int ""`, PyYAML does not ask whether the text is such a value.
            raise _fault(f"{node.value!r} is no {node.tag.rpartition(':')[2]}", node.start_mark) from None


def parse_yaml(text: str, place: str) -> Any:
    """Return the value of a YAML text; each place of an alias has a value of its own.

    Args:
        text: the text.
        place: what holds it, for messages.

    Raises:
        UserError: the text is not YAML, has a key twice, or is larger or deeper than any config; the line is named.
    """
    try:
        return _without_shared_values(StrictLoader(text).get_single_data())
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        problem = ": ".join(part for part in (fault.context, fault.problem) if part)
        if not isinstance(fault, UnusableYAML):
            problem = f"not valid YAML ({problem})"
        raise UserError(f"{place}{line}: {problem}", REMEDY) from None
    except yaml.reader.ReaderError as fault:
        line = f":{text.count(chr(10), 0, fault.position) + 1}"
        code = f"U+{fault.character:04X}" if isinstance(fault.character, int) else repr(fault.character)
        raise UserError(f"{place}{line}: holds the control character {code}", REMEDY) from None


def _fault(problem: str, mark: Any) -> UnusableYAML:
    return UnusableYAML(problem=problem, problem_mark=mark)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)


def _without_shared_values(value: Any) -> Any:
    """Return a value of which each list and mapping stands in one place only."""
    if isinstance(value, dict):
        return {key: _without_shared_values(one) for key, one in value.items()}
    return [_without_shared_values(one) for one in value] if isinstance(value, list) else value
