"""Java tokens of a text: the common ground of every metric that compares tokens."""

import re
from functools import lru_cache

from javalang.tokenizer import LexerError, tokenize

LITERAL_WORD_OR_SIGN = re.compile(r'"(?:\\.|[^"\\\n])*"' r"|'(?:\\.|[^'\\\n])*'" r"|\w+|[^\w\s]")


@lru_cache(maxsize=1 << 16)
def java_tokens(text: str) -> tuple[str, ...]:
    """Return the Java tokens of `text`, comments left out; () for blank text.

    Where javalang's lexer refuses the text (an unterminated literal, a sign that Java does not know), or where a
    comment holds a closing parenthesis that the rest lacks (an address in a literal whose quotes are escaped twice), it
    is split into closed literals, words and single punctuation signs instead. A literal stays one token either way, so
    that blanks inside it count.
    """
    try:
        # The lexer looks one character ahead and fails on a number that ends the text; hence the line end.
        tokens = tuple(token.value for token in tokenize(text + "\n"))
    except (LexerError, IndexError, TypeError, ValueError):
        tokens = ()
    is_cut = ("//" in text or "/*" in text) and tokens.count("(") > tokens.count(")")
    return tokens if tokens and not is_cut else tuple(LITERAL_WORD_OR_SIGN.findall(text))
