"""Text tables and figures as people read them; no colours, no width of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

_GAP = "  "
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, indent: str = "") -> str:
    """Columns of text; one whose header begins with `>` is aligned to the right."""
    right = [header.startswith(">") for header in headers]
    lines = [[header.removeprefix(">") for header in headers], *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    return "\n".join(
        indent
        + _GAP.join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def without_empty(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *rare: str
) -> tuple[list[str], list[list[str]]]:
    """The table without those of its `rare` columns that show nothing but `-`."""
    lines = list(map(list, rows))
    gone = {n for n, h in enumerate(headers) if h in rare and all(line[n] == "-" for line in lines)}
    kept = [n for n in range(len(headers)) if n not in gone]
    return [headers[n] for n in kept], [[line[n] for n in kept] for line in lines]


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same for a pull request."""
    rule = ["---:" if header.startswith(">") else "---" for header in headers]
    lines = [
        [header.removeprefix(">") for header in headers],
        rule,
        *([cell.replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def count(number: int) -> str:
    """`12,345`; nothing is `-`, so that what is there stands out."""
    return f"{number:,}" if number else "-"


def size(number: int) -> str:
    """Bytes in the unit that gives up to three digits before the point: `3.2 MB`."""
    if not number:
        return "-"
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return (
        f"{value:.1f} {_UNITS[unit]}" if unit and value < 99.95 else f"{value:.0f} {_UNITS[unit]}"
    )


def seconds(number: float) -> str:
    """`0.42 s`, `12.3 s`, `3 min 20 s`."""
    if number >= 119.5:
        minutes, rest = divmod(round(number), 60)
        return f"{minutes} min {rest} s"
    return f"{number:.1f} s" if number >= 9.995 else f"{number:.2f} s"


def rough(number: float) -> str:
    """Seconds that are only guessed: `20 ms`, `0.31 s`, `3.1 s`, `12 s`, `3 min`, `2.5 h`; never nothing."""
    if number >= 5400:
        return f"{number / 3600:.1f} h"
    if number >= 89.5:
        return f"{number / 60:.0f} min"
    if number >= 9.95:
        return f"{number:.0f} s"
    if number >= 0.0995:
        return f"{number:.1f} s" if number >= 0.995 else f"{number:.2f} s"
    return f"{max(1000 * number, 1):.0f} ms"


def money(amount: float, currency: str) -> str:
    """`1.25 USD`; small amounts keep two digits that tell something."""
    if amount >= 0.01:
        return f"{amount:.2f} {currency}"
    return f"{float(f'{amount:.2g}'):.12f}".rstrip("0") + f" {currency}"


def moment(unix: float) -> str:
    """A time in the zone of this machine, to the second."""
    return datetime.fromtimestamp(unix).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plural(number: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
