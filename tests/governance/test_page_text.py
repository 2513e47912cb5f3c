"""Pages as text and Markdown: what others wrote stays text."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.printable import printable_lines
from tidemill.governance.page_text import markdown_page, text_page
from tidemill.governance.page_values import ReviewPage, page_table, section

HOSTILE = "\x1b[31m<script>alert(1)</script> | *bold* `code`\u202e\nnext"
PAGE = ReviewPage(
    title="Should m 1 go live?",
    state="Review r1 is open",
    sections=(
        section("What changes", [HOSTILE], commands=["tidemill review approve r1"]),
        section("Code", diff=["+```", f"-\t{HOSTILE}"]),
        section("Metrics", table=page_table(("metric", ">live"), [(HOSTILE, "1")], "of | all")),
        section("Votes", table=page_table(("person",), [("ben",)])),
    ),
)


def test_text_has_all_parts_and_no_control_characters() -> None:
    text = text_page(PAGE)
    assert text.splitlines()[:2] == ["Should m 1 go live?", "Review r1 is open"]
    assert "    tidemill review approve r1" in text
    assert "  of | all:" in text
    assert "METRICS" in text
    assert not any(letter in text for letter in "\x1b\u202e")
    assert "\\x1b[31m<script>" in text
    assert "    -\t\\x1b[31m<script>" in text


def test_text_is_wrapped_to_the_width_of_a_terminal() -> None:
    long = replace(
        PAGE, title="word " * 40, sections=(*PAGE.sections, section("More", ["a " * 60]))
    )
    lines = text_page(long, 60).splitlines()
    whole = ("tidemill review", "-\t")
    assert all(len(line) <= 60 for line in lines if not any(part in line for part in whole))
    assert lines[1].startswith("  word word")
    assert "    tidemill review approve r1" in lines


def test_markdown_escapes_what_others_wrote() -> None:
    text = markdown_page(PAGE)
    assert text.startswith("# Should m 1 go live?\n\nReview r1 is open\n\n## What changes\n")
    assert "`tidemill review approve r1`" in text
    assert text.count("<script>") == text.count("\\<script>") + 1
    assert "````diff\n+```\n-\t\\x1b[31m<script>" in text
    assert "\\*bold\\*" in text
    assert "| metric | live |\n| --- | ---: |" in text
    assert not any(letter in text for letter in "\x1b\u202e")


def page_with(text: str) -> ReviewPage:
    part = section(
        text, [text], table=page_table((text, f">{text}"), [(text, text)], text), commands=[text],
        diff=[f"+{text}"],
    )  # fmt: skip
    return ReviewPage(title=text, state=text, sections=(part, part))


def outline(markdown: str) -> list[str]:
    """What each line of Markdown begins with, as far as it is syntax, without blocks of code."""
    text = re.sub(r"^(```+)diff\n.*?\n\1$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return [
        found[0] if (found := re.match(r"#+ |- |\||`", line)) else ""
        for line in text.splitlines()
        if line
    ]


@given(
    st.text(min_size=1, max_size=30).filter(str.strip)
    | st.sampled_from(["</details>", "```\n# h", "a|b", "- x", "1. x", "![i](http://x)", "\u202e"])
)
def test_no_text_becomes_syntax(text: str) -> None:
    shown = markdown_page(page_with(text))
    assert outline(shown) == outline(markdown_page(page_with("x")))
    plain = text_page(page_with(text), 80)
    assert all(printable_lines(line) == line for line in plain.split("\n"))
