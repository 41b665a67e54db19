"""AST validity: javalang parses the prediction as exactly one statement."""

from functools import lru_cache
from typing import Any

from javalang import tree
from javalang.parser import JavaParserBaseException, Parser
from javalang.tokenizer import LexerError, Separator, tokenize
from javalang.util import LookAheadListIterator

MAXIMUM_CHARACTERS = 10_000
"""Longer texts count as invalid: no assertion is that long, and parsers are slow on long garbage."""

MAXIMUM_STEPS = 200_000
"""Tokens that the parser may look at in all. It backtracks, and on an unclosed annotation it never ends by itself."""


class TooManyStepsError(Exception):
    """The parser looked at more tokens than it may; unlike a syntax error, it does not make the parser backtrack."""


class CountedTokens(LookAheadListIterator):  # type: ignore[misc]
    """javalang's token list; raises `TooManyStepsError` where a parse looks at tokens too often."""

    steps = 0

    def count(self) -> None:
        """Count one step."""
        self.steps += 1
        if self.steps > MAXIMUM_STEPS:
            raise TooManyStepsError

    def __next__(self) -> Any:
        self.count()
        return super().__next__()

    def look(self, i: int = 0) -> Any:
        """Return the token `i` places ahead, or the default past the end."""
        self.count()
        return super().look(i)


def ast_validity(prediction: str, reference: str = "") -> float:
    """Return 1.0 where javalang reads the prediction as exactly one non-empty statement, else 0.0.

    `;`, `{}`, a class declaration, and anything that closes a brace it did not open are invalid. So is whatever
    javalang does not know (text blocks, switch expressions, pattern `instanceof`, …); `syntax_validity` knows these.
    The reference plays no part.
    """
    return float(parses_as_one_statement(prediction))


@lru_cache(maxsize=1 << 16)
def parses_as_one_statement(text: str) -> bool:
    """Return whether javalang reads `text` as exactly one non-empty statement."""
    if len(text) > MAXIMUM_CHARACTERS:
        return False
    try:
        tokens = list(tokenize(text + "\n"))
        # What a method's end looks like to the parser; a prediction that eats one of these closes a foreign brace.
        parser = Parser([*tokens, Separator("}"), Separator("}")])
        counted = CountedTokens(parser.tokens.list)
        counted.set_default(parser.tokens.default)
        parser.tokens = counted
        statement = parser.parse_block_statement()
        return counted.marker == len(tokens) and says_something(statement)
    except (
        JavaParserBaseException,
        LexerError,
        TooManyStepsError,
        # Faults of javalang itself on texts that are no Java.
        RecursionError,
        StopIteration,
        AttributeError,
        IndexError,
        TypeError,
        ValueError,
    ):
        return False


def says_something(statement: object) -> bool:
    """Return whether a javalang node is a statement other than `;` and blocks of nothing else."""
    if isinstance(statement, tree.BlockStatement):
        return any(says_something(inner) for inner in statement.statements)
    is_statement = isinstance(statement, tree.Statement | tree.LocalVariableDeclaration)
    return is_statement and type(statement) is not tree.Statement
