"""The calls of a test, each with what is plain to see of the type that it is called on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tree_sitter import Node

from assertkd.java.assertions import makes_mock
from assertkd.java.source import COMMENTS, annotations_of, child_text, simple_type, text_of
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
DECLARING = frozenset(
    {
        "formal_parameter",
        "catch_formal_parameter",
        "type_pattern",
        "record_pattern_component",
        "instanceof_expression",
    }
)
MOCKED = frozenset({"Mock", "MockBean", "MockitoBean", "Mocked", "Injectable"})
"""Annotations of fields that hold mocks."""
ELEMENT = "[]"
"""Appended to a variable's name it names the type of what the variable holds several of, where that is known."""
LISTS = frozenset({"List.of", "Set.of", "Stream.of", "Arrays.asList", "ImmutableList.of", "ImmutableSet.of"})
"""What makes a collection of its arguments."""


def declared_types(declaration: Node) -> dict[str, str]:
    """Return name to type of what a field or local declaration declares.

    The type of an instance that is made at once counts more than the declared one: `List x = new MyList()` is a MyList.
    That of a mock is "", since nothing that is tested runs when it is called.
    """
    found = {}
    is_mocked = not MOCKED.isdisjoint(annotations_of(declaration))
    for declarator in declaration.children_by_field_name("declarator"):
        value = declarator.child_by_field_name("value")
        name = text_of(declarator.child_by_field_name("name"))
        made = value if value is not None and value.type == "object_creation_expression" else declaration
        dimensions = text_of(declarator.child_by_field_name("dimensions")).replace(" ", "")
        is_mock = is_mocked or makes_mock(value)
        found[name] = "" if is_mock else simple_type(made.child_by_field_name("type")) + dimensions
        if element := type_argument(declaration.child_by_field_name("type")):
            found[name + ELEMENT] = element
    return found


def assigned_types(body: Node, names: Iterable[str]) -> dict[str, str]:
    """Return name to type of the variables that a class's code assigns instances or mocks to, always of one type."""
    names = set(names)
    found: dict[str, set[str]] = {}
    for node in descendants(body, "assignment_expression"):
        left, value = node.child_by_field_name("left"), node.child_by_field_name("right")
        name = text_of(left).removeprefix("this.")
        if name in names and value is not None:
            if value.type == "object_creation_expression":
                found.setdefault(name, set()).add(simple_type(value.child_by_field_name("type")))
            elif makes_mock(value):
                found.setdefault(name, set()).add("")
    return {name: types.pop() for name, types in found.items() if len(types) == 1}


