"""HTML for notebooks: it changes nothing around it, and is never too large."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tests.drawing.test_style_sheet import selectors
from tidemill.drawing.notebook import (
    MOST_BYTES,
    MOST_ROWS,
    SCOPE,
    left_out,
    notebook_html,
    notebook_table,
)

TAGS = {"div", "style", "table", "caption", "thead", "tbody", "tr", "th", "td", "p"}


class Reader(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names.update(name for name, _ in attrs)


def style_of(html: str) -> str:
    return html.partition("<style>")[2].partition("</style>")[0]


def test_the_style_cannot_leak() -> None:
    html = notebook_html('<p class="soft mark">x</p>')
    assert [each for each in selectors(style_of(html)) if f".{SCOPE}" not in each] == []
    assert "[data-jp-theme-light=false] .tm-notebook" in html
    assert "url(" not in html
    assert "@import" not in html


def test_the_style_has_what_is_used() -> None:
    assert ".tm-notebook .failed" in notebook_html('<p class="failed">x</p>')
    assert ".tm-notebook .failed" not in notebook_html("<p>x</p>")


@given(
    st.text(max_size=40) | st.sampled_from(["</style><script>", "' onload='x", '"><img src=//x>'])
)
def test_no_text_becomes_markup(text: str) -> None:
    reader = Reader()
    reader.feed(notebook_html(notebook_table((text, f">{text}"), [(text, text)], caption=text)))
    assert reader.tags <= TAGS
    assert reader.names <= {"class"}


def test_tables_are_cut_by_rows_and_bytes() -> None:
    rows = [(str(n), "x") for n in range(MOST_ROWS + 7)]
    table = notebook_table(("n", ">x"), rows)
    assert table.count("<tr>") == MOST_ROWS + 1
    assert table.endswith('<p class="soft">and 7 more, left out</p>')
    assert '<td class="n">x</td>' in table
    large = notebook_table(("a", "b"), [("\U0001f600" * 10_000, "'" * 10_000)] * 90)
    assert len(large.encode()) < MOST_BYTES + 1_000
    assert re.search(r"and \d+ more, left out", large)
    assert left_out(0) == ""


def test_a_table_without_rows() -> None:
    assert notebook_table(("a",), []) == "<table><thead></thead><tbody></tbody></table>"
