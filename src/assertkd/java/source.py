"""Java source as bytes and syntax trees."""

import re
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_java
from tree_sitter import Language, Node, Parser, Tree

COMMENTS = frozenset({"line_comment", "block_comment"})
TYPES = frozenset(f"{kind}_declaration" for kind in ("class", "interface", "enum", "record", "annotation_type"))
"""Nodes that declare a type."""

JAVA = Language(tree_sitter_java.language())
_parser = Parser(JAVA)
_UNICODE_ESCAPE = re.compile(r"\\(?:\\|u+([0-9a-fA-F]{4}))")


def read_source(path: Path) -> bytes:
    """Return a file's text as UTF-8 with line feeds; what is not UTF-8 is taken for Latin-1.

    Raises:
        OSError: the file cannot be read.
    """
    return normalised(path.read_bytes())


def normalised(raw: bytes) -> bytes:
    """Return source as UTF-8 without byte order mark, its lines ended by line feeds."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8")


def translated(text: str, nul: str = "\ufffd") -> str:
    """Return what a compiler reads of source: Unicode escapes resolved, lines ended by line feeds (JLS 3.3, 3.4).

    Args:
        text: the source.
        nul: replaces the escape of NUL, which the parser takes for the text's end.
    """

    def character(match: re.Match[str]) -> str:
        code = int(match[1], 16) if match[1] else None
        return match[0] if code is None else (chr(code) if code else nul)

    text = _UNICODE_ESCAPE.sub(character, text)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(source: bytes) -> Tree:
    """Return the syntax tree of a compilation unit; `root_node.has_error` says whether it is sound."""
    return _parser.parse(source)


def text_of(node: Node | None) -> str:
    """Return a node's source text; "" for no node."""
    return node.text.decode("utf-8") if node is not None and node.text is not None else ""


def child_text(node: Node, field: str) -> str:
    """Return the source text of the child in a field; "" where there is none."""
    return text_of(node.child_by_field_name(field))


def leaves(node: Node) -> Iterator[Node]:
    """Yield the tokens below a node in their order, comments left out."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if current.type in COMMENTS:
            continue
        if current.child_count == 0:
            yield current
        else:
            waiting += reversed(current.children)


def simple_type(node: Node | None) -> str:
    """Return a type without type arguments, annotations and packages: `int`, `Foo`, `Outer.Inner`, `Foo[]`."""
    suffix = ""
    while node is not None:
        match node.type:
            case "generic_type":
                node = node.named_children[0]
            case "annotated_type":
                node = node.named_children[-1]
            case "array_type":
                suffix += text_of(node.child_by_field_name("dimensions")).replace(" ", "")
                node = node.child_by_field_name("element")
            case "scoped_type_identifier":
                names = [text_of(leaf) for leaf in leaves(node) if leaf.type == "type_identifier"]
                return ".".join(name for name in names if name[:1].isupper()) + suffix
            case _:
                return text_of(node) + suffix
    return ""
