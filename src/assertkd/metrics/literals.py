"""Whether literals are those of the Java Language Specification, chapter 3.10."""

import re
import struct

_ESCAPE = r"\\(?:[btnfrs\"'\\]|[0-3]?[0-7]{1,2})"
_CHARACTER = re.compile(rf"'(?:[^'\\\n\U00010000-\U0010ffff]|{_ESCAPE})'")
_STRING = re.compile(rf'"(?:[^"\\\n]|{_ESCAPE})*"')
_TEXT_BLOCK = re.compile(rf'"""[ \t\f]*\n(?:(?!""")[^\\]|{_ESCAPE}|\\\n)*"""')
_INTEGER = re.compile(r"0x(?P<x>[\da-f_]+)|0b(?P<b>[01_]+)|0(?P<o>[0-7_]+)|(?P<d>0|[1-9][\d_]*)")
_BASES = {"x": 16, "b": 2, "o": 8, "d": 10}


def is_integer(text: str, is_negated: bool = False) -> bool:
    """Return whether a text is an integer literal within `int` or, with an `L`, within `long` (3.10.1).

    Args:
        text: the literal, without a sign.
        is_negated: whether a minus stands before it; the least number is 1 more than the greatest.
    """
    digits = text.lower().removesuffix("l")
    match = _INTEGER.fullmatch(digits)
    if match is None or match.lastgroup is None or digits.endswith("_"):
        return False
    bits = 32 if len(digits) == len(text) else 64
    value = int(match[match.lastgroup].replace("_", ""), _BASES[match.lastgroup])
    if match.lastgroup != "d":
        return value < 1 << bits
    return value < (1 << bits - 1) + is_negated


def is_float(text: str) -> bool:
    """Return whether a floating-point literal is not rounded to infinity, nor to 0 unless it is 0 (3.10.2)."""
    digits = text.lower().replace("_", "")
    is_hexadecimal = digits.startswith("0x")
    if is_hexadecimal and "p" not in digits:
        return False
    is_single = digits.endswith("f")
    digits = digits.rstrip("fd")
    try:
        value = float.fromhex(digits) if is_hexadecimal else float(digits)
        if is_single:
            value = struct.unpack("f", struct.pack("f", value))[0]
    except (OverflowError, ValueError):
        return False
    significand = digits.removeprefix("0x").partition("p" if is_hexadecimal else "e")[0]
    return value != float("inf") and (value != 0.0 or not significand.strip("0."))


def is_character(text: str) -> bool:
    """Return whether a text is a character literal: one UTF-16 code unit or one escape (3.10.4)."""
    return _CHARACTER.fullmatch(text) is not None


def is_string(text: str) -> bool:
    """Return whether a text is a string literal or a text block (3.10.5, 3.10.6)."""
    return (_TEXT_BLOCK if text.startswith('"""') else _STRING).fullmatch(text) is not None
