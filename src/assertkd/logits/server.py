"""A running OpenAI-compatible server: it writes answers, and says how likely it finds given ones."""

import http.client
import json
import logging
import os
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from assertkd.errors import UserError
from assertkd.settings.logits import ServedModelSettings, ServerConnection

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Statuses after which a request is sent again."""
LONGEST_WAIT = 3600.0
"""Seconds that a server may ask to wait, at most."""
QUOTED = 300
"""Characters of a server's message that are repeated."""
LONGEST_ANSWER = 128 * 1024**2
"""Bytes of an answer that are read."""

log = logging.getLogger(__name__)


class _Refused(Exception):  # noqa: N818
    """The server understood a request and does not answer it: HTTP status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no other address, which the key was not meant for."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request."""


@dataclass(frozen=True, slots=True)
class _Retry:
    """Why a request is worth sending again, and how many seconds the server asks to wait; None if it does not say."""

    why: str
    seconds: float | None = None


class Server:
    """The completions of a server's model, by token ids, so that the server's own tokenizer cuts nothing.

    Safe to use from several threads.

    Args:
        connection: with a url.
        served: the model that is asked, and what for.
        stopped: set where no request is to be sent again.

    Raises:
        UserError: the server is down, refuses the key, or has no such model.
    """

    def __init__(self, connection: ServerConnection, served: ServedModelSettings, stopped: threading.Event) -> None:
        assert connection.url is not None
        self._connection, self._served, self.url = connection, served, connection.url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if connection.api_key_env is not None:
            key = os.environ.get(connection.api_key_env, "").strip()
            if not key or not key.isascii() or not key.isprintable():
                raise UserError(
                    f"logits.server.api_key_env: the environment variable {connection.api_key_env} is not set to a key",
                    f"Set it where the job runs: export {connection.api_key_env}=…",
                )
            self._headers["Authorization"] = f"Bearer {key}"
        self._stopped = stopped
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._echoes = False
        self.model = self._model_name()

    def write(self, prompt: Sequence[int], max_tokens: int) -> str:
        """Return what the model writes behind a prompt, greedily, without the end and blanks around it.

        Raises:
            UserError: the server does not answer, or refuses.
        """
        choice = self._completed(
            {"prompt": list(prompt), "max_tokens": max_tokens, "temperature": 0, "stop": list(self._served.stop)}
        )
        text = choice.get("text")
        if not isinstance(text, str):
            raise UserError(f"{self.url}: a completion without text", "Check that this is a completions server.")
        return text.strip()

    def top_logprobs(self, prompt: Sequence[int], target: Sequence[int]) -> Any:
        """Return the log-probabilities along a target behind a prompt, in one of the server's forms.

        Raises:
            UserError: the server does not answer, or gives no log-probabilities of a prompt.
        """
        ids, top_k = [*prompt, *target], self._served.top_k
        body: dict[str, Any] = {"prompt": ids, "max_tokens": 1, "temperature": 0}
        if not self._echoes:
            choice = self._completed(body | {"prompt_logprobs": top_k}, may_refuse=True)
            rows = choice.get("prompt_logprobs")
            if isinstance(rows, list):
                return rows[-len(target) :]
        by_id = {"echo": True, "logprobs": top_k, "return_tokens_as_token_ids": True}
        logprobs = self._completed(body | by_id).get("logprobs")
        logprobs = logprobs if isinstance(logprobs, Mapping) else {}
        tokens = logprobs.get("tokens")
        if not isinstance(tokens, list) or len(tokens) < len(ids):
            raise UserError(
                f"{self.url}: gives no log-probabilities of a prompt (neither prompt_logprobs nor echo)",
                "Serve the model with vLLM or SGLang. OpenAI's own servers and llama.cpp's do not give them.",
            )
        self._echoes = True
        # The token that had to be generated stands behind the target.
        return {name: values[len(prompt) : len(ids)] for name, values in logprobs.items() if isinstance(values, list)}

    def _model_name(self) -> str:
        """Return the model to ask: the one that the settings name, which the server has, or its only one."""
        wanted = self._served.model
        try:
            answer = self._answer("/models", None)
        except _Refused as fault:
            if fault.status in (401, 403) or wanted is None:
                raise self._refusal(fault) from None
            return wanted
        listed = answer.get("data")
        names = (
            [one["id"] for one in listed if isinstance(one, Mapping) and isinstance(one.get("id"), str)]
            if (isinstance(listed, list))
            else []
        )
        if wanted is None and len(names) == 1:
            return str(names[0])
        if wanted not in names:
            what = "logits.server.model is not set" if wanted is None else f"has no model {wanted!r}"
            raise UserError(
                f"{self.url}: {what}; it has {', '.join(names) or 'none'}", "Set logits.server.model to one of these."
            )
        return str(wanted)

    def _completed(self, body: Mapping[str, Any], *, may_refuse: bool = False) -> Mapping[str, Any]:
        """Return the choice that a completion has; {} where the server may refuse it and does."""
        try:
            answer = self._answer("/completions", {"model": self.model, **body})
        except _Refused as fault:
            # Servers that do not know a field may say so.
            if may_refuse and fault.status in (400, 422):
                return {}
            raise self._refusal(fault) from None
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            raise UserError(f"{self.url}: an answer without choices", "Check that this is a completions server.")
        return choices[0]

    def _refusal(self, fault: _Refused) -> UserError:
        if fault.status in (401, 403):
            remedy = "Name the environment variable that holds its key: logits.server.api_key_env."
        elif fault.status == 404:
            remedy = "Set logits.server.url up to and with /v1, and logits.server.model to what it serves."
        else:
            remedy = (
                "Set logits.server.top_k to what the server allows (vllm serve --max-logprobs), data.max_input_len and "
                "max_output_len to its context, and tokenizer.name to the model's tokenizer."
            )
        return UserError(f"{self.url}: {fault}", remedy)

    def _answer(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the object that the server answers; what may pass is tried again, later each time."""
        retries, why, tries = self._connection.retries, "", 0
        while tries <= retries and not (tries and self._stopped.is_set()):
            outcome = self._try(path, body)
            if not isinstance(outcome, _Retry):
                return outcome
            why, wait = outcome.why, outcome.seconds
            if wait is None:
                # Threads that were refused together do not come back together.
                wait = min(self._connection.max_wait, 0.5 * 2.0**tries) * random.uniform(0.5, 1.0)
            tries += 1
            if tries <= retries:
                log.info("%s: %s; again in %.1f s", self.url, why, wait)
                self._stopped.wait(wait)
        raise UserError(
            f"{self.url}{path}: no answer in {tries} tries; the last: {why}",
            "Start the server or correct logits.server.url, then run the same command again: what has arrived is kept. "
            "A server that is busy wants a lower logits.server.concurrency or a longer logits.server.timeout.",
        )

    def _try(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any] | _Retry:
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(self.url + path, data, self._headers)
            with self._opener.open(request, timeout=self._connection.timeout) as answer:
                content = answer.read(LONGEST_ANSWER)
        except urllib.error.HTTPError as fault:
            if fault.code in AGAIN:
                return _Retry(f"HTTP {fault.code}", _retry_after(fault.headers.get("Retry-After")))
            raise _Refused(fault.code, _message(fault)) from None
        except urllib.error.URLError as fault:
            return _Retry(str(fault.reason))
        except (http.client.InvalidURL, ValueError, OverflowError) as fault:
            raise UserError(f"{self.url}: is no address ({fault})", "Correct logits.server.url.") from None
        except (http.client.HTTPException, OSError) as fault:
            return _Retry(str(fault) or type(fault).__name__)
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            return _Retry("an answer that is no JSON")
        if not isinstance(value, dict):
            raise UserError(f"{self.url}{path}: the answer is no JSON object", "Check logits.server.url.")
        return value


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a header asks to wait, given as such or as a date; None where it asks for nothing."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None


def _message(fault: urllib.error.HTTPError) -> str:
    """Return what a server says of a refusal, on one line."""
    try:
        text = fault.read(LONGEST_ANSWER).decode(errors="replace")
    except (http.client.HTTPException, OSError):
        text = ""
    try:
        value = json.loads(text)
        value = value.get("error", value)
        text = str(value.get("message", text) if isinstance(value, dict) else value)
    except (ValueError, AttributeError):
        pass
    return " ".join(text.split())[:QUOTED] or fault.reason
