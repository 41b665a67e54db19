"""Java tokens of a text: the common ground of every metric that compares tokens."""

import re
from functools import lru_cache

from javalang.tokenizer import LexerError, tokenize

LITERAL_WORD_OR_SIGN = re.compile(r'"(?:\\.|[^"\\\n])*"' r"|'(?:\\.|[^'\\\n])*'" r"|\w+|[^\w\s]")


@lru_cache(maxsize=1 << 16)
def java_tokens(text: str) -> tuple[str, ...]:
    """Return the Java tokens of `text`, comments left out; () for blank text.

    Where javalang's lexer refuses the text (an unterminated literal, a sign that Java does not know), it is split
    into closed literals, words and single punctuation signs instead. A literal stays one token either way, so that
    blanks inside it count.
    """
    try:
        # The lexer looks one character ahead and fails on a number that ends the text; hence the line end.
        return tuple(token.value for token in tokenize(text + "\n"))
    except (LexerError, IndexError, TypeError, ValueError):
        return tuple(LITERAL_WORD_OR_SIGN.findall(text))
