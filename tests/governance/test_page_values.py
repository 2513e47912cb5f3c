"""Pages as values: of limited size, and without secrets."""

from __future__ import annotations

from tidemill.governance.page_values import (
    MOST_DIFF_LETTERS,
    MOST_DIFF_LINES,
    MOST_LETTERS,
    MOST_LINES,
    MOST_ROWS,
    PageSection,
    page_table,
    section,
)


def test_long_texts_and_lists_are_cut_and_counted() -> None:
    part = section("t", [*(f"line {n}" for n in range(MOST_LINES + 5)), ""])
    assert (len(part.lines), part.lines[-1]) == (MOST_LINES + 1, "and 5 more")
    diff = section("t", diff=["+" * 1000] * (MOST_DIFF_LINES + 3)).diff
    assert (len(diff[0]), len(diff), diff[-1]) == (
        MOST_DIFF_LETTERS, MOST_DIFF_LINES + 1, "@@ and 3 more lines @@",
    )  # fmt: skip
    table = page_table(("a",), [("x" * 1000,)] * (MOST_ROWS + 1), "rows")
    assert len(table.rows) == MOST_ROWS
    assert table.rows[0] == ("x" * (MOST_LETTERS - 3) + "...",)
    assert table.caption == "rows (the first 40 of 41)"


def test_a_section_without_content_is_empty() -> None:
    assert section("t", [""]).is_empty
    assert section("t", table=page_table(("a",), [])).is_empty
    assert not section("t", commands=["ls"]).is_empty
    assert not section("t", diff=["+a"]).is_empty
    assert not section("t", table=page_table(("a",), [("b",)])).is_empty


def test_secrets_are_masked_in_sentences_and_cells() -> None:
    def redact(text: str) -> str:
        return text.replace("hunter2", "***")

    table = page_table(("a hunter2",), [("hunter2",)], "of hunter2")
    part = section(
        "t", ["is hunter2"], table=table, commands=["ls hunter2"], diff=["+hunter2"]
    ).masked(redact)
    assert part.table is not None
    assert (part.diff, part.commands, part.table.headers) == (("+***",), ("ls ***",), ("a ***",))
    assert (part.lines, part.table.rows, part.table.caption) == (("is ***",), (("***",),), "of ***")
    assert PageSection(title="t").masked(redact) == PageSection(title="t")
