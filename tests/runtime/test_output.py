"""What is printed and said: nothing that a terminal would obey, and whatever encoding the output has."""

import io
import logging
import sys
from pathlib import Path

import pytest

from assertkd.cli import main
from assertkd.errors import UserError, printable
from assertkd.runtime.logs import attached
from assertkd.runtime.output import printable_output


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nof two lines, größer ☕", "plain\ttext\nof two lines, größer ☕"),
        ("\x1b[31mred\x07\r\x00", r"\x1b[31mred\x07\r\x00"),
        ("\x9b1m \u202eback \ud800", r"\x9b1m \u202eback \ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(
    text: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, without_handlers = (logging.getLogger(f"assertkd.{name}") for name in ("test_output", "without.handlers"))
    for one in (logger, without_handlers):
        # pytest keeps what reaches the root, and cannot pass all of it on from one process to another.
        monkeypatch.setattr(one, "propagate", False)
    assert printable(text) == shown
    assert str(UserError(text, text)) == f"{shown}\n{shown}"
    with printable_output():
        print(text)
        without_handlers.warning("%s", text.replace("\r", ""))
        print("step 1\rstep 2", file=sys.stderr)
    printed = capsys.readouterr()
    assert printed.out == f"{shown}\n"
    assert printed.err.replace("\\r", "").endswith("step 1\rstep 2\n")
    assert "\x1b" not in printed.err
    with attached(logging.FileHandler(tmp_path / "job.log", encoding="utf-8"), logger):
        logger.warning("%s", text)
    assert (tmp_path / "job.log").read_text(encoding="utf-8").endswith(f"WARNING {shown}\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_output_that_lacks_a_character_has_its_escape(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    with printable_output():
        print("ü ☕")
    sys.stdout.flush()
    assert raw.getvalue().decode(encoding) == {"ascii": "\\xfc \\u2615\n", "latin-1": "ü \\u2615\n"}.get(
        encoding, "ü ☕\n"
    )


def test_a_command_prints_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logits", "inspect", str(tmp_path / "\x1b[2J")]) == 1
    assert "\x1b" not in capsys.readouterr().err
