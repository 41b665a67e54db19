"""Tables as lines of text, for a terminal."""

from collections.abc import Callable, Sequence
from itertools import zip_longest


def aligned(rows: Sequence[Sequence[str]], justify: Callable[[str, int], str]) -> list[str]:
    """Return the rows as lines, their columns two spaces apart and the first one left-aligned.

    Args:
        rows: at least one, of at least one cell; shorter ones end with empty cells.
        justify: aligns the other columns: `str.ljust` or `str.rjust`.
    """
    columns = list(zip_longest(*rows, fillvalue=""))
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join([first.ljust(widths[0]), *map(justify, others, widths[1:])]).rstrip()
        for first, *others in zip(*columns, strict=True)
    ]
