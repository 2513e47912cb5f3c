"""No cell of a guarded CSV file begins like a formula, and all texts can be restored."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.formula_guard import GUARDED, guard_formulas, unguard_formulas

WIDE = "\uff1d\uff0b\uff0d\uff20\uff5c\uff05"
INVISIBLE = "\ufeff\u200b\u00ad\u202e\x00\x1b\u3000"
TEXTS = st.text(st.sampled_from(f"=+-@|%\t\r\n '\"a1{WIDE}{INVISIBLE}"), max_size=6)
STARTS = ("=", "+", "-", "@", "\t", "\r", "|", "%", *WIDE)


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@x", "\tx", "\rx", " =1", "|x", "%x", "'=1"),
        *(f"{mark}1" for mark in WIDE),
        *(f"{mark}=1" for mark in INVISIBLE),
        f"{INVISIBLE} '{WIDE}",
    ],
)
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
    assert not [cell for cell in cells if cell.lstrip(f" \n{INVISIBLE}").startswith(STARTS)]
    assert unguard_formulas(guarded).equals(frame)


@pytest.mark.parametrize("text", ["a=1", "\ufeffa", "1\uff1d", "\u200b", "", "a\n=1"])
def test_other_text_stays(text: str) -> None:
    guarded = guard_formulas(pl.DataFrame({"a" + text: [text]}))
    assert guarded.drop(GUARDED).rows(named=True) == [{"a" + text: text}]


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
