"""Java as text: templates, literals and compilation units, and Java's integer arithmetic."""

import re
from collections.abc import Iterable
from string import Template
from textwrap import dedent, indent

INDENT = "    "
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def fill(template: str, **names: object) -> str:
    """Return the dedented template with every `$name` replaced by its value.

    Raises:
        KeyError: the template names something that is not given.
    """
    return Template(dedent(template).strip("\n").rstrip()).substitute(names)


def text(value: str) -> str:
    """Return `value` as a Java string literal."""
    return '"' + "".join(_ESCAPES.get(letter, letter) for letter in value) + '"'


def char(value: str) -> str:
    """Return the single character `value` as a Java char literal."""
    escaped = {"'": "\\'", "\\": "\\\\"}.get(value, value)
    return f"'{escaped}'"


def boolean(value: bool) -> str:
    """Return `true` or `false`."""
    return "true" if value else "false"


def array(element_type: str, literals: Iterable[object]) -> str:
    """Return an array creation expression: `new int[] {1, 2}`."""
    return f"new {element_type}[] {{{listed(literals)}}}"


def listed(literals: Iterable[object]) -> str:
    """Return the literals with commas between them, as in an argument list."""
    return ", ".join(str(literal) for literal in literals)


def texts(values: Iterable[str]) -> str:
    """Return the strings as literals with commas between them."""
    return listed(text(value) for value in values)


def int32(value: int) -> int:
    """Return `value` wrapped to 32 bits, as Java's int arithmetic leaves it (JLS 15.18.2)."""
    return (value + 2**31) % 2**32 - 2**31


def quotient(dividend: int, divisor: int) -> int:
    """Return Java's `dividend / divisor` of two ints: truncated towards zero (JLS 15.17.2)."""
    size = abs(dividend) // abs(divisor)
    return int32(size if (dividend < 0) == (divisor < 0) else -size)


def remainder(dividend: int, divisor: int) -> int:
    """Return Java's `dividend % divisor` of two ints: it has the sign of the dividend (JLS 15.17.3)."""
    return dividend - divisor * quotient(dividend, divisor)


def member(body: str, name: str) -> str:
    """Return the member of a class body (members are separated by blank lines) that declares method `name`.

    Raises:
        LookupError: no member's first line declares such a method or constructor.
    """
    declaration = re.compile(rf"[\w>\]] {re.escape(name)}\(")
    for block in re.split(r"\n\s*\n", body):
        lines = block.splitlines()
        first = next(line for line in lines if not line.startswith("@"))
        if declaration.search(first) and first.endswith("{"):
            return block
    raise LookupError(f"no method {name} in:\n{body}")


def class_unit(package: str, heading: str, body: str) -> str:
    """Return the compilation unit of a public class; `heading` is its name with any implements clause."""
    return f"package {package};\n\nimport java.util.*;\n\npublic class {heading} {{\n\n{indent(body, INDENT)}\n}}\n"


def test_unit(package: str, class_name: str, test_method: str) -> str:
    """Return the compilation unit of a JUnit 4 test class with one test.

    The imports cover every JUnit assertion, so that any candidate assertion can be compiled in place of the marker.
    """
    return (
        f"package {package};\n\nimport static org.junit.Assert.*;\n\nimport java.util.*;\n"
        f"import org.junit.Assert;\nimport org.junit.Test;\n\n"
        f"public class {class_name} {{\n\n{indent(test_method, INDENT)}\n}}\n"
    )


def capitalised(name: str) -> str:
    """Return `name` with its first letter in upper case."""
    return name[:1].upper() + name[1:]


def uncapitalised(name: str) -> str:
    """Return `name` with its first letter in lower case."""
    return name[:1].lower() + name[1:]


def camel(words: str) -> str:
    """Return space-separated words in upper camel case: "return null" becomes `ReturnNull`."""
    return "".join(capitalised(word) for word in words.split())


def plural(noun: str) -> str:
    """Return the English plural of a regular noun in lower camel case."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def third_person(verb: str) -> str:
    """Return the third person singular of a regular English verb."""
    return plural(verb)
