"""A scorecard as one HTML file that needs nothing else. All text of others is made harmless."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from tidemill.cli.render.scorecard_css import STYLE
from tidemill.core.printable import html_text
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

_LEGEND = "Solid: by week; dashed: the target."


def scorecard_html(card: Scorecard, *, changes: bool = False) -> str:
    """The page, with a list of the `changes` if wanted; the same scorecard gives the same bytes."""
    title = f"{card.workflow} in {card.environment}"
    until = datetime.fromtimestamp(card.now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    cards = "\n".join(_card(number) for number in card.numbers)
    listed = f"\n{_changes(card)}" if changes else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html_text(title)}: scorecard</title>
<style>
{STYLE}</style>
</head>
<body>
<main>
<h1>{html_text(title)}</h1>
<p class="soft">Four numbers from {html_text(card.first_day)} to {until}; days are those of \
{html_text(card.zone)}.</p>
<div class="cards">
{cards}
</div>{listed}
</main>
</body>
</html>
"""


def _card(number: ScoreNumber) -> str:
    return "\n".join(
        [
            f'<section aria-labelledby="{number.name}">',
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
    return f'<section class="changes"><h2>{part.title}</h2>\n{body}\n</section>'


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
    found = number_plot(number)
    if found is None:
        return ""
    legend = "" if found.target is None else f'\n<p class="soft">{_LEGEND}</p>'
    return plot_chart(found).svg + legend
