"""Which methods are tests and of which framework, and which of their statements a model should learn to write."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from tree_sitter import Node

from assertkd.java.assertions import NAME, assertion_of, mock_calls_of
from assertkd.java.calls import calls_in
from assertkd.java.source import annotations_of, child_text, text_of
from assertkd.java.structure import Assertion, Call, JavaTest, MockStatement, Span

PACKAGES = {"org.junit.jupiter": "junit5", "org.testng": "testng", "org.junit": "junit4"}
"""Longer names first: `org.junit.jupiter` is no `org.junit` of JUnit 4."""
TEST_LIBRARIES = ("org.junit.", "junit.framework.", "org.testng.", "org.hamcrest.", "org.assertj.")
"""Packages that code does not use which is tested, but for helpers of tests beside it."""
ANNOTATIONS = {
    "Test": "",
    "Theory": "junit4",
    "ParameterizedTest": "junit5",
    "RepeatedTest": "junit5",
    "TestTemplate": "junit5",
    "TestFactory": "junit5",
}
"""What marks a test, and the framework that it belongs to; "" where the imports must say it."""
DISABLING = frozenset({"Ignore", "Disabled"})
OTHER_MARKS = re.compile(
    r"(?:Before|After|Suppress|Param|Data[PS]|Json|Xml)\w*|\w+Mapping|\w+Source|(?:Nullable|Non[Nn]ull|NotNull)\w*"
    r"|Override|Deprecated|SafeVarargs|Generated|VisibleForTesting|Factory|Bean|Provides|Produces|Provider|Inject"
    r"|Autowired|Transactional|Benchmark|Setup|TearDown|Given|When|Then|And|But|Step|Setter|Getter|Get|Post|Put|Delete"
    r"|GET|POST|PUT|DELETE|Ignore|Disabled|Tag|Order|Timeout|DisplayName|Category|Rule|ClassRule"
)
"""Annotations of methods that are no tests, and those that say more of a test."""


def framework_of_imports(imports: Iterable[str]) -> str:
    """Return the framework whose `@Test` a file imports; JUnit 4's where it imports none."""
    names = [name.removeprefix("static ") for name in imports]
    exact = [name for name in names if name.endswith(".Test")]
    for candidates in (exact, names):
        for package, framework in PACKAGES.items():
            if any(name.startswith(package + ".") for name in candidates):
                return framework
    return "junit4"


def uses_test_library(imports: Iterable[str], own_packages: Container[str] = ()) -> bool:
    """Return whether a file uses what tests are written with, unless that is of one of the project's own packages."""
    names = (name.removeprefix("static ") for name in imports)
    return any(_package(name) not in own_packages for name in names if name.startswith(TEST_LIBRARIES))


def _package(name: str) -> str:
    """Return the package of what is imported: the names ahead of the first that begins as a class's does, or `*`."""
    return ".".join(takewhile(lambda part: part[:1].islower(), name.split(".")))


