"""Pages as text and Markdown: what others wrote stays text."""

from __future__ import annotations

from dataclasses import replace

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
