"""Tables as plain text within a width: long cells are wrapped, and rows are stacked if that isn't enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from tidemill.core.printable import printable
from tidemill.core.text_table import text_table

_GAP = 2
# Narrower cells are hard to read.
_LEAST = 12


def fitted_table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], width: int, *, indent: str = ""
) -> str:
    """Align cells in columns within a width; a column whose header begins with `>` is right-aligned.

    Too wide a table has cells of several lines. One that is still too wide becomes a list of rows.
    """
    names = [header.removeprefix(">") for header in headers]
    lines = [[printable(cell) for cell in line] for line in (names, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    room = width - len(indent) - _GAP * (len(headers) - 1)
    least = [min(_LEAST, each) for each in widths]
    if sum(least) > room:
        return "\n".join(_stacked(lines, width, indent))
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda n: widths[n] - least[n])
        widths[widest] -= 1
    first, *others = [row for line in lines for row in _wrapped(line, widths)]
    marked = [
        f">{cell}" if header.startswith(">") else cell
        for header, cell in zip(headers, first, strict=True)
    ]
    return text_table(marked, others, indent=indent)


def _wrapped(line: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """The lines of one row, with cells that are as wide as their column at most."""
    cells = [wrap(cell, width) or [""] for cell, width in zip(line, widths, strict=True)]
    height = max(map(len, cells), default=0)
    return [[cell[at] if at < len(cell) else "" for cell in cells] for at in range(height)]


def _stacked(lines: Sequence[Sequence[str]], width: int, indent: str) -> Iterator[str]:
    """Each row as lines of a header and a value."""
    headers = lines[0]
    longest = max(map(len, headers))
    for number, row in enumerate(lines[1:], 1):
        if number > 1:
            yield ""
        for header, cell in zip(headers, row, strict=True):
            start = f"{indent}{header.ljust(longest)}  "
            rest = " " * len(start)
            yield from wrap(
                cell, max(width, len(start) + _LEAST), initial_indent=start, subsequent_indent=rest
            ) or [start.rstrip()]
