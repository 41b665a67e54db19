"""Java source as bytes and syntax trees."""

import re
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_java
from tree_sitter import Language, Node, Parser, Tree

COMMENTS = frozenset({"line_comment", "block_comment"})
TYPES = frozenset(f"{kind}_declaration" for kind in ("class", "interface", "enum", "record", "annotation_type"))
"""Nodes that declare a type."""

METHODS = frozenset({"method_declaration", "constructor_declaration", "compact_constructor_declaration"})
"""Nodes that declare a method or constructor."""
MOST_HOLES = 50
"""Blocks that are left out of a file; more, and it is not Java."""

JAVA = Language(tree_sitter_java.language())
_parser = Parser(JAVA)
_TOKEN = re.compile(
    rb'"""(?:\\.|[^\\])*?"""|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/|[{}]', re.DOTALL
)
_LONG_ESCAPE = re.compile(rb"\\(u{2,})(?=[0-9a-fA-F]{4})")
_UNICODE_ESCAPE = re.compile(r"\\(?:\\|u+([0-9a-fA-F]{4}))")


def read_source(path: Path) -> bytes:
    """Return a file's text as UTF-8 with line feeds; what is not UTF-8 is taken for Latin-1.

    Raises:
        OSError: the file cannot be read.
    """
    return normalised(path.read_bytes())


def normalised(raw: bytes) -> bytes:
    """Return source as UTF-8 without byte order mark and final control-Z (JLS 3.5), its lines ended by line feeds."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    text = text.removesuffix("\x1a")
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


def parse_in_part(source: bytes) -> tuple[Tree, list[tuple[int, int]]]:
    """Return the syntax tree of a compilation unit, of which parts may not parse, and the blocks that it leaves out.

    A construct that the parser does not know costs the method around it, not the file. Where the parser does not find
    the method's end, blanks stand for the contents of the block that holds the construct.

    Returns:
        The tree, whose positions are those of the source, and of each block left out where it begins and ends.
    """
    # The parser knows one `u` in an escape.
    source = _LONG_ESCAPE.sub(lambda match: b" " * (len(match[1]) - 1) + b"\\u", source)
    tree = parse(source)
    holes: list[tuple[int, int]] = []
    blocks = _blocks(source) if tree.root_node.has_error else []
    while len(holes) < MOST_HOLES and (fault := _fault_outside_methods(tree.root_node, source)) is not None:
        around = [(start, end) for start, end in blocks if start <= fault < end]
        if not around:
            break
        start, end = hole = max(around)
        blocks.remove(hole)
        holes.append(hole)
        source = source[:start] + re.sub(rb"[^\n]", b" ", source[start:end]) + source[end:]
        tree = parse(source)
    return tree, holes


def _fault_outside_methods(root: Node, source: bytes) -> int | None:
    """Return where the first construct is that costs more than the method around it, or None."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type in METHODS and is_closed(source[node.start_byte : node.end_byte]):
            continue
        inside = [child for child in node.children if child.has_error or child.is_missing]
        if not inside and (node.is_error or node.is_missing):
            return node.start_byte
        waiting += reversed(inside)
    return None


def _blocks(source: bytes) -> list[tuple[int, int]]:
    """Return where the contents of each block of braces begin and end, without those of outer classes."""
    found, starts = [], []
    for match in _TOKEN.finditer(source):
        if match[0] == b"{":
            starts.append(match.end())
        elif match[0] == b"}" and starts:
            start = starts.pop()
            if starts:
                found.append((start, match.start()))
    return found


def is_closed(source: bytes) -> bool:
    """Return whether code closes every brace that it opens, and no other."""
    depth = 0
    for match in _TOKEN.finditer(source):
        depth += {b"{": 1, b"}": -1}.get(match[0], 0)
        if depth < 0:
            return False
    return depth == 0


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


def annotations_of(declaration: Node) -> dict[str, str]:
    """Return the simple name of every annotation of a declaration, with the text of its arguments."""
    found = {}
    for modifiers in declaration.children:
        if modifiers.type != "modifiers":
            continue
        for node in modifiers.named_children:
            if node.type in ("marker_annotation", "annotation"):
                name = text_of(node.child_by_field_name("name")).rpartition(".")[2]
                found[name] = text_of(node.child_by_field_name("arguments"))
    return found
