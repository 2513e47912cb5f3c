"""A scorecard as one HTML file that needs nothing else. All text of others is made harmless."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.printable import html_text
from tidemill.drawing.chart import Chart
from tidemill.drawing.html_file import html_file, moment_text
from tidemill.governance.page_html import html_prose, html_table
from tidemill.scorecard.number import ScoreNumber
from tidemill.scorecard.number_plot import number_plot, plot_chart
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.scorecard_page import changes_page
from tidemill.scorecard.wording import (
    beside_text,
    main_text,
    number_lines,
    target_text,
    trend_text,
)

CARDS_CSS = """\
.number h2{font-size:1.05rem;margin:0}.number{background:var(--panel)}
.value{font-size:1.9rem;font-weight:650;font-variant-numeric:tabular-nums;line-height:1.2}
.value span{font-size:.85rem;font-weight:500;white-space:nowrap}
.met{color:var(--green)}.missed{color:var(--red)}
.number svg{display:block;margin:.75rem 0}
.number ul,.next{font-size:.92rem}
.next{border-top:1px solid var(--frame);padding-top:.5rem}
"""
_LEGEND = "Solid: by week; dashed: the target."


def scorecard_html(card: Scorecard, *, changes: bool = False) -> str:
    """The page, with a list of the `changes` if wanted; the same scorecard gives the same bytes."""
    title = f"{card.workflow} in {card.environment}"
    listed = f"\n{_changes(card)}" if changes else ""
    return html_file(
        title=f"{title}: scorecard",
        body=f"<main>\n<h1>{html_text(title)}</h1>\n{number_cards(card)}{listed}\n</main>",
        about=f"Scorecard of {title}, by Tidemill",
        css=CARDS_CSS,
        made=card.now,
    )


def number_cards(card: Scorecard) -> str:
    """What the numbers are about, and a card for each, for a page with `CARDS_CSS`."""
    cards = "\n".join(map(_card, card.numbers))
    return f"""\
<p class="soft">Four numbers from {html_text(card.first_day)} to {moment_text(card.now)}; days are those of \
{html_text(card.zone)}.</p>
<div class="cards">
{cards}
</div>"""


def _card(number: ScoreNumber) -> str:
    return "\n".join(
        [
            f'<section class="card number" aria-labelledby="{number.name}">',
            f'<h2 id="{number.name}">{html_text(number.title)}</h2>',
            f'<p class="value">{html_text(main_text(number))}{_verdict(number)}</p>',
            f'<p class="soft">{html_text(_beside(number))}</p>',
            _plot(number),
            "<ul>",
            *(f"<li>{html_prose(line)}</li>" for line in number_lines(number)),
            "</ul>",
            *_next(number),
            "</section>",
        ]
    )


def _changes(card: Scorecard) -> str:
    (part,) = changes_page(card).sections
    body = html_table(part.table) if part.table is not None else f"<p>{' '.join(part.lines)}</p>"
    return f"<section><h2>{part.title}</h2>\n{body}\n</section>"


def _verdict(number: ScoreNumber) -> str:
    if number.is_met is None:
        return ""
    return f' <span class="{"met" if number.is_met else "missed"}">{html_text(target_text(number))}</span>'


def _beside(number: ScoreNumber) -> str:
    parts = [number.cases]
    if beside := beside_text(number):
        parts.insert(0, beside)
    if trend := trend_text(number):
        parts.append(f"before: {trend}")
    return "; ".join(parts)


def _next(number: ScoreNumber) -> Iterator[str]:
    if number.action or number.command:
        code = f"<code>{html_text(number.command)}</code>" if number.command else ""
        words = html_prose(number.action)
        yield f'<p class="next"><strong>Next:</strong> {": ".join(x for x in (words, code) if x)}</p>'


def _plot(number: ScoreNumber) -> str:
    """The last weeks as a line, with the target."""
    chart = number_chart(number)
    if chart is None:
        return ""
    legend = f'\n<p class="soft">{_LEGEND}</p>' if number.target is not None else ""
    return chart.page_element(number.name) + legend


def number_chart(number: ScoreNumber) -> Chart | None:
    """A chart of the last weeks, with the target; None without values."""
    plot = number_plot(number)
    return None if plot is None else plot_chart(plot)
