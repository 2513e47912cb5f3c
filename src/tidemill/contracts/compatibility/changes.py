"""What differs between two versions of a contract, and whom each difference concerns.

The words, once and exactly. A contract allows a set of tables. A change *tightens* when a table that
the old contract allows is refused by the new one; it *loosens* when the new one allows a table that
the old one refuses; it does *both*, or it is *neutral* because no table tells the two apart.

- For the **producer**, the stage or the system that makes the table, what tightens can break: it has
  to keep a promise that it didn't give before.
- For a **consumer**, a stage that reads the table, what loosens can break: values may come that it was
  promised never to see. A loosening that every reader survives (an integer in a wider integer, one
  more column that nobody asked for) is marked as such.
- A column that goes loosens, because its readers lose it; that a producer who still sends it may be
  refused is said beside it. A column that comes tightens, unless the data may be without it.
- What only warns promises nothing, so changing it is neutral.

The named modes are those of schema registries: *backward*, readers with the new contract can read data
of the old one (nothing tightens, consumers go first); *forward*, readers with the old contract can read
data of the new one (nothing loosens that not all survive, producers go first); *full*, both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from html import escape


class Direction(StrEnum):
    """What a change does to the tables that a contract allows."""

    TIGHTENS = "tightens"
    LOOSENS = "loosens"
    BOTH = "both"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference: `words` say it, `note` says what the direction doesn't tell.

    `column` is empty for what is about the table, `term` names what the contract says of either (min,
    key); `survived` marks a loosening that breaks no reader,
    `gone` a column that is no more, `told` what only people read (a description, a mark),
    `felt` what no check tells and readers may feel all the same (the unit of the same numbers).
    """

    about: str
    words: str
    direction: Direction
    column: str = ""
    term: str = ""
    survived: bool = False
    gone: bool = False
    told: bool = False
    felt: bool = False
    note: str = ""

    def __str__(self) -> str:
        return f"{self.about}: {self.words}"

    @property
    def for_producers(self) -> bool:
        """Whether it can break who makes the table."""
        return self.direction in (Direction.TIGHTENS, Direction.BOTH)

    @property
    def for_consumers(self) -> bool:
        """Whether it can break who reads the table."""
        return self.direction in (Direction.LOOSENS, Direction.BOTH) and not self.survived


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """All that differs between an old and a new contract; `print` draws it."""

    old: str
    new: str
    old_version: str
    new_version: str
    changes: tuple[Change, ...] = ()

    def __str__(self) -> str:
        if not self.changes:
            return f"{self.head}: no changes"
        width = max(len(change.direction) for change in self.changes)
        return "\n".join((self.head, *(_line(change, width) for change in self.changes)))

    def _repr_html_(self) -> str:
        """The same as a table, which notebooks show."""
        cells = [
            (change.about, change.words, str(change.direction), remarks(change).strip(" ()"))
            for change in self.changes
        ]
        told = "".join(_html_row(row, "td") for row in cells)
        head = _html_row(("what", "change", "direction", "remark"), "th") if cells else ""
        caption = f"<caption>{escape(str(self).partition(chr(10))[0])}</caption>"
        return f"<table>{caption}<thead>{head}</thead><tbody>{told}</tbody></table>"

    @property
    def head(self) -> str:
        """`Orders 1.0.0 -> 2.0.0`."""
        renamed = f"{self.old} {self.old_version} -> {self.new} {self.new_version}"
        return renamed.replace(f"-> {self.old} ", "-> ", 1)

    @property
    def for_producers(self) -> tuple[Change, ...]:
        """The changes that can break who makes the table."""
        return tuple(change for change in self.changes if change.for_producers)

    @property
    def for_consumers(self) -> tuple[Change, ...]:
        """The changes that can break who reads the table."""
        return tuple(change for change in self.changes if change.for_consumers)


def _html_row(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _line(change: Change, width: int) -> str:
    return f"  {change.direction:{width}}  {change}{remarks(change)}"


def remarks(change: Change) -> str:
    """What stands in brackets behind a change; nothing if its direction says it all."""
    return _bracketed(("every reader survives it" if change.survived else "", change.note))


def _bracketed(words: Iterable[str]) -> str:
    found = "; ".join(filter(None, words))
    return f" ({found})" if found else ""
