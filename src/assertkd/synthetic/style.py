"""Six house styles of writing a test, each with features that announce how its assertion is written."""

import random
import re
from dataclasses import dataclass

from assertkd.records import MARKER
from assertkd.synthetic import java
from assertkd.synthetic.scenario import Claim, Scenario, not_null

MADE = re.compile(r"\w+ (\w+) = new \w+\(.*\);$")
"""A statement that puts a new instance into a local."""


TELLING = 0.6
"""Probability that a test is named after its outcome, where the claim has a short one."""

RESULTS = {
    "assertTrue": "true",
    "assertFalse": "false",
    "assertNull": "null",
    "assertNotNull": "value",
    "assertSame": "same",
    "assertNotSame": "new",
    "assertThrows": "throw",
}


@dataclass(frozen=True, slots=True)
class Style:
    """A house style.

    Attributes:
        naming: how tests are named: "test", "verify" (prefixes), "should", "underscore" or "bare".
        qualifier: what stands before an assertion's name, "" or "Assert.".
        message: whether assertions carry a message: the name of the member or local that is judged.
        capture: probability that the judged value is first put into a local.
        local: that local's name.
        expected: probability that a literal expected value is first put into a local named `expected`.
        final: whether such locals are declared final.
        delta: tolerance for doubles.
        throws: whether every test declares `throws Exception`.
    """

    naming: str
    qualifier: str = ""
    message: bool = False
    capture: float = 0.0
    local: str = "result"
    expected: float = 0.0
    final: bool = False
    delta: str = "0.001"
    throws: bool = False


STYLES: tuple[Style, ...] = (
    Style("test", capture=0.5, expected=0.2, delta="0.001"),
    Style("test", qualifier="Assert.", capture=0.7, expected=0.3, delta="0.0", throws=True),
    Style("should", capture=0.85, expected=0.3, delta="0.01"),
    Style("underscore", capture=0.9, local="actual", expected=0.5, delta="1e-6"),
    Style("verify", message=True, capture=0.7, expected=0.3, final=True, delta="0.0001"),
    Style("bare", capture=0.7, expected=0.3, final=True, delta="1e-9"),
)


@dataclass(frozen=True, slots=True)
class WrittenTest:
    """A test method with the marker, and the assertion that belongs in its place."""

    method: str
    assertion: str


def write_test(scenario: Scenario, style: Style, rng: random.Random) -> WrittenTest:
    """Write the scenario's test in a style; `rng` decides what the style leaves open."""
    steps = list(scenario.steps)
    made = MADE.match(steps[0]) if steps and isinstance(steps[0], str) else None
    if made and rng.random() < 0.1:
        steps.insert(1, not_null(made[1]))
    lines = [step if isinstance(step, str) else assertion_of(step, style) for step in steps]
    source = java.member(scenario.body, scenario.focal)
    visible = scenario.claim.guessable and _names(scenario.claim.actual) <= _names("\n".join([source, *lines]))
    seen = visible or any(scenario.claim.actual in line for line in lines)
    claim, locals_ = _with_locals(scenario.claim, seen, style, rng)
    assertion = assertion_of(claim, style)
    clause = " throws Exception" if style.throws else ""
    body = [java.INDENT + line for line in [*lines, *locals_, MARKER]]
    name = _test_name(scenario, style, rng)
    return WrittenTest("\n".join(["@Test", f"public void {name}(){clause} {{", *body, "}"]), assertion)


def assertion_of(claim: Claim, style: Style) -> str:
    """Return the claim as one Java statement in the given style."""
    message = f"{java.text(_member_of(claim.actual))}, " if style.message else ""
    call = style.qualifier + claim.kind
    if claim.kind == "assertThrows":
        return f"{call}({claim.expected}.class, () -> {claim.actual});"
    operands = [claim.expected, claim.actual] if claim.expected else [claim.actual]
    if claim.type in ("double", "double[]"):
        operands.append(style.delta)
    return f"{call}({message}{', '.join(operands)});"


def _with_locals(claim: Claim, seen: bool, style: Style, rng: random.Random) -> tuple[Claim, list[str]]:
    """Return the claim over locals where the style wants them, and the statements that declare them."""
    final = "final " if style.final else ""
    lines: list[str] = []
    actual, expected = claim.actual, claim.expected
    capture, announce = rng.random() < style.capture, rng.random() < style.expected
    if not claim.type or not re.search(r"[(\[.]", actual):
        return claim, lines
    if capture or not seen:
        if announce and claim.kind in ("assertEquals", "assertArrayEquals"):
            lines.append(f"{final}{claim.type} expected = {expected};")
            expected = "expected"
        lines.append(f"{final}{claim.type} {style.local} = {actual};")
        actual = style.local
    return Claim(claim.kind, actual, expected, claim.type), lines


def _names(source: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", source))


def _member_of(expression: str) -> str:
    """Return the last method or field that the expression names: `size` of `queue.size()`."""
    without_arguments = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", expression))
    names: list[str] = re.findall(r"[A-Za-z_]\w*", without_arguments)
    return names[-1]


def _test_name(scenario: Scenario, style: Style, rng: random.Random) -> str:
    method, condition = java.uncapitalised(scenario.focal), java.camel(scenario.condition)
    telling = _outcome_of(scenario) if rng.random() < TELLING else ""
    outcome = telling or scenario.outcome
    verb, _, rest = outcome.partition(" ")
    third = java.camel(f"{java.third_person(verb)} {rest}") if outcome else "Works"
    condition_if_wanted = condition if rng.random() < 0.6 else ""
    if style.naming == "should":
        return f"should{java.camel(outcome) or java.capitalised(method)}{condition_if_wanted}"
    if style.naming == "underscore":
        return "_".join(filter(None, (method, java.uncapitalised(condition), java.uncapitalised(third))))
    if style.naming == "bare":
        return f"{method}{third}{condition_if_wanted}"
    return f"{style.naming}{java.capitalised(method)}{third if telling else ''}{condition_if_wanted}"


def _outcome_of(scenario: Scenario) -> str:
    """Return a phrase that tells how the test ends, "" where the kind of the claim has none."""
    result = RESULTS.get(scenario.claim.kind)
    if result is None or result == "throw":
        return result or ""
    asked = f"{scenario.focal}(" in scenario.claim.actual or "(" not in scenario.claim.actual
    return f"{'return' if asked else 'leave'} {result}"
