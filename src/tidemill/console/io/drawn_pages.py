"""Draw pages from the documents of views, with templates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tidemill.console.column_figures import picture_of_shares
from tidemill.console.command_pages import page_of_command
from tidemill.console.drawn_graphs import column_svg, workflow_svg
from tidemill.console.partition_calendar import picture_of_days
from tidemill.core.counts import money_text, plural
from tidemill.core.figures import age, approximate_seconds, count, seconds, size
from tidemill.core.partition import shown_key
from tidemill.core.printable import printable_lines
from tidemill.governance.page_html import html_prose
from tidemill.planning.freshness import format_age
from tidemill.workflow.environment import PRODUCTION

FOLDER = Path(__file__).parents[1]
_TEMPLATES, STATIC = FOLDER / "templates", FOLDER / "static"
# A date that a calendar can't have.
_NO_TIME = "?"


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
        "prose": lambda text: Markup(html_prose(text)),
        "when": time_element,
        "day": lambda at: datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d"),
    }
    found.globals |= {"static": static_url, "page_of_command": page_of_command} | _DRAWINGS
    found.globals |= {"workflow_svg": workflow_svg, "column_svg": column_svg}
    return found


def _drawn(draw: Callable[..., str]) -> Callable[..., Markup]:
    """A function that draws, whose markup isn't escaped: it escapes texts itself."""
    return lambda *values, **options: Markup(draw(*values, **options))


_DRAWINGS = {
    "picture_of_shares": _drawn(picture_of_shares),
    "picture_of_days": _drawn(picture_of_days),
}


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
            wanted["env"] = environment
        return f"/{path}?{urlencode(wanted)}" if wanted else f"/{path}"

    return url


_versions: dict[str, tuple[int, str]] = {}


def static_url(name: str) -> str:
    """The address of a file, which has its content in it: a browser may keep it for ever."""
    path = STATIC / name
    written = path.stat().st_mtime_ns if path.is_file() else 0
    known = _versions.get(name)
    if known is None or known[0] != written:
        digest = sha256(path.read_bytes()).hexdigest()[:12] if written else "none"
        known = _versions[name] = written, digest
    return f"/static/{known[1]}/{name}"


def etag_of(body: bytes) -> str:
    """The entity tag of what was sent."""
    return f'"{sha256(body).hexdigest()[:32]}"'
