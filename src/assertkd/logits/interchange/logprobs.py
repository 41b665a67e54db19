"""The likeliest tokens' log-probabilities along a target, in the forms in which servers answer.

`teacher_logprobs` of a line is one of these, or the whole answer or choice that holds it:

    [null, {"42": {"logprob": -0.1, "rank": 1, "decoded_token": " x"}, …}, …]      vLLM's `prompt_logprobs`
    {"tokens": […], "token_logprobs": […], "top_logprobs": [null, {" x": -0.1}, …]}    completions, with `echo`
    {"content": [{"token": " x", "logprob": -0.1, "bytes": […], "top_logprobs": […]}]}    chat; llama.cpp adds `id`

One row a token. There may be rows of the prompt before those of the target.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from assertkd.errors import UserError
from assertkd.jsonl import LineError
from assertkd.logits.codecs.support import TopLogprobs
from assertkd.logits.interchange.token_names import REPLACEMENT, TokenNames
from assertkd.records import LOGPROBS

ROUNDING = 1e-3
"""By which the masses of a row may sum to more than 1."""
POSITIVE = 1e-6
"""By which a log-probability may be above 0."""
LOWEST = 1e9
"""How far a log-probability may be below 0. Servers write -9999 for a token that is impossible."""
DIGITS = 10
"""Of an id, at most."""

REMEDY = "What is needed is a server's answer for prompt and target, with the likeliest tokens of every position."
TOKENIZER_REMEDY = (
    "Name the tokenizer of the server's model (tokenizer.name, --tokenizer), and give what it answers for this target."
)


class _OtherTokensError(LineError):
    """A row is for another token than the target's."""


class _Given(NamedTuple):
    """A token with its log-probability, as a server names it; `text` is that of an id, where it is given beside it."""

    name: str | int
    logprob: Any
    raw: bytes | None = None
    text: str | None = None
    rank: Any = None


class _Row(NamedTuple):
    """A position: its likeliest tokens, and the token that stands there, where the form says which."""

    top: list[_Given]
    own: _Given | None = None


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
        rows = _rows(value)
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


def _tokens(row: _Row | None, target: int, names: TokenNames, vocab_size: int) -> dict[int, float]:
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


def _check_own(row: _Row, target: int, names: TokenNames) -> None:
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


def _number(given: _Given) -> float:
    value = given.logprob
    # The bound below keeps out whole numbers that no float holds.
    if type(value) not in (int, float) or not -LOWEST <= value <= POSITIVE:
        raise LineError(f"the log-probability of {given.name!r} is {value!r}, no number up to 0")
    return min(float(value), 0.0)


def _rows(value: Any) -> list[_Row | None]:
    """Return the rows of a value in any of the forms; LineError if it is in none."""
    if isinstance(value, Mapping):
        if isinstance(choices := value.get("choices"), list) and len(choices) == 1 and not value.get("prompt_logprobs"):
            return _rows(choices[0])
        for part in ("prompt_logprobs", "logprobs", "content", "completion_probabilities"):
            if value.get(part) is not None:
                return _rows(value[part])
        if isinstance(value.get("tokens"), list):
            return _completion_rows(value)
    if isinstance(value, list):
        is_chat = any(isinstance(row, Mapping) and "token" in row for row in value)
        return [None if row is None else (_chat_row(row) if is_chat else _prompt_row(row)) for row in value]
    raise LineError("is none of the forms that are read (prompt_logprobs, completions, chat)")


def _prompt_row(row: Any) -> _Row:
    if not isinstance(row, Mapping):
        raise LineError("a row is neither null nor an object")
    top = []
    for name, entry in row.items():
        if not name.isdecimal() or len(name) > DIGITS:
            raise LineError(f"{name!r} is no token id")
        fields = entry if isinstance(entry, Mapping) else {"logprob": entry}
        text = fields.get("decoded_token")
        top.append(
            _Given(
                int(name), fields.get("logprob"), text=text if isinstance(text, str) else None, rank=fields.get("rank")
            )
        )
    return _Row(top)


def _completion_rows(value: Mapping[str, Any]) -> list[_Row | None]:
    tokens, logprobs, tops = (value.get(name) for name in ("tokens", "token_logprobs", "top_logprobs"))
    if not (isinstance(tokens, list) and isinstance(logprobs, list) and all(isinstance(one, str) for one in tokens)):
        raise LineError("tokens and token_logprobs are not two lists")
    tops = [{} for _ in tokens] if tops is None else tops
    if not isinstance(tops, list) or not len(tokens) == len(logprobs) == len(tops):
        raise LineError("tokens, token_logprobs and top_logprobs are not lists of one length")
    rows: list[_Row | None] = []
    for token, logprob, top in zip(tokens, logprobs, tops, strict=True):
        if not isinstance(top or {}, Mapping):
            raise LineError("an entry of top_logprobs is neither null nor an object")
        given = [_Given(name, number) for name, number in (top or {}).items()]
        rows.append(None if logprob is None else _Row(given, _Given(token, logprob)))
    return rows


def _chat_row(row: Any) -> _Row:
    top = row.get("top_logprobs") if isinstance(row, Mapping) else None
    if not isinstance(top, list):
        raise LineError("a row has no list top_logprobs")
    return _Row([_chat_token(token) for token in top], _chat_token(row))


def _chat_token(token: Any) -> _Given:
    if not (isinstance(token, Mapping) and isinstance(token.get("token"), str)):
        raise LineError("a token has no text")
    identity, raw = token.get("id"), token.get("bytes")
    if not isinstance(raw, list) or not all(type(byte) is int and 0 <= byte < 256 for byte in raw):
        raw = None
    name = identity if type(identity) is int and identity >= 0 else token["token"]
    return _Given(name, token.get("logprob"), None if raw is None else bytes(raw))
