"""Syntax validity: the prediction is exactly one statement of today's Java."""

from functools import lru_cache

from tree_sitter import Node

from assertkd.java.source import COMMENTS, TYPES, parse, translated
from assertkd.metrics.ast_validity import MAXIMUM_CHARACTERS
from assertkd.metrics.language_rules import follows_language_rules

BEFORE, AFTER = b"class Holder { void holder() {\n", b"\n} }\n"
SILENT = COMMENTS | TYPES | {"package_declaration", "import_declaration", "module_declaration", ";"}


def syntax_validity(prediction: str, reference: str = "") -> float:
    """Return 1.0 where the prediction is exactly one non-empty statement of Java, else 0.0.

    The rule of `ast_validity`, by tree-sitter's grammar, which knows recent Java, and the language's own rules. The
    reference plays no part.
    """
    return float(only_statement(prediction) is not None)


@lru_cache(maxsize=1 << 12)
def only_statement(text: str) -> Node | None:
    """Return the node of the one non-empty statement that `text` consists of, comments apart.

    None where there is an error, a missing sign, no statement or more than one, only a declaration of a type, a closing
    brace that the text did not open, or what the language's rules forbid.
    """
    statements = statements_of(text)
    if len(statements) == 1 and says_something(statements[0]) and follows_language_rules(statements[0]):
        return statements[0]
    return None


def statements_of(text: str) -> list[Node]:
    """Return the nodes of the statements that `text` consists of, comments apart.

    None at all where there is an error, a missing sign, or a closing brace that the text did not open.
    """
    if len(text) > MAXIMUM_CHARACTERS:
        return []
    source = translated(text).encode("utf-8", errors="replace")
    root = parse(BEFORE + source + AFTER).root_node
    if root.has_error:
        return []
    body = root.descendant_for_byte_range(len(BEFORE) - 2, len(BEFORE) - 2)
    body = body.parent if body is not None else None
    if body is None or body.type != "block" or body.end_byte != len(BEFORE) + len(source) + len(b"\n}"):
        return []
    return [node for node in body.children[1:-1] if node.type not in COMMENTS]


def says_something(statement: Node) -> bool:
    """Return whether a node is a statement other than `;`, a type's declaration, and blocks of nothing else."""
    waiting = [statement]
    while waiting:
        node = waiting.pop()
        if node.type == "block":
            waiting += node.children[1:-1]
        elif node.type == "labeled_statement":
            waiting.append(node.children[-1])
        elif node.type not in SILENT:
            return True
    return False
