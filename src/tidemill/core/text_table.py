"""Tables as plain text and Markdown; colours and the width of the terminal are added elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidemill.core.printable import printable

_GAP = "  "


def text_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, indent: str = "") -> str:
    """Align cells in columns; a column whose header begins with `>` is right-aligned.

    Cells are made printable, so that no value breaks the table or controls the terminal.
    """
    right = [header.startswith(">") for header in headers]
    given = [[header.removeprefix(">") for header in headers], *rows]
    lines = [list(map(printable, line)) for line in given]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    return "\n".join(
        indent
        + _GAP.join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def drop_empty_columns(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *rare: str
) -> tuple[list[str], list[list[str]]]:
    """Drop those of the `rare` columns in which every cell is `-`."""
    lines = list(map(list, rows))
    gone = {n for n, h in enumerate(headers) if h in rare and all(line[n] == "-" for line in lines)}
    kept = [n for n in range(len(headers)) if n not in gone]
    return [headers[n] for n in kept], [[line[n] for n in kept] for line in lines]


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write the table as Markdown, for example for a pull request."""
    rule = ["---:" if header.startswith(">") else "---" for header in headers]
    lines = [
        _markdown_row([header.removeprefix(">") for header in headers]),
        rule,
        *map(_markdown_row, rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_row(cells: Iterable[str]) -> list[str]:
    return [printable(cell).replace("|", "\\|") for cell in cells]
