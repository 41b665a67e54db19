"""Cuts gaps for pre-training into methods: statements of a test, a run of tokens of any other method."""

import random
from collections.abc import Sequence

from assertkd.java.placeholder import cut_assertion
from assertkd.java.source import leaves, parse
from assertkd.java.structure import Span
from assertkd.java.tests import statements_in
from assertkd.records import MARKER

MIN_TOKENS = 3
"""Tokens of a run at least."""


def cut_statements(method: str, count: int, without: Sequence[str], rng: random.Random) -> list[tuple[str, str]]:
    """Return up to `count` versions of a method, each with `MARKER` in place of another statement, and the statements.

    Args:
        method: a method's declaration.
        count: versions at most.
        without: statements that stay.
        rng: draws them.
    """
    source = method.encode()
    root = parse(source).root_node
    spans = [Span(statement.start_byte, statement.end_byte) for statement in statements_in(root)]
    kept = {statement.encode() for statement in without}
    free = [span for span in spans if source[span.start : span.end] not in kept]
    drawn = rng.sample(free, min(count, len(free)))
    return [cut_assertion(source, Span(0, len(source)), span) for span in drawn]


def cut_tokens(method: str, share: float, longest: int, rng: random.Random) -> tuple[str, str] | None:
    """Return a method with `MARKER` in place of a run of tokens, and the run; None for one that is too short.

    Args:
        method: a method's declaration.
        share: of its lexical tokens that are cut out.
        longest: tokens of the run at most.
        rng: draws where it begins.
    """
    source = method.encode()
    tokens = list(leaves(parse(source).root_node))
    count = min(round(share * len(tokens)), longest)
    if count < MIN_TOKENS:
        return None
    first = rng.randrange(len(tokens) - count + 1)
    start, end = tokens[first].start_byte, tokens[first + count - 1].end_byte
    return f"{source[:start].decode()}{MARKER}{source[end:].decode()}", source[start:end].decode()
