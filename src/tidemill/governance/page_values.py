"""A page about a change as values: what is stored, and what text, Markdown and HTML are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib import import_module

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import shorten
from tidemill.core.redaction import Redact

# Longer cells and lists would hide what a reader has to see, and make pages large.
MOST_LETTERS, MOST_LINES, MOST_ROWS = 300, 40, 40
MOST_DIFF_LINES, MOST_DIFF_LETTERS = 240, 200
# The sections that answer what everybody asks; what the answers rest on follows them.
ANSWERS = (
    "What changes",
    "Why now",
    "What gets worse",
    "Who may decide",
    "Votes so far",
    "How to go back",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    """A table of a page; a column whose header begins with `>` is right-aligned."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSection:
    """A part of a page under a title: sentences, a table, lines of a unified diff, and commands to copy."""

    title: str
    lines: tuple[str, ...] = ()
    table: PageTable | None = None
    commands: tuple[str, ...] = ()
    diff: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say under the title."""
        return not (self.lines or self.commands or self.diff or (self.table and self.table.rows))

    def masked(self, redact: Redact) -> PageSection:
        """The section without secrets in its sentences, table, commands and diff."""
        table = self.table
        if table is not None:
            table = PageTable(
                headers=tuple(map(redact, table.headers)),
                rows=tuple(tuple(map(redact, row)) for row in table.rows),
                caption=redact(table.caption),
            )
        return replace(
            self,
            lines=tuple(map(redact, self.lines)),
            table=table,
            commands=tuple(map(redact, self.commands)),
            diff=tuple(map(redact, self.diff)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPage:
    """All that a person needs to decide: a question, the state of the review, and sections."""

    title: str
    state: str
    sections: tuple[PageSection, ...]

    def _repr_html_(self) -> str:
        """Render the page, for notebooks."""
        html: str = import_module("tidemill.governance.review_notebook").page_notebook(self)
        return html


def section(
    title: str,
    lines: Iterable[str] = (),
    *,
    table: PageTable | None = None,
    commands: Iterable[str] = (),
    diff: Iterable[str] = (),
) -> PageSection:
    """A section whose texts are of limited length and number; what is left out is counted."""
    kept = [shorten(line, 4 * MOST_LETTERS) for line in lines if line]
    if len(kept) > MOST_LINES:
        kept = [*kept[:MOST_LINES], f"and {len(kept) - MOST_LINES:,} more"]
    changed = [shorten(part, MOST_DIFF_LETTERS) for line in diff for part in line.splitlines()]
    if len(changed) > MOST_DIFF_LINES:
        left = len(changed) - MOST_DIFF_LINES
        changed = [*changed[:MOST_DIFF_LINES], f"@@ and {left:,} more lines @@"]
    return PageSection(
        title=title,
        lines=tuple(kept),
        table=table,
        commands=tuple(commands),
        diff=tuple(changed),
    )


def page_table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], caption: str = ""
) -> PageTable:
    """A table with cells of limited length, of the first rows; the caption counts those left out."""
    found = [tuple(shorten(cell, MOST_LETTERS) for cell in row) for row in rows]
    if len(found) > MOST_ROWS:
        caption = f"{caption} (the first {MOST_ROWS} of {len(found):,})".strip()
    return PageTable(headers=tuple(headers), rows=tuple(found[:MOST_ROWS]), caption=caption)
