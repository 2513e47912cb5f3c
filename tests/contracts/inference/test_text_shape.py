"""Codes of one shape."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.inference.text_shape import pattern_of

TEN = range(10)


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ([f"AB-{n}00x" for n in TEN], "^[A-Z]{2}-[0-9]{3}[a-z]$"),
        ([f"{n}.5|z" for n in TEN], r"^[0-9]\.[0-9]\|[a-z]$"),
        ([None, *[f"{n:05}" for n in TEN]], "^[0-9]{5}$"),
        ([f"A{n}" for n in range(9)], ""),  # too few to tell
        ([*[f"A{n}" for n in TEN], "AB"], ""),  # two shapes
        ([*[f"A{n}" for n in TEN], "A11"], ""),  # two lengths
        ([f"ab{c}" for c in "cdefghijkl"], ""),  # words of one length
        ([f"é{n}" for n in TEN], ""),  # a letter that no class holds
        ([f"{n}" * 41 for n in TEN], ""),
        ([f"]\"'\\{n}" for n in TEN], ""),  # what a raw string can't hold
        ([None], ""),
        ([], ""),
        ([""] * 20, ""),
    ],
)
def test_codes_of_one_shape(values: list[str | None], pattern: str) -> None:
    assert pattern_of(pl.Series(values, dtype=pl.String)) == pattern


@given(st.from_regex(r"\A[ -~]{1,12}\Z"))
def test_a_pattern_is_matched_by_what_it_was_made_of_and_can_be_written_raw(shape: str) -> None:
    values = [f"{n}{shape}" for n in TEN]
    pattern = pattern_of(pl.Series(values))
    if pattern:
        assert eval(f'r"{pattern}"') == pattern
        assert all(re.search(pattern, value) for value in values)
        assert pl.Series(values).str.contains(pattern).all()