def test_of_method(
    method: Node,
    class_annotations: Mapping[str, str],
    framework: str,
    fields: Mapping[str, str],
    parses: bool = True,
) -> JavaTest | None:
    """Return a method as a test, or None where it is none.

    A `public void test*()` without annotation counts as one of JUnit 3, one with annotations of unknown meaning as one
    with these marks; whether its class is a `TestCase`, and what the annotations mean, is for the caller to find out.

    Args:
        method: a `method_declaration`.
        class_annotations: of its class; TestNG's `@Test` there makes every public method a test.
        framework: that of the file's imports.
        fields: name to type of the fields that the test sees.
        parses: whether all of the method does.
    """
    body = method.child_by_field_name("body")
    if body is None:
        return None
    own = annotations_of(method)
    name = text_of(method.child_by_field_name("name"))
    parameters = method.child_by_field_name("parameters")
    marks = [ANNOTATIONS[mark] for mark in own if mark in ANNOTATIONS]
    public = any(modifier.type == "public" for modifier in method.children[0].children)
    public_void = public and text_of(method.child_by_field_name("type")) == "void"
    configures = any(mark.startswith(("Before", "After", "DataProvider", "Factory")) for mark in own)
    others: tuple[str, ...] = ()
    if marks:
        found = marks[0] or framework
    elif framework == "testng" and "Test" in class_annotations and public_void and not configures:
        found = "testng"
    else:
        others = tuple(mark for mark in own if mark.endswith("Test") or not OTHER_MARKS.fullmatch(mark))
        named = name.startswith("test") and public_void and parameters is not None and not parameters.named_children
        if not named and not (others and _can_be_test(method, parameters)):
            return None
        found = "junit3" if named else framework
    everything = {**class_annotations, **own}
    switched_off = any("enabled=false" in text.replace(" ", "") for text in everything.values())
    calls = calls_in(body, fields, parameters)
    index = {call.span: number for number, call in enumerate(calls)}

    def indexes(nodes: Iterable[Node]) -> tuple[int, ...]:
        return tuple(index[Span(node.start_byte, node.end_byte)] for node in nodes)

    assertions, mock_statements, failing = [], [], []
    for statement in statements_in(body):
        span = Span(statement.start_byte, statement.end_byte)
        if mock_calls := mock_calls_of(statement):
            mock_statements.append(MockStatement(span, indexes(mock_calls)))
            before = statement.prev_named_sibling
            if calls[mock_statements[-1].calls[0]].name == "expectLastCall" and before is not None:
                mock_statements.append(MockStatement(Span(before.start_byte, before.end_byte), indexes(mock_calls)))
        if (found_assertion := assertion_of(statement)) is not None:
            assertions.append(Assertion(found_assertion[0], span, indexes(found_assertion[1])))
        elif statement.type == "expression_statement" and NAME.fullmatch(
            child_text(statement.named_children[0], "name")
        ):
            failing.append(span)
    statements = [*failing, *(one.span for one in assertions), *(one.span for one in mock_statements)]
    return JavaTest(
        name=name,
        framework=found,
        disabled=switched_off or not DISABLING.isdisjoint(everything),
        span=Span(method.start_byte, method.end_byte),
        body=Span(body.start_byte, body.end_byte),
        assertions=tuple(assertions),
        calls=calls,
        mock_statements=tuple(mock_statements),
        inner_claims=tuple(_inner_claims(calls, statements)),
        marks=others,
        parses=parses,
    )


def _inner_claims(calls: Sequence[Call], statements: Sequence[Span]) -> Iterator[int]:
    """Yield the indexes of the outermost calls with an assertion's name that lie in none of these statements."""
    claims = ((call.span, number) for number, call in enumerate(calls) if NAME.fullmatch(call.name))
    end = 0
    for span, number in sorted([*((span, -1) for span in statements), *claims], key=lambda one: one[0].start):
        if number >= 0 and span.start >= end:
            yield number
        end = max(end, span.end)


def assertions_in(body: Node) -> Iterator[Assertion]:
    """Yield the outermost assertion statements of a block by their names, in their order."""
    waiting = [body]
    while waiting:
        node = waiting.pop()
        found = assertion_of(node)
        if found is not None:
            yield Assertion(found[0], Span(node.start_byte, node.end_byte))
        else:
            waiting += reversed(node.named_children)


def _can_be_test(method: Node, parameters: Node | None) -> bool:
    """Return whether a method with an annotation of unknown meaning can be a test: it returns and takes nothing.

    Parameters with annotations are given by a library.
    """
    words = {word for child in method.children if child.type == "modifiers" for word in text_of(child).split()}
    taken = parameters.named_children if parameters is not None else []
    given = all(any(child.type == "modifiers" for child in parameter.children) for parameter in taken)
    is_void = text_of(method.child_by_field_name("type")) == "void"
    return is_void and given and words.isdisjoint({"private", "static", "abstract"})


def statements_in(body: Node) -> Iterator[Node]:
    """Yield the statements at and below a block that can be assertions, in their order."""
    waiting = [body]
    while waiting:
        node = waiting.pop()
        if node.type in ("assert_statement", "expression_statement", "local_variable_declaration"):
            yield node
        waiting += reversed(node.named_children)
