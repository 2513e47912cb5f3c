"""No cell of a guarded CSV file begins like a formula, and all texts can be restored."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.formula_guard import GUARDED, guard_formulas, unguard_formulas

TEXTS = st.text(st.sampled_from("=+-@|%\t\r\n '\"a1"), max_size=6)
STARTS = ("=", "+", "-", "@", "\t", "\r", "|", "%")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", " =1", "|x", "%x", "'=1"])
def test_a_formula_becomes_text(text: str) -> None:
    guarded = guard_formulas(pl.DataFrame({text: [text, "x", None], "n": [-1, 2, 3]}))
    assert guarded.to_dict(as_series=False) == {
        f"'{text}": [f"'{text}", "x", None],
        "n": [-1, 2, 3],
        GUARDED: [True] * 3,
    }


@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS), max_size=4), TEXTS)
def test_no_cell_can_be_executed_and_all_are_restored(
    rows: list[tuple[str, str | None]], name: str
) -> None:
    frame = pl.DataFrame(
        {"a": [row[0] for row in rows], name + "b": [row[1] for row in rows]},
        schema={"a": pl.String, name + "b": pl.String},
    )
    guarded = guard_formulas(frame)
    text = guarded.write_csv()
    cells = [cell for row in csv.reader(StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.lstrip(" \n").startswith(STARTS)]
    assert unguard_formulas(guarded).equals(frame)


def test_categories_are_guarded_as_well() -> None:
    kinds = pl.DataFrame(
        {
            "a": pl.Series(["=1"], dtype=pl.Categorical),
            "b": pl.Series(["=1"], dtype=pl.Enum(["=1"])),
        }
    )
    assert guard_formulas(kinds).row(0) == ("'=1", "'=1", True)


def test_a_file_without_the_mark_is_read_as_it_is() -> None:
    rows = pl.read_csv(BytesIO(b"a\n'=1\n"))
    assert unguard_formulas(rows).equals(rows)
