"""The files of pages: styles, scripts and icons, each at an address that has its content in it."""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from tidemill.drawing.status import status_symbols
from tidemill.drawing.style_sheet import page_css
from tidemill.drawing.theme import theme_css

STATIC = Path(__file__).parents[1] / "static"
# One style sheet for a page: colours, drawings, and the rest, which is a file.
STYLE, ICONS, _RULES = "style.css", "icons.svg", "console.css"
# Files are looked at so often.
_LOOK_S = 1.0
# When they were looked at, when they were written last, and the digest that they had.
_digests: dict[str, tuple[float, int, str]] = {}
# A build fetches them; a checkout that nobody built hasn't got them.
_LIBRARIES = ("vendor/htmx.min.js", "vendor/uplot.min.css", "vendor/uplot.min.js")


def read_asset(name: str) -> tuple[bytes, str] | None:
    """The content of a file and what kind it is; None if there is none of that name."""
    made = _MADE.get(name)
    if made is not None:
        content = made().encode()
    else:
        try:
            path = (STATIC / name).resolve()
            is_there = STATIC in path.parents and path.is_file()
        except (OSError, ValueError):
            # No file has a NUL in its name, or one that is so long.
            return None
        if not is_there:
            return None
        content = path.read_bytes()
    return content, mimetypes.guess_type(name)[0] or "application/octet-stream"


def describe_missing() -> str:
    """What pages can't do without the libraries that aren't here, and how to get these; "" if all are."""
    missing = [Path(name).name for name in _LIBRARIES if not (STATIC / name).is_file()]
    if not missing:
        return ""
    return (
        f"without {', '.join(missing)} pages show changes only when they are loaded again, and charts only "
        "as drawings; install Tidemill with pip, or run `python tools/console_assets.py` in its sources"
    )


def static_url(name: str) -> str:
    """The address of a file: a browser may keep it for ever, and asks again once it has changed."""
    known, now = _digests.get(name), time.monotonic()
    if known is None or now - known[0] > _LOOK_S:
        files = _files_of(name)
        written = max((file.stat().st_mtime_ns for file in files), default=0)
        if known is not None and known[1] == written:
            digest = known[2]
        else:
            digest = _digest([name, *(file.relative_to(STATIC).as_posix() for file in files)])
        known = _digests[name] = now, written, digest
    return f"/static/{known[2]}/{name}"


def _files_of(name: str) -> list[Path]:
    """The files that an address depends on: a module loads others by their place beside it."""
    if name == STYLE:
        return [STATIC / _RULES]
    if name.endswith(".js") and "/" not in name:
        return sorted(path for path in STATIC.rglob("*") if path.suffix in (".js", ".css"))
    return [path] if (path := STATIC / name).is_file() else []


def _digest(names: list[str]) -> str:
    """The digest of some files, as they are sent."""
    found = sha256()
    for name in names:
        asset = read_asset(name)
        found.update(asset[0] if asset is not None else b"")
    return found.hexdigest()[:12]


@cache
def _drawn_style() -> str:
    return theme_css() + page_css()


def _style() -> str:
    return f"{_drawn_style()}\n{(STATIC / _RULES).read_text(encoding='utf-8')}"


# What is no file: it follows from what drawings are drawn with.
_MADE: Mapping[str, Callable[[], str]] = {STYLE: _style, ICONS: status_symbols}
