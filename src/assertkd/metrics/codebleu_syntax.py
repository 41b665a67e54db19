"""The syntax part of CodeBLEU: subtrees that two syntax trees share (Ren et al. 2020, section 3.2)."""

from functools import lru_cache

from tree_sitter import Node

from assertkd.java.source import parse

Shape = tuple[object, ...]
"""Type of a node, and field name and number of the shape of each of its named children."""


def syntax_match(prediction: str, reference: str) -> float:
    """Return the share of the reference's subtrees that the prediction's tree has too, in [0, 1].

    A subtree is a node with all below it, names and values left out. Both texts are parsed as they are, so that what
    does not parse has at least the subtrees outside its errors.
    """
    numbers: dict[Shape, int] = {}
    own, other = subtrees(prediction, numbers), subtrees(reference, numbers)
    found = set(own)
    return sum(number in found for number in other) / len(other)


def subtrees(text: str, numbers: dict[Shape, int]) -> list[int]:
    """Return a number for the root and for each node with children; equal subtrees have equal numbers.

    Args:
        text: Java.
        numbers: shapes seen so far, added to. Two trees compared must be given the same.
    """
    found: list[int] = []
    waiting: list[tuple[Node, str | None, bool]] = [(parsed(text), None, False)]
    # The shapes of the named children done so far, one list for each open node.
    open_shapes: list[list[object]] = [[]]
    while waiting:
        node, field, is_done = waiting.pop()
        if not is_done:
            open_shapes.append([])
            waiting.append((node, field, True))
            children = node.children
            fields = [node.field_name_for_child(index) for index in range(len(children))]
            waiting += [(child, name, False) for child, name in zip(children[::-1], fields[::-1], strict=True)]
            continue
        below = open_shapes.pop()
        if not (node.is_named or node.is_missing):
            continue
        name = f"missing {node.type}" if node.is_missing else node.type
        number = numbers.setdefault((name, *below), len(numbers))
        open_shapes[-1] += (field, number)
        if node.child_count or not waiting:
            found.append(number)
    return found


@lru_cache(maxsize=1 << 12)
def parsed(text: str) -> Node:
    """Return the root of the syntax tree of `text` as a program of statements."""
    return parse(text.encode("utf-8", errors="replace")).root_node
