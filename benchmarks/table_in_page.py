"""A benchmark's table, printed and, if asked, put in its place on a page of the documents."""

from collections.abc import Sequence
from pathlib import Path

from assertkd.files import write_text


def publish(rows: Sequence[Sequence[str]], about: str, page: Path | None, begin: str, end: str) -> None:
    """Print a Markdown table with a sentence below it; write both between two marks of `page` where there is one."""
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    print(f"{table}\n\n{about}")
    if page is not None:
        try:
            text = page.read_text(encoding="utf-8")
        except OSError as fault:
            raise SystemExit(
                f"Error: {page}: {fault.strerror}\nName the page that the table is to stand in."
            ) from fault
        if not 0 <= text.find(begin) < text.find(end):
            raise SystemExit(f"Error: {page}: has no place for the table\nPut the lines {begin} and {end} there.")
        before, after = text.split(begin)[0], text.split(end)[1]
        write_text(page, f"{before}{begin}\n\n{table}\n\n{about}\n\n{end}{after}")
