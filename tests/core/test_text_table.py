"""Tables as plain text and as Markdown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.text_table import drop_empty_columns, markdown_table, text_table

CELLS = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), max_size=5)


def test_columns_are_aligned_as_their_headers_say() -> None:
    assert text_table(["stage", ">rows"], [["daily", "7"], ["a", "1000"]], indent="  ") == (
        "  stage  rows\n  daily     7\n  a      1000"
    )


def test_no_line_ends_with_blanks() -> None:
    assert text_table(["stage", "why"], [["daily", ""]]) == "stage  why\ndaily"


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5))
def test_a_column_begins_at_the_same_place_in_every_line(rows: list[tuple[str, str]]) -> None:
    lines = text_table(["left", "right"], [(one, f"|{other}") for one, other in rows]).split("\n")
    width = max([4, *(len(one) for one, _ in rows)])
    assert lines[0][width + 2 :] == "right"
    assert [line[width + 2 :] for line in lines[1:]] == [f"|{other}" for _, other in rows]


def test_only_rare_columns_without_values_are_dropped() -> None:
    rows = [["a", "-", "-", "-"], ["b", "-", "x", "-"]]
    headers, kept = drop_empty_columns(["name", "note", "why", "cost"], rows, "note", "why")
    assert headers == ["name", "why", "cost"]
    assert kept == [["a", "-", "-"], ["b", "x", "-"]]
    assert drop_empty_columns(["name", "note"], [], "note") == (["name"], [])


def test_markdown_escapes_bars_and_aligns_numbers() -> None:
    assert markdown_table(["stage", ">rows"], [["a|b", "7"]]) == (
        "| stage | rows |\n| --- | ---: |\n| a\\|b | 7 |"
    )
