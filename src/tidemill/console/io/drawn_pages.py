"""Draw pages from the documents of views, with templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tidemill.console.column_figures import picture_of_shares
from tidemill.console.command_pages import page_of_command, words_of_page
from tidemill.console.cost_charts import cost_charts
from tidemill.console.drawn_graphs import column_svg, workflow_svg
from tidemill.console.entity_tag import document_text, etag_of
from tidemill.console.io.assets import static_url
from tidemill.console.number_charts import number_chart
from tidemill.console.page_series import SeriesChart, series_json
from tidemill.console.partition_calendar import picture_of_days
from tidemill.console.run_timeline import run_timeline
from tidemill.console.score_drawings import (
    gain_chart,
    moved_chart,
    score_charts,
    version_charts,
)
from tidemill.console.sentence_times import keep_dates, mark_times
from tidemill.core.counts import money_text, plural
from tidemill.core.figures import age, approximate_seconds, count, seconds, size
from tidemill.core.partition import shown_key
from tidemill.core.printable import printable_lines
from tidemill.drawing.chart import Chart
from tidemill.drawing.status import DrawnStatus
from tidemill.governance.page_html import html_prose, html_section
from tidemill.governance.page_values import ANSWERS, PageSection, PageTable
from tidemill.ledger.run_notebook import DRAWN_OUTCOMES, DRAWN_STATUSES
from tidemill.planning.freshness import format_age
from tidemill.workflow.environment import PRODUCTION

FOLDER = Path(__file__).parents[1]
_TEMPLATES = FOLDER / "templates"
# A date that a calendar can't have.
_NO_TIME = "?"
_DAY_S = 86_400


# The CSS class of each word for a status of a run, of a step or of a stage; what is up to date is well.
_STATUS_KINDS: Mapping[str, str] = {
    str(word): "ok" if drawn is DrawnStatus.CURRENT else drawn.css
    for word, drawn in (
        *DRAWN_STATUSES.items(),
        *DRAWN_OUTCOMES.items(),
        *((each, each) for each in DrawnStatus),
    )
}


def open_templates() -> Environment:
    """The templates of all pages; what data say is escaped, and can't hide or turn around text."""
    found = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "count": count,
        "size": size,
        "age": age,
        "seconds": seconds,
        "about_seconds": approximate_seconds,
        "span": format_age,
        "money": money_text,
        "plural": plural,
        "key": shown_key,
        # What a form sends back must be what it got.
        "raw_text": escape,
        "prose": _prose,
        "dates": keep_dates,
        "page_section": lambda part: Markup(
            html_section(_page_section(part), line=_prose, cards=True)
        ),
        "chart": chart_figure,
        "when": time_element,
        "data_end": data_end,
        "day": lambda at: datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d"),
    }
    found.globals |= _DRAWINGS
    found.globals |= {
        "static": static_url,
        "page_of_command": page_of_command,
        "words_of_page": words_of_page,
        "tag_of": lambda document: etag_of(document_text(document).encode()),
        "ANSWERS": ANSWERS,
        "STATUS_KINDS": _STATUS_KINDS,
        "score_charts": score_charts,
        "gain_chart": gain_chart,
        "moved_chart": moved_chart,
        "version_charts": version_charts,
        "cost_charts": cost_charts,
        "workflow_svg": workflow_svg,
        "run_timeline": run_timeline,
        "column_svg": column_svg,
        "number_chart": number_chart,
    }
    return found


def _as_markup(draw: Callable[..., str]) -> Callable[..., Markup]:
    """A function that draws, whose markup isn't escaped: it escapes texts itself."""
    return lambda *values, **options: Markup(draw(*values, **options))


_DRAWINGS = {
    "picture_of_shares": _as_markup(picture_of_shares),
    "picture_of_days": _as_markup(picture_of_days),
}


def chart_figure(drawn: Chart | SeriesChart | None, prefix: str) -> Markup:
    """A chart as a part of a page, where the ids that begin with `prefix` are its own; nothing for none.

    A script lets people look closer at one that has a series.
    """
    if drawn is None:
        return Markup("")
    if isinstance(drawn, Chart):
        return Markup(f'<figure class="drawing">{drawn.page_element(prefix)}</figure>')
    data = escape(series_json(drawn.series))
    return Markup(
        f'<figure class="drawing"><div class="series" id="{escape(prefix)}-series" data-series="{data}">'
        f"{drawn.chart.page_element(prefix)}</div></figure>"
    )


def _prose(text: str) -> Markup:
    """A line of text with code and times, which a script shows in the zone of who looks."""
    return mark_times(html_prose(text), time_element)


def data_end(at: float | None) -> Markup:
    """Until when there are data; of those that end with a day of UTC it is that day."""
    if at is None or at % _DAY_S:
        return time_element(at)
    day = datetime.fromtimestamp(at - _DAY_S, UTC).strftime("%Y-%m-%d")
    return Markup(f'<span title="until the end of {day}, UTC">{day}</span>')


def _page_section(document: Mapping[str, Any]) -> PageSection:
    """A section of a page of a review, from its document."""
    table = document["table"]
    return PageSection(
        title=document["title"],
        lines=tuple(document["lines"]),
        table=None if table is None else PageTable(**table),
        commands=tuple(document["commands"]),
        diff=tuple(document["diff"]),
    )


def _shown(value: object) -> object:
    return (
        printable_lines(value)
        if isinstance(value, str) and not isinstance(value, Markup)
        else value
    )


def time_element(at: float | None) -> Markup:
    """A time that a script shows in the zone of who looks; without one it is in UTC."""
    if at is None:
        return Markup("-")
    try:
        found = datetime.fromtimestamp(at, UTC)
    except (OSError, OverflowError, ValueError):
        return Markup(_NO_TIME)
    shown = found.strftime("%Y-%m-%d %H:%M:%S")
    return Markup(
        f'<time datetime="{found.isoformat()}" title="{shown} UTC">{shown[:16]} UTC</time>'
    )


def page_url(environment: str) -> Callable[..., str]:
    """A function that makes links to pages in an environment: parts of a path, and a query in keywords."""

    def url(*parts: str, **query: object) -> str:
        path = "/".join(quote(part, safe="") for part in parts)
        wanted = {
            name: str(value) for name, value in query.items() if value not in ("", None, False)
        }
        if environment != PRODUCTION:
            wanted.setdefault("env", environment)
        return f"/{path}?{urlencode(wanted)}" if wanted else f"/{path}"

    return url
