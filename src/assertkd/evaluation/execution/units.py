"""What is compiled and run for a record: its test with a text as the assertion, and the class under test."""

from dataclasses import dataclass, replace
from pathlib import Path

from tree_sitter import Node

from assertkd.evaluation.execution.mutants import find_method, has_line, tokens
from assertkd.java.calls import descendants
from assertkd.java.projects import is_regular
from assertkd.java.source import TYPES, child_text, parse, read_source, text_of, translated
from assertkd.metrics.assertion_form import is_assertion
from assertkd.metrics.syntax_validity import says_something, statements_of
from assertkd.records import MARKER, Record

NUL = "\\000"
"""The character NUL in a literal, written so that it is no Unicode escape."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A record that can be run.

    Attributes:
        id: the record's.
        test_file: path of the test's source below its source root, as `org/example/QueueTest.java`.
        test_source: the test's compilation unit, with the marker.
        test_class: binary name of the test's class.
        test_method: name of the test.
        tested: compilation unit of the class under test by its path; empty where the record does not carry it.
        focal_method: source of the method under test.
        gold: the gold assertion.
        focal_line: where the method under test begins in its class's source, counted from 1; None where not known.
    """

    id: str
    test_file: str
    test_source: str
    test_class: str
    test_method: str
    tested: dict[str, str]
    focal_method: str
    gold: str
    focal_line: int | None = None

    def filled(self, text: str) -> dict[str, str]:
        """Return the test's source with `text` as the assertion, by its path.

        Unicode escapes of the text are resolved, so that what is compiled is what `is_whole_statement` sees.
        """
        return {self.test_file: self.test_source.replace(MARKER, translated(text, NUL))}


def subject_of(record: Record) -> Subject | None:
    """Return what is compiled and run for a record; None where it does not carry the source of its test.

    `test_source` has to be a compilation unit that holds the marker once, in a method; `class_source`, where there is
    one, the compilation unit of the class under test.
    """
    test_source, class_source = record.extra.get("test_source"), record.extra.get("class_source")
    if not isinstance(test_source, str) or test_source.count(MARKER) != 1:
        return None
    source = test_source.encode("utf-8", errors="replace")
    root = parse(source).root_node
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
    class_file = _file_of(class_source) if isinstance(class_source, str) else None
    return Subject(
        id=record.id,
        test_file=_file_of(test_source) or _path(root, classes[-1]),
        test_source=test_source,
        test_class=".".join(filter(None, (package_of(root), "$".join(reversed(classes))))),
        test_method=method,
        tested={} if class_file is None else {class_file: str(class_source)},
        focal_method=record.focal_method,
        gold=record.assertion,
        focal_line=_line(record, "focal_line"),
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
    root = parse(source.encode("utf-8", errors="replace")).root_node
    types = [node for node in root.named_children if node.type in TYPES]
    public = [
        node
        for node in types
        if any("public" in text_of(child).split() for child in node.children if child.type == "modifiers")
    ]
    return _path(root, child_text((public or types)[0], "name")) if types else None


def _path(root: Node, name: str) -> str:
    return "/".join([*filter(None, package_of(root).split(".")), f"{name}.java"])


def is_whole_statement(text: str) -> bool:
    """Return whether a text is one or more whole statements, not all of them empty; only such a text is compiled.

    A text that closes the test's braces, or leaves some open, would be compiled as something else than an assertion.
    Unicode escapes count as what they stand for; a text whose escapes make up another one is none.
    """
    read = translated(text)
    return translated(read) == read and any(says_something(statement) for statement in statements_of(text))


def asserts(text: str) -> bool:
    """Return whether one of a text's statements is an assertion; only such a text can pass."""
    return any(is_assertion(statement) for statement in statements_of(text))


def with_sources(record: Record, checkout: Path) -> Record:
    """Return a record with `test_source` and `class_source`, where the project that it was mined from holds them.

    Sources that the record carries itself stay. `test_source` is the file that its `test_file` names, with the marker
    in place of the assertion; `class_source` the file that its `focal_file` names.

    Args:
        record: names files relative to the project's folder.
        checkout: the project's folder, in the state in which it was mined.
    """
    test, tested = (_read(record, name, checkout) for name in ("test_file", "focal_file"))
    sources = {"test_source": None if test is None else _with_marker(test, record), "class_source": tested}
    found = {name: source for name, source in sources.items() if source is not None}
    return replace(record, extra=found | record.extra)


def _with_marker(source: str, record: Record) -> str | None:
    """Return a test file with the record's test, which has the marker, in place of the same test with its assertion.

    It is the one that the record names, or else the one with the same tokens.
    """
    data = source.encode("utf-8")
    root, line = parse(data).root_node, _line(record, "line")
    text = record.test_method.replace(MARKER, record.assertion)
    method = _named_test(root, source, record) or find_method(root, text, line)
    if method is None:
        return None
    return (data[: method.start_byte] + record.test_method.encode() + data[method.end_byte :]).decode("utf-8")


def _named_test(root: Node, source: str, record: Record) -> Node | None:
    """Return the test with the record's `test_name` around its `line`, if the assertion begins there; else None.

    What the test shows of the assertion may have been masked in the record.
    """
    name, line = str(record.extra.get("test_name")).rpartition(".")[2], _line(record, "line") or 0
    begins = record.assertion.partition("\n")[0]
    if not any(begins in text for text in source.split("\n")[line - 1 : line]):
        return None
    around = (node for node in descendants(root, "method_declaration") if child_text(node, "name") == name)
    # The innermost of those of one name begins last.
    return max((node for node in around if has_line(node, line)), key=lambda node: node.start_byte, default=None)


def _line(record: Record, name: str) -> int | None:
    line = record.extra.get(name)
    return line if isinstance(line, int) else None


def _read(record: Record, name: str, checkout: Path) -> str | None:
    """Return the text of the file that a field of the record names; None if it is outside or cannot be read."""
    file = record.extra.get(name)
    if not isinstance(file, str):
        return None
    path = (checkout / file).resolve()
    if not path.is_relative_to(checkout.resolve()) or not is_regular(path):
        return None
    try:
        return read_source(path).decode("utf-8")
    except OSError:
        return None
