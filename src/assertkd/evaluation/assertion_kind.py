"""The kind of an assertion: the name of the method that it calls."""

from itertools import pairwise

from assertkd.metrics.assertion_form import ASSERTION_NAME
from assertkd.metrics.lexer import java_tokens

NO_ASSERTION = "other"


def assertion_kind(reference: str) -> str:
    """Return the name of the first assertion that a text calls, as `assertEquals` or `verify`.

    `assert` for Java's own statement, `other` where no assertion is called.
    """
    tokens = java_tokens(reference)
    if tokens[:1] == ("assert",):
        return "assert"
    for token, following in pairwise(tokens):
        if following == "(" and ASSERTION_NAME.fullmatch(token):
            return token
    return NO_ASSERTION
