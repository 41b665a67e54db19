"""Simple mutants of a method: one small fault each, which a good assertion notices (DeMillo, Lipton & Sayward 1978).

The operators are those that PIT runs by default, and constants: conditionals, arithmetic, returns.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from assertkd.java.source import child_text, leaves, parse, text_of

METHODS = frozenset({"method_declaration", "constructor_declaration", "compact_constructor_declaration"})

COMPARISONS = {"<": (">=", "<="), "<=": (">", "<"), ">": ("<=", ">="), ">=": ("<", ">"), "==": ("!=",), "!=": ("==",)}
"""A comparison's opposite, then its boundary moved."""

ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "&": "|", "|": "&", "^": "&", "<<": ">>", ">>": "<<"}
LOGIC = {"&&": "||", "||": "&&"}
ASSIGNMENTS = {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "%=": "*="}
STEPS = {"++": "--", "--": "++"}
NUMBERS = frozenset({"byte", "short", "int", "long", "float", "double", "char"})


@dataclass(frozen=True, slots=True)
class _Edit:
    kind: str
    node: Node
    text: str


def mutants_of(class_source: str, focal_method: str, most: int, line: int | None = None) -> list[str]:
    """Return the class with one fault in a method, `most` times at most, from all of the method and all kinds of fault.

    No mutant equals the original, or another mutant, in its tokens; whether one compiles is not known. None where the
    class does not hold the method.

    Args:
        class_source: the compilation unit of the class.
        focal_method: source of the method, which the class holds token for token.
        most: at most so many.
        line: one of the method's in the class, counted from 1, where it is known.
    """
    source = class_source.encode("utf-8", errors="replace")
    method = find_method(parse(source).root_node, focal_method, line)
    body = method.child_by_field_name("body") if method is not None else None
    if method is None or body is None:
        return []
    seen = {tokens(method)}
    mutants: list[str] = []
    for edit in _in_turn(_edits(method, body)):
        if len(mutants) == most:
            break
        mutated = source[: edit.node.start_byte] + edit.text.encode() + source[edit.node.end_byte :]
        end = method.end_byte + len(mutated) - len(source)
        key = _tokens_of_method(mutated[method.start_byte : end])
        if key not in seen:
            seen.add(key)
            mutants.append(mutated.decode("utf-8"))
    return mutants


def find_method(root: Node, method: str, line: int | None = None) -> Node | None:
    """Return the method or constructor below `root` that has the tokens of `method`; None where there is none.

    Of several it is the one with this line of the text, counted from 1, else the first.
    """
    method_tokens = _tokens_of_method(method.encode("utf-8", errors="replace"))
    found = [node for node in _walk(root) if node.type in METHODS and tokens(node) == method_tokens]
    on_line = [node for node in found if line is not None and has_line(node, line)]
    return next(iter([*on_line, *found]), None)


def has_line(node: Node, line: int) -> bool:
    """Return whether a node has a line, counted from 1."""
    return node.start_point[0] < line <= node.end_point[0] + 1


def tokens(node: Node) -> tuple[str, ...]:
    """Return the texts of a node's tokens, comments left out."""
    return tuple(map(text_of, leaves(node)))


def _tokens_of_method(method: bytes) -> tuple[str, ...]:
    return tokens(parse(b"class Holder {" + method + b"}").root_node)[3:-1]


def _walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += reversed(current.children)


def _in_turn(edits: Iterator[_Edit]) -> list[_Edit]:
    """Return the edits, the kinds taking turns, each kind's in the order of the text."""
    made: Counter[str] = Counter()

    def place(edit: _Edit) -> tuple[int, int]:
        made[edit.kind] += 1
        return made[edit.kind], edit.node.start_byte

    return sorted(edits, key=place)


def _edits(method: Node, body: Node) -> Iterator[_Edit]:
    for node in _walk(body):
        if node.type == "binary_expression":
            yield from _of_operator(node)
        elif node.type == "assignment_expression":
            yield from _replaced("arithmetic", node.child_by_field_name("operator"), ASSIGNMENTS)
        elif node.type == "update_expression":
            yield from _replaced("arithmetic", next(c for c in node.children if not c.is_named), STEPS)
        elif node.type == "unary_expression" and child_text(node, "operator") == "!":
            yield _Edit("conditional", node, child_text(node, "operand"))
        elif node.type in ("if_statement", "while_statement", "ternary_expression"):
            yield from _of_condition(node)
        elif node.type == "return_statement" and node.named_children and _returns_of(node, method):
            yield from _of_return(node, child_text(method, "type"))
        elif node.type in ("true", "false"):
            yield _Edit("constant", node, "false" if node.type == "true" else "true")
        elif node.type == "decimal_integer_literal":
            digits = text_of(node).rstrip("lL").replace("_", "")
            suffix = "L" if text_of(node)[-1] in "lL" else ""
            yield _Edit("constant", node, f"{int(digits) + 1}{suffix}")
        elif node.type == "string_literal":
            yield _Edit("constant", node, '"mutant"' if text_of(node) == '""' else '""')


def _of_operator(node: Node) -> Iterator[_Edit]:
    operator = node.child_by_field_name("operator")
    if operator is None:
        return
    for other in COMPARISONS.get(operator.type, ()):
        yield _Edit("conditional", operator, other)
    yield from _replaced("conditional", operator, LOGIC)
    # A plus between texts has no minus: such a mutant does not compile, and the compiler says so.
    yield from _replaced("arithmetic", operator, ARITHMETIC)


def _of_condition(node: Node) -> Iterator[_Edit]:
    """Negate a condition that is no comparison, a call for instance."""
    condition = node.child_by_field_name("condition")
    while condition is not None and condition.type == "parenthesized_expression":
        condition = condition.named_children[0]
    if condition is not None and condition.type not in ("binary_expression", "unary_expression", "true", "false"):
        yield _Edit("conditional", condition, f"!({text_of(condition)})")


def _of_return(node: Node, kind: str) -> Iterator[_Edit]:
    value = node.named_children[0]
    text = text_of(value)
    if kind == "boolean":
        operator = child_text(value, "operator")
        if value.type in ("true", "false") or operator in COMPARISONS or operator == "!":
            return  # Other operators make this fault already.
        yield _Edit("return", value, f"!({text})")
    elif kind in NUMBERS:
        yield _Edit("return", value, "1" if text in ("0", "0L", "0.0") else "0")
    elif kind == "String" and text != '""':
        yield _Edit("return", value, '""')
    elif kind and text != "null":
        yield _Edit("return", value, "null")


def _returns_of(node: Node, method: Node) -> bool:
    """Return whether a return statement is the method's own, not a lambda's or an inner class's."""
    parent = node.parent
    while parent is not None and parent.type not in (*METHODS, "lambda_expression"):
        parent = parent.parent
    return parent == method


def _replaced(kind: str, operator: Node | None, others: dict[str, str]) -> Iterator[_Edit]:
    if operator is not None and operator.type in others:
        yield _Edit(kind, operator, others[operator.type])
