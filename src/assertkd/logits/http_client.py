"""JSON over HTTP: what may pass is asked again, with pauses, and what a server refuses is said in its words."""

import http.client
import json
import logging
import os
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from assertkd.errors import UserError
from assertkd.settings.logits import ServerConnection

RETRIED_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Statuses after which a request is sent again."""
LONGEST_WAIT = 3600.0
"""Seconds that a server may ask to wait, at most."""
QUOTED = 300
"""Characters of a server's message that are repeated."""
LONGEST_ANSWER = 128 * 1024**2
"""Bytes of an answer that are read."""

log = logging.getLogger(__name__)


class RefusedError(Exception):
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


class HttpClient:
    """Asks one server. Safe to use from several threads.

    Args:
        connection: with a url.
        stopped: set where no request is to be sent again.

    Raises:
        UserError: the environment has no key.
    """

    def __init__(self, connection: ServerConnection, stopped: threading.Event) -> None:
        assert connection.url is not None
        self._connection, self.url = connection, connection.url.rstrip("/")
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

    def ask(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the object that the server answers; what may pass is tried again, later each time.

        Args:
            path: behind the address.
            body: to post; None to get.

        Raises:
            RefusedError: the server understood the request and does not answer it.
            UserError: there is no server at the address, or it gives no such answer in all tries.
        """
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
            if fault.code in RETRIED_STATUSES:
                return _Retry(f"HTTP {fault.code}", _retry_after(fault.headers.get("Retry-After")))
            raise RefusedError(fault.code, _message(fault)) from None
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
