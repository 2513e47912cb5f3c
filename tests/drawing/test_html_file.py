"""Pages as files: they need nothing else, and look the same as other pages and drawings."""

from __future__ import annotations

import re

import pytest

from tests.support.svg import chart_of
from tidemill.drawing.html_file import html_file, moment_text
from tidemill.drawing.svg import Drawing
from tidemill.drawing.theme import colours

GRID = Drawing(width=9, height=9, markup='<path class="grid"/>')


def test_a_file_needs_nothing_else() -> None:
    page = html_file(title="<t>", body="<main>b</main>", about="about <x>", made=0.0)
    assert "<title>&lt;t&gt;</title>" in page
    assert "<footer>about &lt;x&gt;; made 1970-01-01 00:00 UTC</footer>" in page
    assert "default-src &#x27;none&#x27;" in page
    assert "<script" not in page
    assert "://" not in page
    assert "url(" not in page
    assert "<footer>about</footer>" in html_file(title="t", body="", about="about")


def test_its_colours_are_those_of_drawings() -> None:
    css = ".own{color:var(--failed)}"
    page = html_file(title="t", body="", about="a", css=css)
    used = {*re.findall(r"var\(--([a-z0-9-]+)\)", page)}
    assert "failed" in used
    for dark in (False, True):
        known = colours(dark=dark)
        assert all(f"--{name}:{known[name]}" in page for name in used)
    # What nothing uses isn't in it.
    assert "--heat-5" not in page


def test_paper_is_light() -> None:
    page = html_file(title="t", body="", about="a")
    assert page.count("prefers-color-scheme") == 1
    assert "@media screen and (prefers-color-scheme:dark)" in page


def test_the_rules_of_drawings_are_there_if_there_are_drawings() -> None:
    assert ".tm-drawing" not in html_file(title="t", body="<main></main>", about="a")
    page = html_file(title="t", body=chart_of(GRID).page_element("p"), about="a")
    assert ".tm-drawing .grid" in page
    assert ".tm-drawing .edge" not in page


@pytest.mark.parametrize(
    ("at", "text"), [(60.0, "1970-01-01 00:01 UTC"), (1e18, "1000000000000000000 s")]
)
def test_moments(at: float, text: str) -> None:
    assert moment_text(at) == text
