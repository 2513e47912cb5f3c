"""Tables fit into the width of a terminal, and no text is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.fitted_table import fitted_table
from tidemill.core.text_table import text_table

LONG = "many flights get another prediction than before"


def test_a_table_that_fits_stays_as_it_is() -> None:
    headers, rows = ("name", ">n"), [("a", "1"), (">b", "22")]
    assert fitted_table(headers, rows, 80, indent=" ") == text_table(headers, rows, indent=" ")


def test_long_cells_are_wrapped() -> None:
    text = fitted_table(("rule", "message", ">n"), [("shift", LONG, "1"), ("other", "x", "22")], 32)
    assert text.splitlines() == [
        "rule   message              n",
        "shift  many flights get     1",
        "       another prediction",
        "       than before",
        "other  x                   22",
    ]


def test_too_many_columns_become_lines() -> None:
    headers, row = [f"column {n}" for n in range(6)], ["some words"] * 5 + [""]
    lines = fitted_table(headers, [row, [LONG] * 6], 40, indent="  ").splitlines()
    assert lines[0] == "  column 0  some words"
    assert lines[5:7] == ["  column 5", ""]
    assert lines[7:9] == [
        "  column 0  many flights get another",
        "            prediction than before",
    ]


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(st.text("ab x\x1b", max_size=40), min_size=n, max_size=n), min_size=1)
    ),
    st.integers(40, 90),
)  # fmt: skip
def test_lines_are_never_wider_and_no_letter_is_lost(rows: list[list[str]], width: int) -> None:
    headers = [f"c{n}" for n in range(len(rows[0]))]
    text = fitted_table(headers, rows, width, indent="  ")
    assert all(len(line) <= width for line in text.splitlines())
    assert text.count("a") == sum(cell.count("a") for row in rows for cell in row)
