"""From a file's source to what it declares."""

from collections.abc import Iterator, Mapping, Sequence

from tree_sitter import Node

from assertkd.java.calls import assigned_types, calls_in, declared_types, descendants, returned_by
from assertkd.java.source import (
    COMMENTS,
    METHODS,
    TYPES,
    annotations_of,
    is_closed,
    leaves,
    parse_in_part,
    simple_type,
    text_of,
)
from assertkd.java.source_roots import lies_with_tests
from assertkd.java.structure import CONSTRUCTOR, JavaClass, JavaFile, Method, Span
from assertkd.java.tests import assertions_in, framework_of_imports, test_of_method, uses_test_library

COMPUTING = frozenset({"if", "for", "while", "throw", "(", "new", "?", "+", "-", "*", "/", "%", "[", "<", ">", "->"})
"""Tokens that a mere getter does without."""
VALUES = frozenset({"String", "Object", "Integer", "Long", "Double", "Boolean", "Character"})
"""Returned types that no class of a project stands for."""
MOST_TOKENS_OF_TRIVIAL = 16
"""A body with more tokens is no mere getter."""


def read_declarations(source: bytes, path: str) -> JavaFile:
    """Return what a compilation unit declares.

    Where parts of the normalised source do not parse, `in_part` is set: what else it declares is there, a method with
    such a part too where it is clear where it ends. Where nothing is left, or expressions are nested too deep to be
    read, the file has its `fault` set.
    """
    tree, holes = parse_in_part(source)
    root = tree.root_node
    lines = source.count(b"\n") + 1
    package, imports = "", []
    for node in root.named_children:
        if node.type == "package_declaration":
            package = "".join(text_of(leaf) for leaf in leaves(node.named_children[-1]))
        elif node.type == "import_declaration":
            words = [text_of(leaf) for leaf in leaves(node)][1:-1]
            static = ["static "] if words[:1] == ["static"] else []
            imports.append("".join(static + words[len(static) :]))
    framework = framework_of_imports(imports)
    in_part = root.has_error or bool(holes)
    helps_tests = uses_test_library(imports) or lies_with_tests(path, package)
    reader = _Reader(source, holes, package, path, framework, helps_tests)
    try:
        classes = tuple(reader.classes(root))
    except RecursionError:
        return JavaFile(path, lines=lines, fault="nested too deep")
    if in_part and not any(declared.methods for declared in classes):
        return JavaFile(path, lines=lines, fault="does not parse")
    bodies = _anonymous_test_cases(root) if any(name.startswith("junit.framework") for name in imports) else ()
    anonymous = sum(any(assertions_in(body)) for body in bodies)
    return JavaFile(path, package, tuple(imports), classes, lines, None, in_part, anonymous)


class _Reader:
    """Reads the classes of one file.

    Args:
        source: the file's, normalised.
        holes: its blocks that do not parse, which the tree has no nodes for.
        package: the file's.
        path: the file's.
        framework: of its tests.
        helps_tests: whether it lies with tests or uses what they are written with.
    """

    def __init__(
        self,
        source: bytes,
        holes: Sequence[tuple[int, int]],
        package: str,
        path: str,
        framework: str,
        helps_tests: bool,
    ) -> None:
        self._source = source
        self._holes = holes
        self._package = package
        self._path = path
        self._framework = framework
        self._helps_tests = helps_tests

    def classes(self, root: Node) -> Iterator[JavaClass]:
        """Yield the classes of a file, outer ones before those inside them."""
        waiting: list[tuple[Node, str, Mapping[str, str]]] = [
            (node, "", {}) for node in reversed(root.named_children) if node.type in TYPES
        ]
        while waiting:
            node, outer, outer_fields = waiting.pop()
            name = outer + text_of(node.child_by_field_name("name"))
            fields = _fields(node, name)
            seen = {**outer_fields, **fields}
            if node.type == "class_declaration":
                body = node.child_by_field_name("body")
                seen |= assigned_types(body, fields) if body is not None else {}
            yield self._class(node, name, fields, seen)
            for member in reversed(list(_members(node))):
                if member.type in TYPES or (member.type == "enum_constant" and member.child_by_field_name("body")):
                    waiting.append((member, f"{name}.", seen))

    def _class(self, node: Node, name: str, fields: Mapping[str, str], seen: Mapping[str, str]) -> JavaClass:
        members, annotations = list(_members(node)), annotations_of(node)
        methods = [member for member in members if member.type in METHODS and self._ends(member)]
        tests = (
            test_of_method(member, annotations, self._framework, seen, self._parses(member))
            for member in methods
            if member.type == "method_declaration"
        )
        found = tuple(test for test in tests if test is not None)
        helps = bool(found) or self._helps_tests
        outer, _, simple = name.rpartition(".")
        is_constant = node.type == "enum_constant"
        supertypes = [] if is_constant else list(_supertypes(node))
        return JavaClass(
            name=name,
            package=self._package,
            file=self._path,
            supertypes=(outer.rpartition(".")[2],) if is_constant else tuple(map(simple_type, supertypes)),
            methods=tuple(_method(member, simple, node, seen if helps else None) for member in methods),
            tests=found,
            fields=dict(fields),
            annotations=tuple(annotations),
            makes=frozenset(_made(node)),
            kind="class" if is_constant else node.type.removesuffix("_declaration"),
            type_parameters=tuple(_type_parameters(node)),
            type_arguments={
                simple_type(kind): tuple(map(simple_type, kind.named_children[-1].named_children))
                for kind in supertypes
                if kind.type == "generic_type"
            },
        )

    def _parses(self, node: Node) -> bool:
        return not node.has_error and not any(node.start_byte <= start < node.end_byte for start, _ in self._holes)

    def _ends(self, method: Node) -> bool:
        """Return whether it is clear what is part of a method; where it parses, it is."""
        return self._parses(method) or is_closed(self._source[method.start_byte : method.end_byte])


