"""The calls of a test, each with what is plain to see of the type that it is called on."""

from collections.abc import Mapping

from tree_sitter import Node

from assertkd.java.source import simple_type, text_of
from assertkd.java.structure import CONSTRUCTOR, Call, Span

LITERALS = {
    "string_literal": "String",
    "character_literal": "char",
    "true": "boolean",
    "false": "boolean",
    "null_literal": "null",
    "class_literal": "Class",
    "lambda_expression": "->",
    "method_reference": "->",
}
DECLARING = frozenset({"enhanced_for_statement", "resource", "formal_parameter", "catch_formal_parameter"})


def declared_types(declaration: Node) -> dict[str, str]:
    """Return name to type of what a field or local declaration declares.

    The type of an instance that is made at once counts more than the declared one: `List x = new MyList()` is a MyList.
    """
    found = {}
    for declarator in declaration.children_by_field_name("declarator"):
        value = declarator.child_by_field_name("value")
        made = value if value is not None and value.type == "object_creation_expression" else declaration
        kind = simple_type(made.child_by_field_name("type"))
        dimensions = text_of(declarator.child_by_field_name("dimensions")).replace(" ", "")
        found[text_of(declarator.child_by_field_name("name"))] = kind + dimensions
    return found


def calls_in(body: Node, fields: Mapping[str, str], parameters: Node | None = None) -> tuple[Call, ...]:
    """Return the calls of a test's body in the order in which they are completed.

    Types are known of the fields that the test sees (name to type) and of its parameters.
    """
    walk = _Walk(fields)
    for parameter in parameters.named_children if parameters is not None else ():
        walk.declare(parameter)
    waiting = [(body, False)]
    while waiting:
        node, done = waiting.pop()
        if done:
            walk.leave(node)
        else:
            if node.type in DECLARING:
                walk.declare(node)
            waiting.append((node, True))
            waiting += [(child, False) for child in reversed(node.named_children)]
    return tuple(walk.calls)


class _Walk:
    """Types of the names in scope, and the calls met so far."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.calls: list[Call] = []
        self._fields = fields
        self._locals: dict[str, str | int] = {}
        self._index: dict[int, int] = {}

    def leave(self, node: Node) -> None:
        """Take note of a node whose children are done."""
        if node.type == "method_invocation":
            target = node.child_by_field_name("object")
            receiver = None if target is None or target.type in ("this", "super") else self._type(target)
            self._add(node, text_of(node.child_by_field_name("name")), receiver)
        elif node.type == "object_creation_expression":
            self._add(node, CONSTRUCTOR, simple_type(node.child_by_field_name("type")))
        elif node.type == "local_variable_declaration":
            self._locals |= declared_types(node)
            declarator = node.child_by_field_name("declarator")
            if declarator is not None and text_of(node.child_by_field_name("type")) == "var":
                value = declarator.child_by_field_name("value")
                self._locals[text_of(declarator.child_by_field_name("name"))] = self._type(value)

    def declare(self, node: Node) -> None:
        """Take note of the name that a parameter or a loop declares."""
        name = text_of(node.child_by_field_name("name"))
        if name:
            declared = simple_type(node.child_by_field_name("type"))
            self._locals[name] = "" if declared == "var" else declared

    def _add(self, node: Node, name: str, receiver: str | int | None) -> None:
        arguments = node.child_by_field_name("arguments")
        types = [self._type(child) for child in arguments.named_children] if arguments is not None else []
        self._index[node.id] = len(self.calls)
        self.calls.append(Call(name, receiver, tuple(types), Span(node.start_byte, node.end_byte)))

    def _type(self, node: Node | None) -> str | int:
        """Return the type of an expression, the index of the call that it is, or "" where it is not plain to see."""
        while node is not None and node.type in ("parenthesized_expression", "ternary_expression"):
            node = node.child_by_field_name("consequence") or node.named_children[0]
        if node is None:
            return ""
        match node.type:
            case "identifier":
                name = text_of(node)
                known = self._locals.get(name, self._fields.get(name))
                return _as_class(name) if known is None else known
            case "method_invocation":
                return self._index.get(node.id, "")
            case "object_creation_expression" | "cast_expression":
                return simple_type(node.child_by_field_name("type"))
            case "array_creation_expression":
                dimensions = sum(child.type in ("dimensions", "dimensions_expr") for child in node.named_children)
                return simple_type(node.child_by_field_name("type")) + "[]" * max(1, dimensions)
            case "field_access":
                name = text_of(node.child_by_field_name("field"))
                if text_of(node.child_by_field_name("object")) == "this":
                    return self._fields.get(name, "")
                return _as_class(name)
            case "decimal_integer_literal" | "hex_integer_literal":
                return "long" if text_of(node)[-1] in "lL" else "int"
            case "decimal_floating_point_literal":
                return "float" if text_of(node)[-1] in "fF" else "double"
            case kind:
                return LITERALS.get(kind, "")


def _as_class(name: str) -> str:
    """Return a name that looks like a class's; "" for others, constants among them."""
    return name if name[:1].isupper() and not (name.isupper() and len(name) > 1) else ""
