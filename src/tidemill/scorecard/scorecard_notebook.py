"""Scorecards as notebooks show them: a row for each number, and lines of the last weeks."""

from __future__ import annotations

from tidemill.core.text_table import drop_empty_columns
from tidemill.drawing.notebook import notebook_html, notebook_table
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.scorecard_html import number_chart
from tidemill.scorecard.wording import HEADERS, RARE_HEADERS, number_cells, number_lines


def scorecard_notebook(card: Scorecard) -> str:
    """The numbers, and what is said of each."""
    rows = [number_cells(number, bars=False) for number in card.numbers]
    headers, kept = drop_empty_columns(HEADERS, rows, *RARE_HEADERS)
    charts = [chart for number in card.numbers if (chart := number_chart(number)) is not None]
    drawn = "".join(chart.svg for chart in charts)
    said = [
        (number.title, "; ".join(number_lines(number)), number.action) for number in card.numbers
    ]
    return notebook_html(
        notebook_table(headers, kept, caption=f"{card.workflow} in {card.environment}"),
        f'<div class="charts">{drawn}</div>' if drawn else "",
        notebook_table(("number", "about it", "next"), said),
    )