def _fields(node: Node, name: str) -> dict[str, str]:
    """Return name to type of the fields, constants and components of a class."""
    fields = _components(node)
    for member in _members(node):
        if member.type in ("field_declaration", "constant_declaration"):
            fields |= declared_types(member)
        elif member.type == "enum_constant":
            constant = text_of(member.child_by_field_name("name"))
            fields[constant] = f"{name}.{constant}" if member.child_by_field_name("body") else name
    return fields


def _components(node: Node) -> dict[str, str]:
    """Return name to type of the components of a record; none for other classes."""
    parameters = node.child_by_field_name("parameters") if node.type == "record_declaration" else None
    return {
        text_of(component.child_by_field_name("name")): _parameter_type(component)
        for component in (parameters.named_children if parameters is not None else ())
        if component.type == "formal_parameter"
    }


def _anonymous_test_cases(root: Node) -> Iterator[Node]:
    for node in descendants(root, "object_creation_expression"):
        if simple_type(node.child_by_field_name("type")).endswith("TestCase"):
            yield from (child for child in node.named_children if child.type == "class_body")


def _made(node: Node) -> Iterator[str]:
    return (simple_type(made.child_by_field_name("type")) for made in descendants(node, "object_creation_expression"))


def _members(declaration: Node) -> Iterator[Node]:
    body = declaration.child_by_field_name("body")
    for node in body.named_children if body is not None else ():
        if node.type == "enum_body_declarations":
            yield from node.named_children
        else:
            yield node


def _supertypes(declaration: Node) -> Iterator[Node]:
    for clause in declaration.named_children:
        if clause.type == "superclass":
            yield clause.named_children[0]
        elif clause.type in ("super_interfaces", "extends_interfaces"):
            yield from clause.named_children[0].named_children


def _type_parameters(declaration: Node) -> dict[str, str]:
    """Return name to bound of the type parameters that a class or method declares."""
    listed = declaration.child_by_field_name("type_parameters")
    bounds = {}
    for one in listed.named_children if listed is not None else ():
        named = {child.type: child for child in one.named_children}
        bound = named["type_bound"].named_children[0] if "type_bound" in named else None
        bounds[text_of(named.get("type_identifier"))] = simple_type(bound) or "Object"
    return bounds


def _method(node: Node, class_name: str, owner: Node, fields: Mapping[str, str] | None) -> Method:
    """Return a method, with its calls where the types of the fields that it sees are given."""
    body = node.child_by_field_name("body")
    is_constructor = node.type != "method_declaration"
    # A record's compact constructor takes the record's components.
    parameters = (owner if node.type == "compact_constructor_declaration" else node).child_by_field_name("parameters")
    listed = [
        child
        for child in (parameters.named_children if parameters else ())
        if "parameter" in child.type and child.type != "receiver_parameter"
    ]
    returns = class_name if is_constructor else simple_type(node.child_by_field_name("type"))
    gives_instance = body is not None and not is_constructor and returns[:1].isupper() and returns not in VALUES
    returns = _type_parameters(node).get(returns, returns)
    returned = dict.fromkeys(returned_by(body, parameters)) if body is not None and gives_instance else ()
    return Method(
        name=CONSTRUCTOR if is_constructor else text_of(node.child_by_field_name("name")),
        parameters=tuple(_parameter_type(parameter) for parameter in listed),
        variadic=bool(listed) and listed[-1].type == "spread_parameter",
        returns=returns,
        span=Span(node.start_byte, node.end_byte),
        has_body=body is not None,
        trivial=body is not None and returns != "void" and (_is_trivial(body) or _delegates(node, body)),
        static=any(child.type == "modifiers" and "static" in text_of(child).split() for child in node.children),
        makes=tuple(one for one in returned if isinstance(one, str)),
        passes_on=tuple(one for one in returned if not isinstance(one, str)),
        calls=() if body is None or fields is None or is_constructor else calls_in(body, fields, parameters),
    )


def _parameter_type(parameter: Node) -> str:
    # A spread parameter's type has no field of its own.
    unnamed = (child for child in parameter.named_children if child.type not in ("modifiers", *COMMENTS))
    return simple_type(parameter.child_by_field_name("type") or next(unnamed, None))


def _delegates(method: Node, body: Node) -> bool:
    """Return whether a method only returns what the method of its name of another object returns."""
    statements = [node for node in body.named_children if node.type not in COMMENTS]
    if len(statements) != 1 or statements[0].type != "return_statement" or not statements[0].named_children:
        return False
    call = statements[0].named_children[0]
    target = call.child_by_field_name("object") if call.type == "method_invocation" else None
    same = text_of(call.child_by_field_name("name")) == text_of(method.child_by_field_name("name"))
    passed = call.child_by_field_name("arguments")
    given = method.child_by_field_name("parameters")
    if target is None or not same or target.type == "super" or passed is None or given is None:
        return False
    return passed.named_child_count == given.named_child_count and text_of(target)[:1].islower()


def _is_trivial(body: Node) -> bool:
    """Return whether a body computes nothing: it only returns or sets fields, returns a literal, or is empty."""
    tokens = [leaf.type for leaf in leaves(body)]
    return len(tokens) <= MOST_TOKENS_OF_TRIVIAL and COMPUTING.isdisjoint(tokens)
