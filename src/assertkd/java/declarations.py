"""From a file's source to what it declares."""

from collections.abc import Iterator, Mapping

from tree_sitter import Node

from assertkd.java.calls import declared_types
from assertkd.java.source import COMMENTS, TYPES, leaves, parse, simple_type, text_of
from assertkd.java.structure import CONSTRUCTOR, JavaClass, JavaFile, Method, Span
from assertkd.java.tests import annotations_of, framework_of_imports, test_of_method

COMPUTING = frozenset({"if", "for", "while", "throw", "(", "new", "?", "+", "-", "*", "/", "%", "[", "<", ">", "->"})
"""Tokens that a mere getter does without."""
MOST_TOKENS_OF_TRIVIAL = 16
"""A body with more tokens is no mere getter."""


def read_declarations(source: bytes, path: str, lenient: bool = False) -> JavaFile:
    """Return what a compilation unit declares.

    Where the normalised source does not parse, the file has its `fault` set, and no classes; `lenient` takes what can
    be made out, as while it is being written.
    """
    root = parse(source).root_node
    lines = source.count(b"\n") + 1
    if root.has_error and not lenient:
        return JavaFile(path, lines=lines, fault="does not parse")
    package, imports = "", []
    for node in root.named_children:
        if node.type == "package_declaration":
            package = "".join(text_of(leaf) for leaf in leaves(node.named_children[-1]))
        elif node.type == "import_declaration":
            words = [text_of(leaf) for leaf in leaves(node)][1:-1]
            static = ["static "] if words[:1] == ["static"] else []
            imports.append("".join(static + words[len(static) :]))
    framework = framework_of_imports(imports)
    classes = tuple(_classes(root, package, path, framework))
    return JavaFile(path, package, tuple(imports), classes, lines)


def _classes(root: Node, package: str, path: str, framework: str) -> Iterator[JavaClass]:
    waiting: list[tuple[Node, str, Mapping[str, str]]] = [
        (node, "", {}) for node in reversed(root.named_children) if node.type in TYPES
    ]
    while waiting:
        node, outer, outer_fields = waiting.pop()
        name = outer + text_of(node.child_by_field_name("name"))
        members = list(_members(node))
        fields = dict(outer_fields)
        for member in members:
            if member.type == "field_declaration":
                fields |= declared_types(member)
        simple, annotations = name.rpartition(".")[2], annotations_of(node)
        tests = (
            test_of_method(member, annotations, framework, fields)
            for member in members
            if member.type == "method_declaration"
        )
        yield JavaClass(
            name=name,
            package=package,
            file=path,
            supertypes=tuple(_supertypes(node)),
            methods=tuple(method for member in members for method in _method(member, simple)),
            tests=tuple(test for test in tests if test is not None),
        )
        waiting += [(member, f"{name}.", fields) for member in reversed(members) if member.type in TYPES]


def _members(declaration: Node) -> Iterator[Node]:
    body = declaration.child_by_field_name("body")
    for node in body.named_children if body is not None else ():
        if node.type == "enum_body_declarations":
            yield from node.named_children
        else:
            yield node


def _supertypes(declaration: Node) -> Iterator[str]:
    for clause in declaration.named_children:
        if clause.type == "superclass":
            yield simple_type(clause.named_children[0])
        elif clause.type in ("super_interfaces", "extends_interfaces"):
            for kind in clause.named_children[0].named_children:
                yield simple_type(kind)


def _method(node: Node, class_name: str) -> Iterator[Method]:
    if node.type not in ("method_declaration", "constructor_declaration"):
        return
    body = node.child_by_field_name("body")
    parameters = node.child_by_field_name("parameters")
    listed = [
        child
        for child in (parameters.named_children if parameters else ())
        if "parameter" in child.type and child.type != "receiver_parameter"
    ]
    built = node.type == "constructor_declaration"
    returns = class_name if built else simple_type(node.child_by_field_name("type"))
    yield Method(
        name=CONSTRUCTOR if built else text_of(node.child_by_field_name("name")),
        parameters=tuple(_parameter_type(parameter) for parameter in listed),
        variadic=bool(listed) and listed[-1].type == "spread_parameter",
        returns=returns,
        span=Span(node.start_byte, node.end_byte),
        has_body=body is not None,
        trivial=body is not None and returns != "void" and _is_trivial(body),
    )


def _parameter_type(parameter: Node) -> str:
    # A spread parameter's type has no field of its own.
    unnamed = (child for child in parameter.named_children if child.type not in ("modifiers", *COMMENTS))
    return simple_type(parameter.child_by_field_name("type") or next(unnamed, None))


def _is_trivial(body: Node) -> bool:
    """Return whether a body computes nothing: it only returns or sets fields, returns a literal, or is empty."""
    tokens = [leaf.type for leaf in leaves(body)]
    return len(tokens) <= MOST_TOKENS_OF_TRIVIAL and COMPUTING.isdisjoint(tokens)
