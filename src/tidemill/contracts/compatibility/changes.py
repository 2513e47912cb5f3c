"""Represent the changes between two versions of a contract, and whether producers or consumers can break.

Definitions: a contract allows a set of tables. A change *tightens* the contract if the new version refuses
a table that the old one allows, and *loosens* it if the new version allows a table that the old one refuses.
It can do *both*, or be *neutral* because both versions allow the same tables.

- A **producer**, the stage or system that makes the table, can break when the contract tightens: it must
  keep a new promise.
- A **consumer**, a stage that reads the table, can break when the contract loosens: it may see values that
  the old version ruled out. A loosening that no reader notices (a wider integer type, an additional
  column) is marked as such.
- Removing a column loosens, because its readers lose it; a note says if a producer who still sends it is
  refused. Adding a column tightens, unless the column is optional.
- Rules that only warn promise nothing, so changing them is neutral.

The compatibility modes are those of schema registries: *backward*, readers with the new contract can read
data of the old one (nothing tightens; upgrade consumers first); *forward*, readers with the old contract can
read data of the new one (nothing loosens that a reader notices; upgrade producers first); *full*, both.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from importlib import import_module

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import printable


class Direction(StrEnum):
    """The effect of a change on the set of tables that a contract allows."""

    TIGHTENS = "tightens"
    LOOSENS = "loosens"
    BOTH = "both"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change: `words` describe it, and `note` adds what its direction doesn't say.

    `column` is empty for a change of the table, `term` names the changed term (min, key). Flags: `survived`
    for a loosening that breaks no reader, `gone` for a removed column, `told` for documentation only (text
    and marks), `felt` for a change of meaning that no check detects (a unit). JSON documents have these
    fields, so their names stay.
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
        """Whether it can break the producer of the table."""
        return self.direction in (Direction.TIGHTENS, Direction.BOTH)

    @property
    def for_consumers(self) -> bool:
        """Whether it can break a consumer of the table."""
        return self.direction in (Direction.LOOSENS, Direction.BOTH) and not self.survived


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """All changes between an old and a new contract; printable."""

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
        """Render the changes as an HTML table for notebooks."""
        cells = [
            (change.about, change.words, str(change.direction), remark_text(change).strip(" ()"))
            for change in self.changes
        ]
        headers = ("what", "change", "direction", "remark")
        page = import_module("tidemill.drawing.notebook")
        caption = str(self).partition("\n")[0]
        html: str = page.notebook_html(page.notebook_table(headers, cells, caption=caption))
        return html

    @property
    def head(self) -> str:
        """The heading, such as `Orders 1.0.0 -> 2.0.0`."""
        renamed = f"{self.old} {self.old_version} -> {self.new} {self.new_version}"
        return renamed.replace(f"-> {self.old} ", "-> ", 1)

    @property
    def for_producers(self) -> tuple[Change, ...]:
        """The changes that can break the producer of the table."""
        return tuple(change for change in self.changes if change.for_producers)

    @property
    def for_consumers(self) -> tuple[Change, ...]:
        """The changes that can break consumers of the table."""
        return tuple(change for change in self.changes if change.for_consumers)


def _line(change: Change, width: int) -> str:
    return printable(f"  {change.direction:{width}}  {change}{remark_text(change)}")


def remark_text(change: Change) -> str:
    """Return the remark in brackets after a change; empty if its direction says everything."""
    return _bracketed(("no reader is affected" if change.survived else "", change.note))


def _bracketed(words: Iterable[str]) -> str:
    found = "; ".join(filter(None, words))
    return f" ({found})" if found else ""
