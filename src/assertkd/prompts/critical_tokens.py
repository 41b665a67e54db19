"""Critical tokens: the words of a test that carry its meaning, and the pieces of a target that belong to one."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.files import read_json

CRITICAL_TOKENS = Path(__file__).with_name("critical_tokens.json")

GROUP_SIZES = {"JUnit": 87, "TestNG": 45, "Mockito": 38, "logical": 25, "exceptions": 22, "structural": 93}
"""Group to its number of tokens; 310 in all."""

_IDENTIFIER_CHARACTER = r"[\w$]"


@dataclass(frozen=True, slots=True)
class CriticalCategory:
    """One category of the list.

    Attributes:
        group: the group that the category counts towards, a key of `GROUP_SIZES`.
        tokens: identifiers, keywords, annotations with their `@`, and operators.
    """

    group: str
    tokens: tuple[str, ...]


def read_critical_tokens(path: Path = CRITICAL_TOKENS) -> dict[str, CriticalCategory]:
    """Return the list's categories by name, in the file's order.

    Raises:
        UserError: the file does not have the list's form, a token is listed twice or has white space, or a group's
            size is not that in `GROUP_SIZES`.
    """
    entries = read_json(path)
    if not isinstance(entries, dict):
        raise _fault(path, "expected an object of categories")
    categories = {name: _category(path, name, entry) for name, entry in entries.items()}
    times = Counter(token for category in categories.values() for token in category.tokens)
    repeated = sorted(token for token, count in times.items() if count > 1)
    if repeated:
        raise _fault(path, f"listed more than once: {', '.join(repeated)}")
    sizes: Counter[str] = Counter()
    for category in categories.values():
        sizes[category.group] += len(category.tokens)
    if sizes != GROUP_SIZES:
        raise _fault(path, f"expected the group sizes {_sizes(GROUP_SIZES)}; found {_sizes(sizes)}")
    return categories


def critical_pieces(text: str, offsets: Iterable[Sequence[int]]) -> list[bool]:
    """Return, for every piece of `text`, whether it is inside critical tokens.

    A critical token must be a whole word: no identifier character (letter, digit, `_`, `$`) before or after it.
    Operators match anywhere, the longest first, so that `!=` is not a `!`. White space at a piece's ends is ignored; a
    piece of white space only, or an empty one, is not critical.

    Args:
        text: the tokenised text.
        offsets: each piece's first character and the one after its last, as from a fast tokenizer.
    """
    inside = bytearray(len(text))
    for match in _critical_token().finditer(text):
        inside[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    marks = []
    for start, end in offsets:
        piece = text[start:end]
        first = start + len(piece) - len(piece.lstrip())
        last = start + len(piece.rstrip())
        marks.append(first < last and 0 not in inside[first:last])
    return marks


@cache
def _critical_token() -> re.Pattern[str]:
    tokens = [token for category in read_critical_tokens().values() for token in category.tokens]
    tokens.sort(key=len, reverse=True)
    words = "|".join(re.escape(token) for token in tokens if re.match(_IDENTIFIER_CHARACTER, token[-1]))
    operators = "|".join(re.escape(token) for token in tokens if not re.match(_IDENTIFIER_CHARACTER, token[-1]))
    return re.compile(f"(?<!{_IDENTIFIER_CHARACTER})(?:{words})(?!{_IDENTIFIER_CHARACTER})|{operators}")


def _category(path: Path, name: str, entry: Any) -> CriticalCategory:
    if not isinstance(entry, dict) or entry.keys() != {"group", "tokens"}:
        raise _fault(path, f"category {name}: expected an object with `group` and `tokens`")
    group, tokens = entry["group"], entry["tokens"]
    if not isinstance(group, str) or group not in GROUP_SIZES:
        raise _fault(path, f"category {name}: group is {json.dumps(group)}; expected one of {', '.join(GROUP_SIZES)}")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise _fault(path, f"category {name}: expected `tokens` to be a list of strings")
    for token in tokens:
        if not token or any(character.isspace() for character in token):
            raise _fault(path, f"category {name}: {json.dumps(token)} is empty or holds white space")
    return CriticalCategory(group, tuple(tokens))


def _sizes(sizes: dict[str, int]) -> str:
    return ", ".join(f"{group} {size}" for group, size in sizes.items())


def _fault(path: Path, problem: str) -> UserError:
    return UserError(f"{path}: {problem}", "Restore the file as the project ships it, or correct this entry.")