def descendants(node: Node, kind: str) -> Iterable[Node]:
    """Yield the nodes of a kind at and below a node."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if current.type == kind:
            yield current
        waiting += reversed(current.named_children)


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
            inside = [(child, False) for child in reversed(node.named_children)]
            # A loop's variable is declared ahead of its body, which is the last child.
            before_body = 1 if node.type == "enhanced_for_statement" else 0
            waiting += [*inside[:before_body], (node, True), *inside[before_body:]]
    return tuple(walk.calls)


def returned_by(body: Node, parameters: Node | None) -> Iterator[str | tuple[Call, ...]]:
    """Yield what the `return` statements of a method give back: a new instance's type, or calls, the result last.

    There are no calls where something else is given back; `null` is left out.
    """
    declarators = descendants(body, "variable_declarator")
    values = {child_text(one, "name"): one.child_by_field_name("value") for one in declarators}
    for returned in descendants(body, "return_statement"):
        value = _evaluated(returned.named_children[0]) if returned.named_children else None
        while value is not None and value.type == "cast_expression":
            value = _evaluated(value.child_by_field_name("value"))
        if value is None or value.type == "null_literal":
            continue
        value = values.get(text_of(value)) or value
        if value.type == "object_creation_expression":
            yield simple_type(value.child_by_field_name("type"))
        else:
            yield calls_in(value, {}, parameters) if value.type == "method_invocation" else ()


class _Walk:
    """Types of the names in scope, and the calls met so far."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.calls: list[Call] = []
        self._fields = fields
        self._locals: dict[str, str | int] = {}
        self._index: dict[int, int] = {}

    def leave(self, node: Node) -> None:
        """Take note of a node whose children are done."""
        match node.type:
            case "method_invocation":
                target = node.child_by_field_name("object")
                receiver = None if target is None or target.type in ("this", "super") else self._type(target)
                self._add(node, text_of(node.child_by_field_name("name")), receiver)
            case "object_creation_expression":
                self._add(node, CONSTRUCTOR, simple_type(node.child_by_field_name("type")))
            case "local_variable_declaration":
                self._locals |= declared_types(node)
                declarator = node.child_by_field_name("declarator")
                if declarator is not None and text_of(node.child_by_field_name("type")) == "var":
                    self._infer(declarator, declarator.child_by_field_name("value"))
            case "resource":
                self.declare(node)
                value = node.child_by_field_name("value")
                is_made = value is not None and value.type == "object_creation_expression"
                if is_made or text_of(node.child_by_field_name("type")) == "var":
                    self._infer(node, value)
            case "enhanced_for_statement":
                self.declare(node)
                if text_of(node.child_by_field_name("type")) == "var":
                    name = text_of(node.child_by_field_name("name"))
                    self._locals[name] = self._element_of(node.child_by_field_name("value"))

    def declare(self, node: Node) -> None:
        """Take note of the name that a parameter, a pattern or a loop declares."""
        kind, named = node.child_by_field_name("type"), node.child_by_field_name("name")
        if node.type in ("type_pattern", "record_pattern_component"):
            kind, named = node.named_children[-2] if node.named_child_count > 1 else None, node.named_children[-1]
        elif node.type == "instanceof_expression":
            kind = node.child_by_field_name("right")
        name, declared = text_of(named), simple_type(kind)
        if name:
            self._locals[name] = "" if declared == "var" else declared
            if element := type_argument(kind):
                self._locals[name + ELEMENT] = element

    def _infer(self, declared: Node, value: Node | None) -> None:
        name = text_of(declared.child_by_field_name("name"))
        self._locals[name] = "" if makes_mock(value) else self._type(value)
        self._locals[name + ELEMENT] = self._element_of(value)

    def _add(self, node: Node, name: str, receiver: str | int | None) -> None:
        arguments = node.child_by_field_name("arguments")
        given = arguments.named_children if arguments is not None else ()
        types = [self._type(argument) for argument in given if argument.type not in COMMENTS]
        self._index[node.id] = len(self.calls)
        self.calls.append(Call(name, receiver, tuple(types), Span(node.start_byte, node.end_byte)))

    def _type_of_operations(self, node: Node) -> str | int:
        """Return the type of a binary operation; a concatenation may have thousands to its left."""
        operations = []
        left: Node | None = node
        while left is not None and left.type == "binary_expression":
            operations.append(left)
            left = _evaluated(left.child_by_field_name("left"))
        kind = self._type(left)
        for operation in reversed(operations):
            right = self._type(operation.child_by_field_name("right"))
            kind = _type_of_operation(text_of(operation.child_by_field_name("operator")), [kind, right])
        return kind

    def _element_of(self, node: Node | None) -> str | int:
        """Return the type of what an expression holds several of, or "" where it is not plain to see."""
        if node is None:
            return ""
        if node.type == "identifier":
            name = text_of(node) + ELEMENT
            return self._locals.get(name, self._fields.get(name, ""))
        if node.type in ("array_creation_expression", "cast_expression"):
            return type_argument(node.child_by_field_name("type")) or simple_type(node.child_by_field_name("type"))
        if node.type == "object_creation_expression":
            return type_argument(node.child_by_field_name("type"))
        if node.type == "method_invocation":
            called = f"{text_of(node.child_by_field_name('object'))}.{text_of(node.child_by_field_name('name'))}"
            arguments = node.child_by_field_name("arguments")
            if called in LISTS and arguments is not None and arguments.named_children:
                return self._type(arguments.named_children[0])
        return ""

    def _type(self, node: Node | None) -> str | int:
        """Return the type of an expression, the index of the call that it is, or "" where it is not plain to see."""
        node = _evaluated(node)
        if node is None:
            return ""
        match node.type:
            case "identifier":
                name = text_of(node)
                known = self._locals.get(name, self._fields.get(name))
                return _as_class(name) or f".{name}" if known is None else known
            case "method_invocation":
                return self._index.get(node.id, "")
            case "object_creation_expression" | "cast_expression":
                return simple_type(node.child_by_field_name("type"))
            case "array_creation_expression":
                dimensions = sum(child.type in ("dimensions", "dimensions_expr") for child in node.named_children)
                return simple_type(node.child_by_field_name("type")) + "[]" * max(1, dimensions)
            case "array_access":
                return self._element_of(node.child_by_field_name("array"))
            case "field_access":
                name, owner = text_of(node.child_by_field_name("field")), node.child_by_field_name("object")
                if text_of(owner) == "this":
                    return self._fields.get(name, f".{name}")
                outer = self._type(owner) if owner is not None and owner.type != "field_access" else text_of(owner)
                if _as_class(name) or not isinstance(outer, str) or not outer:
                    return _as_class(name)
                return f"{outer.rpartition('.')[2]}.{name}"
            case "binary_expression":
                return self._type_of_operations(node)
            case "assignment_expression":
                return self._type(node.child_by_field_name("right"))
            case "decimal_integer_literal" | "hex_integer_literal":
                return "long" if text_of(node)[-1] in "lL" else "int"
            case "decimal_floating_point_literal":
                return "float" if text_of(node)[-1] in "fF" else "double"
            case kind:
                return LITERALS.get(kind, "")


def _evaluated(node: Node | None) -> Node | None:
    """Return the expression inside parentheses, and the first of two alternatives."""
    while node is not None and node.type in ("parenthesized_expression", "ternary_expression"):
        node = node.child_by_field_name("consequence") or node.named_children[0]
    return node


def _type_of_operation(operator: str, sides: Sequence[str | int]) -> str:
    if operator in ("==", "!=", "<", ">", "<=", ">=", "&&", "||"):
        return "boolean"
    if operator == "+" and "String" in sides:
        return "String"
    wide = [side for side in ("double", "float", "long") if side in sides]
    return wide[0] if wide else "int" if sides in (["int", "int"], ["int", "char"], ["char", "int"]) else ""


def _as_class(name: str) -> str:
    """Return a name that looks like a class's; "" for others, constants among them."""
    return name if name[:1].isupper() and not (name.isupper() and len(name) > 1) else ""


def type_argument(kind: Node | None) -> str:
    """Return the only type argument of a type, or what an array holds; "" where there is none, or several."""
    if kind is not None and kind.type == "array_type":
        return simple_type(kind).removesuffix("[]")
    if kind is not None and kind.type == "generic_type":
        arguments = kind.named_children[-1].named_children
        if len(arguments) == 1 and arguments[0].type != "wildcard":
            return simple_type(arguments[0])
    return ""
