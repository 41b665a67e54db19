"""What is kept of a message that code wrote which nobody knows."""

LONGEST_MESSAGE = 300


def printable(text: str) -> str:
    """Return a text as one line of printable characters, cut where it is too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * LONGEST_MESSAGE]).split())
    return line[:LONGEST_MESSAGE]
