"""Pages as HTML: one file, no script, and whatever others wrote is text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.page_html import html_page, html_section
from tidemill.governance.page_values import ReviewPage, page_table, section

TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "p", "ul", "li",
    "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "pre", "span", "code", "footer",
}  # fmt: skip


class Reader(HTMLParser):
    """Collects the tags, attributes and text of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> Reader:
    html = html_page(
        ReviewPage(
            title=text,
            state=text,
            sections=(
                section(
                    text, [text], table=page_table((text, f">{text}"), [(text, text)], text),
                    commands=[text], diff=[text, f"+{text}"],
                ),
                section("bare", table=page_table(("a",), [("b",)])),
                section("words", ["line"]),
            ),
        )
    )  # fmt: skip
    reader = Reader()
    reader.feed(html)
    return reader


@given(
    st.text(max_size=40) | st.sampled_from(["</style><script>", "' onload='x", '"><img src=//x>'])
)
def test_no_text_becomes_markup(text: str) -> None:
    reader = read(text)
    assert reader.tags <= TAGS
    assert reader.names <= {"lang", "charset", "name", "content", "http-equiv", "class", "scope"}


def test_lines_of_a_diff_are_coloured() -> None:
    part = section("Code", diff=["--- a", "+++ b", "@@ -1 +1 @@", " same", "-<old>", "+new"])
    html = html_page(ReviewPage(title="t", state="s", sections=(part,)))
    assert (
        '<pre class="diff"><code><span class="at">--- a</span><span class="at">+++ b</span>'
        '<span class="at">@@ -1 +1 @@</span><span class="same"> same</span>'
        '<span class="less">-&lt;old&gt;</span><span class="more">+new</span></code></pre>'
    ) in html


def test_answers_come_first_and_side_by_side() -> None:
    parts = [section(title, ["x"]) for title in ("What changes", "What gets worse", "Metrics")]
    html = html_page(ReviewPage(title="t", state="s", sections=tuple(parts)))
    assert html.index('<div class="answers cards">') < html.index('<section class="card worse">')
    assert html.index('<section class="card worse">') < html.index('<div class="evidence">')


def test_the_page_is_one_file_for_light_and_dark_mode() -> None:
    html = html_page(ReviewPage(title="t", state="s", sections=()))
    assert "default-src &#x27;none&#x27;" in html
    assert "prefers-color-scheme:dark" in html
    assert not any(word in html for word in ("http://", "https://", "<script", "<form", "<a "))
    assert "value" in "".join(read("value").text)


def test_commands_in_a_line_are_code() -> None:
    html = html_page(
        ReviewPage(title="t", state="`a`", sections=(section("b", ["by `run <x>`, ` of"]),))
    )
    assert '<p class="state"><code>a</code></p>' in html
    assert "<li>by <code>run &lt;x&gt;</code>, ` of</li>" in html


def test_cells_know_their_columns_where_rows_are_cards() -> None:
    table = page_table(["slice", ">gain"], [["a<b", "+1"]])
    part = section("Slices", ["the worst first"], table=table, diff=["+more"])
    cards = html_section(part, line=str.upper, cards=True)
    assert "<li>THE WORST FIRST</li>" in cards
    assert '<td data-label="slice">a&lt;b</td><td class="n" data-label="gain">+1</td>' in cards
    assert '<pre class="diff" tabindex="0">' in cards
    plain = html_section(part)
    assert ("data-label" in plain, "tabindex" in plain) == (False, False)
