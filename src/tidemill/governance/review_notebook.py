"""Reviews and pages about changes as notebooks show them."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.printable import html_text, shorten
from tidemill.drawing.html_file import moment_text
from tidemill.drawing.notebook import MOST_LETTERS, notebook_html, notebook_table
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_label import status_label
from tidemill.governance.page_html import html_prose
from tidemill.governance.page_values import PageSection, ReviewPage
from tidemill.governance.review_page import question
from tidemill.governance.review_state import ReviewState
from tidemill.ledger.review import ReviewOutcome

_MOST_LINES, _MOST_DIFF = 20, 60


def page_notebook(page: ReviewPage) -> str:
    """The page, with its longest lists cut."""
    sections = "".join("".join(_section(part)) for part in page.sections)
    return notebook_html(_strong(page.title), f"<p>{_text(page.state)}</p>", sections)


def review_html(state: ReviewState) -> str:
    """What is asked, how it stands, and what people said."""
    review = state.review
    if state.outcome is None:
        status = status_label(DrawnStatus.WAITING, "open")
    else:
        approved = state.outcome is ReviewOutcome.APPROVED
        drawn = DrawnStatus.CURRENT if approved else DrawnStatus.FAILED
        status = status_label(drawn, state.outcome)
    votes = [(each.actor, str(each.choice), each.reason) for each in state.votes]
    asked = f"asked by {review.author} on {moment_text(review.opened)} in {state.environment}"
    return notebook_html(
        _strong(question(review)),
        f'<p>{status} <span class="soft">{_text(f"{review.id}, {asked}")}</span></p>',
        _lines(review.reasons),
        f"<p>{_text(state.reason)}</p>" if state.reason else "",
        notebook_table(("person", "vote", "reason"), votes) if votes else "",
        f"<p><code>tidemill review show {_text(review.id)}</code></p>",
    )


def _section(part: PageSection) -> Iterator[str]:
    yield f"<h4>{_text(part.title)}</h4>{_lines(part.lines)}"
    if part.table is not None and part.table.rows:
        table = part.table
        yield notebook_table(table.headers, table.rows, caption=table.caption)
    if part.diff:
        more = len(part.diff) - _MOST_DIFF
        shown = [*part.diff[:_MOST_DIFF], *([f"and {more:,} more lines"] if more > 0 else [])]
        yield f"<pre>{chr(10).join(map(_text, shown))}</pre>"
    yield from (f"<pre>{_text(command)}</pre>" for command in part.commands)


def _strong(text: str) -> str:
    return f'<p><span class="strong">{_text(text)}</span></p>'


def _lines(lines: tuple[str, ...]) -> str:
    more = len(lines) - _MOST_LINES
    shown = [*lines[:_MOST_LINES], *([f"and {more:,} more"] if more > 0 else [])]
    return (
        f"<ul>{''.join(f'<li>{html_prose(shorten(line, MOST_LETTERS))}</li>' for line in shown)}</ul>"
        if shown
        else ""
    )


def _text(text: str) -> str:
    return html_text(shorten(text, MOST_LETTERS))
