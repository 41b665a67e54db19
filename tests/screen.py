"""What a terminal shows after what was written to it, as far as the project's own output needs it."""

import re

PART = re.compile(r"\x1b\[(?P<number>\d*)(?P<command>[A-Za-z])|(?P<control>[\r\n])|(?P<text>[^\x1b\r\n]+)")


def screen(written: str) -> list[str]:
    """Return the lines that a terminal without end would show, without blank ones at the end."""
    lines, row, column = [""], 0, 0
    for part in PART.finditer(written):
        if part["text"]:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + part["text"] + line[column + len(part["text"]) :]
            column += len(part["text"])
        elif part["control"] == "\r":
            column = 0
        elif part["control"] == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part["command"] == "A":
            row -= int(part["number"] or 1)
        elif part["command"] == "J":
            lines[row:] = [lines[row][:column]]
        else:
            assert part["command"] == "m", f"unknown sequence {part[0]!r}"
    while lines and not lines[-1].strip():
        lines.pop()
    return lines
