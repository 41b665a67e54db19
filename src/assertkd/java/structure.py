"""What a Java file declares, as plain values that cross process borders: files, classes, methods, tests, calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

CONSTRUCTOR = "<init>"
"""The name of every constructor, as the JVM has it."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file, in bytes of its normalised source (see `source.read_source`)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call in the body of a test, or of a method that tests call.

    Attributes:
        name: of the method; `CONSTRUCTOR` for `new`.
        receiver: what the method is called on: a type, the result of the call with this index, or None for a call
            without a qualifier. A type is a name, "" where it is not known; `.name` stands for that of a variable which
            the file does not declare, and `Type.CONSTANT` for that of a constant.
        arguments: of each argument its type, or the index of the call that it is the result of.
    """

    name: str
    receiver: str | int | None
    arguments: tuple[str | int, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Method:
    """A method or constructor.

    Attributes:
        name: `CONSTRUCTOR` for a constructor.
        parameters: their types without type arguments.
        variadic: whether the last parameter takes any number of arguments.
        returns: the returned type without type arguments, of a type parameter of the method's own its bound; a
            constructor's is its class.
        span: the declaration with its annotations, without Javadoc.
        has_body: false for abstract and native methods.
        trivial: whether it computes nothing: a getter, or a constructor that only sets fields. A method that returns
            nothing is never trivial, since it is there to change something.
        static: whether it is called on its class.
        makes: types of the instances that its `return` statements create.
        passes_on: of each other expression that they give back the calls, that with its value last; none if it is
            no call.
        calls: those in its body, where its class has tests or helps them: of others they are not read.
    """

    name: str
    parameters: tuple[str, ...]
    variadic: bool
    returns: str
    span: Span
    has_body: bool
    trivial: bool
    static: bool = False
    makes: tuple[str, ...] = ()
    passes_on: tuple[tuple[Call, ...], ...] = ()
    calls: tuple[Call, ...] = ()

    def takes(self, count: int) -> bool:
        """Return whether the method can be called with `count` arguments."""
        fixed = len(self.parameters)
        return count >= fixed - 1 if self.variadic else count == fixed


@dataclass(frozen=True, slots=True)
class Assertion:
    """A statement of a test that is an assertion, unless the project under test declares the methods it calls.

    Attributes:
        kind: the name that it calls first, as `assertEquals`; `assert` for the language's own statement.
        span: the statement with its semicolon.
        calls: indexes of the calls whose names make it an assertion; none for the language's own.
    """

    kind: str
    span: Span
    calls: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MockStatement:
    """A statement that tells a mock what to do, or asks what was called on it; it runs nothing of what is tested.

    Attributes:
        span: the statement.
        calls: indexes of the calls whose names say so.
    """

    span: Span
    calls: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JavaTest:
    """A method that is a test, or may be one (`index.ProjectIndex.framework` says whether it is).

    Attributes:
        framework: `junit3`, `junit4`, `junit5` or `testng`; `junit3` holds only where the class is a `TestCase`.
        disabled: whether an annotation takes it out of the suite.
        span: the declaration with its annotations, without Javadoc.
        body: its block, braces included.
        assertions: assertion statements in their order, those inside others too.
        calls: in the order in which they are completed.
        mock_statements: in their order.
        inner_claims: indexes of calls that have an assertion's name and are no statement of their own, as in a lambda
            that is returned: `return of(dynamicTest("adds", () -> assertEquals(3, add(1, 2))))`.
        marks: annotations that make it a test if one of them stands for `@Test`; none where it is marked as one.
        parses: whether all of it does.
    """

    name: str
    framework: str
    disabled: bool
    span: Span
    body: Span
    assertions: tuple[Assertion, ...]
    calls: tuple[Call, ...]
    mock_statements: tuple[MockStatement, ...] = ()
    inner_claims: tuple[int, ...] = ()
    marks: tuple[str, ...] = ()
    parses: bool = True


@dataclass(frozen=True, slots=True)
class JavaClass:
    """A class, interface, enum or record.

    Attributes:
        name: with the names of the classes around it: `Outer.Inner`.
        package: "" for the unnamed one.
        file: its file, relative to its project.
        supertypes: what it extends and implements, without type arguments; of the body of an enum's constant the enum.
        fields: name to type of its fields and constants.
        annotations: its own, without arguments.
        makes: types of all instances that its code creates.
        kind: `class`, `interface`, `enum`, `record` or `annotation_type`.
        type_parameters: names of its own, `T` of `class Box<T>`.
        type_arguments: of each supertype that has some, as in `FooTest extends BaseTest<Foo>`.
    """

    name: str
    package: str
    file: str
    supertypes: tuple[str, ...]
    methods: tuple[Method, ...]
    tests: tuple[JavaTest, ...]
    fields: Mapping[str, str] = field(default_factory=dict)
    annotations: tuple[str, ...] = ()
    makes: frozenset[str] = frozenset()
    kind: str = "class"
    type_parameters: tuple[str, ...] = ()
    type_arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def simple_name(self) -> str:
        """The name without the classes around it."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class JavaFile:
    """What a file declares.

    Attributes:
        path: relative to its project, with `/`.
        imports: as written, `*` and a leading `static ` included.
        classes: outer ones before those inside them.
        fault: why the file was not read, or None.
        in_part: whether parts of it do not parse; the rest is declared.
        anonymous_tests: anonymous `TestCase`s with assertions, as a `suite()` of JUnit 3 makes them.
    """

    path: str
    package: str = ""
    imports: tuple[str, ...] = ()
    classes: tuple[JavaClass, ...] = ()
    lines: int = 0
    fault: str | None = None
    in_part: bool = False
    anonymous_tests: int = 0

    @property
    def tests(self) -> Iterator[tuple[JavaClass, JavaTest]]:
        """Every method that is or may be a test, with its class."""
        return ((declared, test) for declared in self.classes for test in declared.tests)
