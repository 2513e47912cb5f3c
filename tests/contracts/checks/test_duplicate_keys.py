"""Which rows repeat a key, told by codes of every kind: always exactly those that do."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.contracts.checks import duplicate_keys as keys
from tidemill.contracts.checks.duplicate_keys import is_exact, key_codes, possible_duplicates
from tidemill.contracts.checks.row_order import repeated_values

TYPES: list[tuple[pl.DataType, list[Any]]] = [
    (pl.Int64(), [0, 1, 2, -5, 2**62, -(2**63), 2**63 - 1, None]),
    (pl.Int8(), [-128, 127, 0, 1, None]),
    (pl.UInt64(), [0, 1, 2**64 - 1, None]),
    (pl.UInt8(), [0, 1, 255, None]),
    (pl.Int128(), [0, 2**100, 2**64, None]),
    (pl.Date(), [date(2013, 3, 7), date(1, 1, 1), None]),
    (pl.Boolean(), [True, False, None]),
    (pl.Enum(["y", "x"]), ["x", "y", None]),
    (pl.Categorical(), ["x", "y", "z", None]),
    (pl.String(), ["", "a", "b", "a\0", None]),
    (pl.Float64(), [0.0, -0.0, 1.5, float("inf"), None]),
]


@st.composite
def tables(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.Series]:
    """Key columns, and the rows that are looked at; none of these has a null."""
    height = draw(st.integers(0, 12))
    columns = []
    for index, (dtype, values) in enumerate(
        draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3))
    ):
        cells = draw(st.lists(st.sampled_from(values), min_size=height, max_size=height))
        columns.append(pl.Series(f"k{index}", cells, dtype=dtype))
    frame = pl.DataFrame(columns)
    here = pl.Series(
        draw(st.lists(st.booleans(), min_size=height, max_size=height)), dtype=pl.Boolean
    )
    if draw(st.booleans()):
        here = pl.Series([True] * height, dtype=pl.Boolean)
    for column in columns:
        here &= column.is_not_null()
    return frame, here


def repeats(frame: pl.DataFrame, here: pl.Series) -> list[int]:
    """The rows whose key an earlier row of those looked at has, told by looking at each."""
    seen: set[tuple[Any, ...]] = set()
    found = []
    for number, (row, wanted) in enumerate(zip(frame.iter_rows(), here, strict=True)):
        if wanted and row in seen:
            found.append(number)
        if wanted:
            seen.add(row)
    return found


def told(frame: pl.DataFrame, here: pl.Series) -> list[int]:
    """The same by codes."""
    codes = frame.select(
        code.alias(str(index))
        for index, code in enumerate(key_codes(frame.columns, dict(frame.schema)))
    )
    rows = possible_duplicates(codes.get_columns(), here)
    assert list(rows) == sorted(rows)
    return [int(row) for row in rows[repeated_values(frame[rows]).to_numpy()]]


@given(tables())
@settings(max_examples=500, deadline=None)
def test_codes_tell_what_comparing_values_tells(case: tuple[pl.DataFrame, pl.Series]) -> None:
    assert told(*case) == repeats(*case)


@given(tables())
@settings(max_examples=200, deadline=None)
def test_so_they_do_when_nearly_all_codes_collide(case: tuple[pl.DataFrame, pl.Series]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_MIX", 1)
        patch.setattr(keys, "_SPARSE", 0)
        patch.setattr(keys, "_STRIDE", 2)
        assert told(*case) == repeats(*case)


@given(st.lists(st.integers(-40, 40), max_size=60))
@settings(max_examples=200, deadline=None)
def test_so_they_do_in_segments(numbers: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_SEGMENT", 16)
        frame = pl.DataFrame({"k": numbers}, schema={"k": pl.Int64})
        here = pl.Series([True] * len(numbers), dtype=pl.Boolean)
        assert told(frame, here) == repeats(frame, here)


@pytest.mark.parametrize("factor", [1, 3, 922_337_203_613])
@pytest.mark.parametrize("twice", [0, 1, 1_000])
def test_many_rows(factor: int, twice: int) -> None:
    numbers = np.random.default_rng(1).permutation(100_000)
    numbers[:twice] = numbers[-twice:] if twice else numbers[:0]
    frame = pl.DataFrame({"k": numbers * factor})
    here = pl.Series([True]).new_from_index(0, len(frame))
    assert told(frame, here) == list(range(len(frame) - twice, len(frame)))


def test_nothing_but_places_that_are_shared_by_others() -> None:
    # All in one place of the table, each with a tag of its own: all but one row find another's.
    codes = np.arange(0, 800, 8, dtype=np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_MIX", 1 << 44)
        patch.setattr(keys, "_SPARSE", 0)
        assert list(possible_duplicates([pl.Series(codes)], pl.Series([True] * 100))) == []
        again = np.concatenate([codes[:3], codes])
        found = possible_duplicates([pl.Series(again)], pl.Series([True] * 103))
        assert list(found) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("dtype", "exact"),
    [
        (pl.Int64(), True),
        (pl.Int128(), False),
        (pl.Time(), True),
        (pl.Float32(), False),
        (pl.String(), False),
    ],
)
def test_what_an_integer_tells(dtype: pl.DataType, exact: bool) -> None:
    assert is_exact(dtype) is exact
