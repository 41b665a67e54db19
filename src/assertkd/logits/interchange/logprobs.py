"""The likeliest tokens' log-probabilities along a target, checked: for its tokens, and distributions."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from assertkd.errors import UserError
from assertkd.jsonl import LineError
from assertkd.logits.codecs.support import TopLogprobs
from assertkd.logits.interchange.answer_forms import Row, TokenLogprob, read_rows
from assertkd.logits.interchange.token_names import REPLACEMENT, TokenNames
from assertkd.records import LOGPROBS

ROUNDING = 1e-3
"""By which the masses of a row may sum to more than 1."""
POSITIVE = 1e-6
"""By which a log-probability may be above 0."""
LOWEST = 1e9
"""How far a log-probability may be below 0. Servers write -9999 for a token that is impossible."""

REMEDY = "What is needed is a server's answer for prompt and target, with the likeliest tokens of every position."
TOKENIZER_REMEDY = (
    "Name the tokenizer of the server's model (tokenizer.name, --tokenizer), and give what it answers for this target."
)


class _OtherTokensError(LineError):
    """A row is for another token than the target's."""


def read_top_logprobs(
    value: Any, where: str, target_ids: Sequence[int], names: TokenNames, vocab_size: int
) -> TopLogprobs:
    """Return the log-probabilities along a target, with each position's own token among its likeliest ones.

    A token whose name several tokens share, or that is none of the tokenizer's, is counted in `names.unresolved`; its
    mass is then part of the tail.

    Args:
        value: the line's field.
        where: file and line, for messages.
        target_ids: the T tokens that the last T rows have to be for.
        names: the tokenizer's tokens.
        vocab_size: V.

    Raises:
        UserError: the value is of no such form, rows are missing, for other tokens, or no distributions.
    """
    try:
        rows = read_rows(value)
    except LineError as fault:
        raise UserError(f"{where}: {LOGPROBS}: {fault}", REMEDY) from None
    if len(rows) < len(target_ids):
        raise UserError(
            f"{where}: {LOGPROBS}: {len(rows)} rows, and the target has {len(target_ids)} tokens with its end",
            "Ask for the log-probabilities of the whole target; name the tokenizer and max_output_len of the teacher.",
        )
    parts: list[dict[int, float]] = []
    for number, (row, target) in enumerate(zip(rows[-len(target_ids) :], target_ids, strict=True), start=1):
        try:
            parts.append(_tokens(row, target, names, vocab_size))
        except LineError as fault:
            place = f"row {len(rows) - len(target_ids) + number}, target token {number} of {len(target_ids)}"
            remedy = TOKENIZER_REMEDY if isinstance(fault, _OtherTokensError) else REMEDY
            raise UserError(f"{where}: {LOGPROBS}: {place}: {fault}", remedy) from None
    width = max(map(len, parts))
    ids, log_p = np.zeros((len(parts), width), np.int64), np.full((len(parts), width), -np.inf)
    for number, part in enumerate(parts):
        ordered = sorted(part.items(), key=lambda token: (-token[1], token[0]))
        ids[number, : len(part)], log_p[number, : len(part)] = zip(*ordered, strict=True)
    return TopLogprobs(ids, log_p, vocab_size)


def _tokens(row: Row | None, target: int, names: TokenNames, vocab_size: int) -> dict[int, float]:
    """Return id to log-probability of a row; LineError if it is not for the target's token, or no distribution."""
    if row is None:
        raise LineError("is null")
    _check_own(row, target, names)
    if not row.top or (row.own is None and len(row.top) == 1 and row.top[0].rank not in (None, 1)):
        raise LineError("holds the target's token alone: ask for the likeliest tokens (top_k above 0)")
    tokens = {} if row.own is None else {target: _number(row.own)}
    for given in row.top:
        found, logprob = names.ids(given.name, given.raw), _number(given)
        if row.own is not None and (given.name, given.raw) == (row.own.name, row.own.raw) and found != [target]:
            # The target's token itself, by a name that others have too.
            continue
        if len(found) == 1 and found[0] < min(names.entries, vocab_size):
            tokens[found[0]] = logprob
        else:
            names.count_unresolved()
    mass = math.fsum(map(math.exp, tokens.values()))
    if mass > 1 + ROUNDING:
        raise LineError(f"the probabilities sum to {mass:.4g}, more than 1")
    return tokens


def _check_own(row: Row, target: int, names: TokenNames) -> None:
    text = names.text(target)
    wanted = f"the target's token {target} ({text!r})"
    if row.own is not None:
        is_comparable = names.is_id(row.own.name) or _tells_tokens_apart(str(row.own.name), text)
        if is_comparable and target not in names.ids(row.own.name, row.own.raw):
            raise _OtherTokensError(f"is for {row.own.name!r}, not for {wanted}: another tokenizer, or another target")
        return
    own = next((given for given in row.top if given.name == target), None)
    if own is None:
        first = ", the first is " + repr(row.top[0].text or row.top[0].name) if row.top else ""
        raise _OtherTokensError(f"has nothing on {wanted}{first}: another tokenizer, or another target")
    if own.text is not None and _tells_tokens_apart(own.text, text) and own.text.strip() != text.strip():
        raise _OtherTokensError(f"calls the token {target} {own.text!r}, and it is {wanted}: another tokenizer")


def _tells_tokens_apart(named: str, text: str) -> bool:
    """Return whether a server's text for a token can be compared with the token's own.

    For bytes of a character that is not finished servers write nothing, the replacement character, or (at the last of
    them) the whole character; for special tokens some write nothing.
    """
    return bool(named) and REPLACEMENT not in named + text


def _number(given: TokenLogprob) -> float:
    value = given.logprob
    # The bound below keeps out whole numbers that no float holds.
    if type(value) not in (int, float) or not -LOWEST <= value <= POSITIVE:
        raise LineError(f"the log-probability of {given.name!r} is {value!r}, no number up to 0")
    return min(float(value), 0.0)
