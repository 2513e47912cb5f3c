"""A scorecard as a page: what its text and its Markdown are made of."""

from __future__ import annotations

from tidemill.core.text_table import drop_empty_columns
from tidemill.governance.page_values import PageSection, PageTable, ReviewPage
from tidemill.scorecard.delivery_number import CHANGE_HEADERS, change_rows
from tidemill.scorecard.number import ScoreNumber
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.wording import HEADERS, RARE_HEADERS, number_cells, number_lines


def scorecard_page(card: Scorecard, *, bars: bool = True) -> ReviewPage:
    """The table of the numbers, and a section for each; without `bars` the last weeks are left out."""
    return ReviewPage(
        title=f"{card.workflow} in {card.environment}: four numbers",
        state=f"Since {card.first_day}; days are those of {card.zone}.",
        sections=number_sections(card, bars=bars),
    )


def changes_page(card: Scorecard) -> ReviewPage:
    """The changes of the window with what each took, and those that wait, with their age."""
    rows = tuple(change_rows(card.changes, card.zone))
    table = PageTable(headers=CHANGE_HEADERS, rows=rows)
    none = () if rows else ("There are none.",)
    return ReviewPage(
        title=f"{card.workflow} in {card.environment}: changes",
        state=f"Since {card.first_day}; days are those of {card.zone}.",
        sections=(PageSection(title="Changes", lines=none, table=table if rows else None),),
    )


def number_sections(card: Scorecard, *, bars: bool = True) -> tuple[PageSection, ...]:
    """The sections about the numbers: all in one table, then each by itself."""
    rows = [number_cells(number, bars=bars) for number in card.numbers]
    headers, kept = drop_empty_columns(HEADERS, rows, *RARE_HEADERS)
    table = PageTable(headers=tuple(headers), rows=tuple(map(tuple, kept)))
    return (PageSection(title="Numbers", table=table), *map(_section, card.numbers))


def _section(number: ScoreNumber) -> PageSection:
    action = (f"next: {number.action}",) if number.action else ()
    return PageSection(
        title=number.title,
        lines=(*number_lines(number), *action),
        commands=(number.command,) if number.command else (),
    )
