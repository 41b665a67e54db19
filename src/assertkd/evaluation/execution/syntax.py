"""Nodes of Java's syntax tree: their children by field, all below them, and their tokens."""

from collections.abc import Iterator

from tree_sitter import Node

from assertkd.java.source import leaves, parse, text_of


def parsed(source: bytes) -> Node:
    """Return the root of the syntax tree of a compilation unit, or of anything else; it may hold errors."""
    return parse(source).root_node


def child_text(node: Node, field: str) -> str:
    """Return the text of the child in a field, "" where there is none."""
    return text_of(node.child_by_field_name(field))


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += reversed(current.children)


def tokens(node: Node) -> tuple[str, ...]:
    """Return the texts of a node's tokens, comments left out."""
    return tuple(text_of(leaf) for leaf in leaves(node))
