"""A scorecard as one HTML file that needs nothing else. All text of others is made harmless."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from math import nan

from tidemill.core.counts import plural
from tidemill.core.printable import html_text
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.chart import Chart
from tidemill.drawing.html_file import html_file, moment_text
from tidemill.drawing.layer import PanelLayer
from tidemill.drawing.line import Line, ReferenceLine
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.svg import Hue
from tidemill.governance.page_html import html_prose, html_table
from tidemill.scorecard.number import NumberUnit, ScoreNumber
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.scorecard_page import changes_page
from tidemill.scorecard.wording import (
    beside_text,
    main_text,
    number_lines,
    target_text,
    trend_text,
    value_text,
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
_WIDTH, _HEIGHT = 320.0, 110.0
_LEGEND = "Solid: by week; dashed: the target."
# Labels of smaller amounts have too many zeros.
_SMALL_MONEY = 1e-3
_LENGTHS = ((2 * 86_400.0, 86_400.0, "days"), (2 * 3_600.0, 3_600.0, "hours"),
            (120.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))  # fmt: skip


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
    known = [point.value for point in number.points if point.value is not None]
    if not known:
        return None
    factor, unit = _scale_of(number, [*known, number.target or 0.0])
    days = [_unix(point.first) for point in number.points]
    values = [nan if point.value is None else point.value / factor for point in number.points]
    hints = [
        f"{point.first}: {value_text(number, point.value)} ({plural(point.n, number.counted)})"
        for point in number.points
    ]
    layers: list[PanelLayer] = [Line(x=days, y=values, hints=hints)]
    if number.target is not None:
        goal = number.target / factor
        layers.insert(0, ReferenceLine(start=(days[0], goal), end=(days[-1], goal), hue=Hue.AMBER))
    measure = Measure.SHARE if number.unit is NumberUnit.SHARE else Measure.NUMBER
    drawing = draw_panel(
        layers,
        x=Axis(measure=Measure.DAY, padding=0.02),
        y=Axis(label=unit, measure=measure, zero=number.unit is not NumberUnit.SHARE),
        width=_WIDTH,
        height=_HEIGHT,
    )
    spoken = "; ".join(hint for hint, value in zip(hints, values, strict=True) if value == value)
    return Chart(
        title=f"{number.title}, by week", drawing=drawing, description=f"{number.title}: {spoken}"
    )


def _scale_of(number: ScoreNumber, values: list[float]) -> tuple[float, str]:
    if number.unit is NumberUnit.SECONDS:
        top = max(values)
        return next((factor, unit) for least, factor, unit in _LENGTHS if top >= least)
    if number.unit is NumberUnit.MONEY and max(values) < _SMALL_MONEY:
        return 1e-6, f"millionths of 1 {number.currency}".rstrip()
    return 1.0, number.currency


def _unix(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
