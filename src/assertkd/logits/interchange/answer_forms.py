"""The likeliest tokens' log-probabilities along a target, in the forms in which servers answer.

`teacher_logprobs` of a line is one of these, or the whole answer or choice that holds it:

    [null, {"42": {"logprob": -0.1, "rank": 1, "decoded_token": " x"}, …}, …]      vLLM's `prompt_logprobs`
    {"tokens": […], "token_logprobs": […], "top_logprobs": [null, {" x": -0.1}, …]}    completions, with `echo`
    {"content": [{"token": " x", "logprob": -0.1, "bytes": […], "top_logprobs": […]}]}    chat; llama.cpp adds `id`

One row a token. There may be rows of the prompt before those of the target.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from assertkd.jsonl import LineError

DIGITS = 10
"""Of an id, at most."""


class TokenLogprob(NamedTuple):
    """A token with its log-probability, as a server names it; `text` is that of an id, where it is given beside it."""

    name: str | int
    logprob: Any
    raw: bytes | None = None
    text: str | None = None
    rank: Any = None


class Row(NamedTuple):
    """A position: its likeliest tokens, and the token that stands there, where the form says which."""

    top: list[TokenLogprob]
    own: TokenLogprob | None = None


def read_rows(value: Any) -> list[Row | None]:
    """Return the rows of a value in any of the forms, None for one without log-probabilities; LineError if in none."""
    if isinstance(value, Mapping):
        if isinstance(choices := value.get("choices"), list) and len(choices) == 1 and not value.get("prompt_logprobs"):
            return read_rows(choices[0])
        for part in ("prompt_logprobs", "logprobs", "content", "completion_probabilities"):
            if value.get(part) is not None:
                return read_rows(value[part])
        if isinstance(value.get("tokens"), list):
            return _completion_rows(value)
    if isinstance(value, list):
        is_chat = any(isinstance(row, Mapping) and "token" in row for row in value)
        return [None if row is None else (_chat_row(row) if is_chat else _prompt_row(row)) for row in value]
    raise LineError("is none of the forms that are read (prompt_logprobs, completions, chat)")


def _prompt_row(row: Any) -> Row:
    if not isinstance(row, Mapping):
        raise LineError("a row is neither null nor an object")
    top = []
    for name, entry in row.items():
        if not name.isdecimal() or len(name) > DIGITS:
            raise LineError(f"{name!r} is no token id")
        fields = entry if isinstance(entry, Mapping) else {"logprob": entry}
        text = fields.get("decoded_token")
        top.append(
            TokenLogprob(
                int(name), fields.get("logprob"), text=text if isinstance(text, str) else None, rank=fields.get("rank")
            )
        )
    return Row(top)


def _completion_rows(value: Mapping[str, Any]) -> list[Row | None]:
    tokens, logprobs, tops = (value.get(name) for name in ("tokens", "token_logprobs", "top_logprobs"))
    if not (isinstance(tokens, list) and isinstance(logprobs, list) and all(isinstance(one, str) for one in tokens)):
        raise LineError("tokens and token_logprobs are not two lists")
    tops = [{} for _ in tokens] if tops is None else tops
    if not isinstance(tops, list) or not len(tokens) == len(logprobs) == len(tops):
        raise LineError("tokens, token_logprobs and top_logprobs are not lists of one length")
    rows: list[Row | None] = []
    for token, logprob, top in zip(tokens, logprobs, tops, strict=True):
        if not isinstance(top or {}, Mapping):
            raise LineError("an entry of top_logprobs is neither null nor an object")
        given = [TokenLogprob(name, number) for name, number in (top or {}).items()]
        rows.append(None if logprob is None else Row(given, TokenLogprob(token, logprob)))
    return rows


def _chat_row(row: Any) -> Row:
    top = row.get("top_logprobs") if isinstance(row, Mapping) else None
    if not isinstance(top, list):
        raise LineError("a row has no list top_logprobs")
    return Row([_chat_token(token) for token in top], _chat_token(row))


def _chat_token(token: Any) -> TokenLogprob:
    if not (isinstance(token, Mapping) and isinstance(token.get("token"), str)):
        raise LineError("a token has no text")
    identity, raw = token.get("id"), token.get("bytes")
    if not isinstance(raw, list) or not all(type(byte) is int and 0 <= byte < 256 for byte in raw):
        raw = None
    name = identity if type(identity) is int and identity >= 0 else token["token"]
    return TokenLogprob(name, token.get("logprob"), None if raw is None else bytes(raw))
