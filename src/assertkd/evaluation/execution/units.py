"""What is compiled and run for a record: its test with a text as the assertion, and the class under test."""

from dataclasses import dataclass

from tree_sitter import Node

from assertkd.evaluation.execution.syntax import child_text, parsed, tokens
from assertkd.java.source import TYPES, text_of
from assertkd.metrics.assertion_form import is_assertion
from assertkd.metrics.syntax_tree import says_something, statements_of
from assertkd.records import MARKER, Record


@dataclass(frozen=True, slots=True)
class Subject:
    """A record that can be run.

    Attributes:
        id: the record's.
        test_file: path of the test's source below its source root, as `org/example/QueueTest.java`.
        test_source: the test's compilation unit, with the marker.
        test_class: binary name of the test's class.
        test_method: name of the test.
        class_file: path of the class under test; None where the record does not carry its source.
        class_source: its compilation unit, or None.
        focal_method: source of the method under test.
    """

    id: str
    test_file: str
    test_source: str
    test_class: str
    test_method: str
    class_file: str | None
    class_source: str | None
    focal_method: str

    def filled(self, text: str) -> dict[str, str]:
        """Return the test's source with `text` as the assertion, by its path."""
        return {self.test_file: self.test_source.replace(MARKER, text)}

    def tested(self) -> dict[str, str]:
        """Return the source of the class under test by its path; nothing where the record does not carry it."""
        return {} if self.class_file is None or self.class_source is None else {self.class_file: self.class_source}


def subject_of(record: Record) -> Subject | None:
    """Return what is compiled and run for a record; None where it does not carry the source of its test.

    `test_source` has to be a compilation unit that holds the marker once, in a method; `class_source`, where there is
    one, the compilation unit of the class under test.
    """
    test_source, class_source = record.extra.get("test_source"), record.extra.get("class_source")
    if not isinstance(test_source, str) or test_source.count(MARKER) != 1:
        return None
    source = test_source.encode("utf-8", errors="replace")
    root = parsed(source)
    start = source.index(MARKER.encode())
    node = root.descendant_for_byte_range(start, start + 1)
    method = ""
    classes: list[str] = []
    while node is not None:
        if node.type == "method_declaration" and not classes:
            method = child_text(node, "name")
        elif node.type in TYPES:
            classes.append(child_text(node, "name"))
        node = node.parent
    if not method or not classes:
        return None
    package, outermost = package_of(root), classes[-1]
    class_file = _file_of(class_source) if isinstance(class_source, str) else None
    return Subject(
        id=record.id,
        test_file=_path(package, outermost),
        test_source=test_source,
        test_class=".".join(filter(None, (package, "$".join(reversed(classes))))),
        test_method=method,
        class_file=class_file,
        class_source=class_source if class_file is not None else None,
        focal_method=record.focal_method,
    )


def package_of(root: Node) -> str:
    """Return the name of a compilation unit's package; "" for the unnamed one."""
    for node in root.named_children:
        if node.type == "package_declaration":
            name = next(child for child in node.named_children if child.type in ("identifier", "scoped_identifier"))
            return "".join(tokens(name))
    return ""


def _file_of(source: str) -> str | None:
    """Return the path that a compilation unit has to have: that of its public type, or else of its first."""
    root = parsed(source.encode("utf-8", errors="replace"))
    types = [node for node in root.named_children if node.type in TYPES]
    if not types:
        return None
    public = [
        node
        for node in types
        if any("public" in text_of(child).split() for child in node.children if child.type == "modifiers")
    ]
    return _path(package_of(root), child_text((public or types)[0], "name"))


def _path(package: str, name: str) -> str:
    return "/".join([*filter(None, package.split(".")), f"{name}.java"])


def is_whole_statement(text: str) -> bool:
    """Return whether a text is one or more whole statements, not all of them empty; only such a text is compiled.

    A text that closes the test's braces, or leaves some open, would be compiled as something else than an assertion.
    """
    return any(says_something(statement) for statement in statements_of(text))


def asserts(text: str) -> bool:
    """Return whether one of a text's statements is an assertion; only such a text can pass."""
    return any(is_assertion(statement) for statement in statements_of(text))
