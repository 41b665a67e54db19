"""Headless Chromium for tests: opens a page from disk and hears what goes wrong in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    # Else the browser itself asks for hosts of its maker.
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


class Opened:
    """A page, with its warnings, its errors, and every request but that for the page itself."""

    def __init__(self, page: Page, file: Path, *, scripts: bool) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(file.resolve().as_uri())
        if scripts:
            page.wait_for_selector("html[data-charts=drawn]", state="attached")
        self.requests.remove(file.resolve().as_uri())

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


@contextmanager
def opened(chromium: Browser, file: Path, **context: Any) -> Iterator[Opened]:
    """Open an HTML file; afterwards it must have complained of nothing and requested nothing but itself."""
    visit = chromium.new_context(**context)
    try:
        seen = Opened(visit.new_page(), file, scripts=context.get("java_script_enabled", True))
        yield seen
        assert seen.complaints == []
        assert set(seen.requests) <= {file.resolve().as_uri()}
    finally:
        visit.close()
