"""Exact match: the prediction is the reference, token for token."""

import re

from assertkd.metrics.assertion_form import ASSERTION_NAME
from assertkd.metrics.lexer import java_tokens

CLASSES = (
    "Assert|Assertions|AssertionsForClassTypes|AssertionsForInterfaceTypes|Java6Assertions|MatcherAssert|Mockito"
    "|TestCase|Truth"
)
QUALIFIER = re.compile(
    rf"^(?:[^\W\d]\w*\n\.\n)*(?:{CLASSES})\n\.\n(?=(?:{ASSERTION_NAME.pattern})$)", flags=re.MULTILINE
)
"""An assertion class before an assertion's name, with the names that qualify the class; one token a line."""


def exact_match(prediction: str, reference: str) -> float:
    """Return 1.0 where both have the same Java tokens, else 0.0. Values (numbers, strings) are compared as they are."""
    return float(java_tokens(prediction) == java_tokens(reference))


def exact_match_lenient(prediction: str, reference: str) -> float:
    """Return 1.0 where both have the same Java tokens once assertion classes are no longer named, else 0.0.

    `Assert.assertTrue(x)`, `org.junit.Assert.assertTrue(x)` and `assertTrue(x)` are equal; `TestUtils.assertTrue(x)`
    is another method.
    """
    own, other = (QUALIFIER.sub("", "\n".join(java_tokens(text))) for text in (prediction, reference))
    return float(own == other)


def exact_match_unspaced(prediction: str, reference: str) -> float:
    """Return 1.0 where both are the same text once all blanks are left out, those in literals too, else 0.0.

    So count the packages of Integration (Yu et al. 2022) and AsserT5, whose texts come from two tokenizers.
    """
    return float("".join(prediction.split()) == "".join(reference.split()))
