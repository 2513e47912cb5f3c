"""Keys of rows: equal for equal rows, whatever holds them, and for no others."""

from __future__ import annotations

import math
import struct
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.analysis.hashing import row_keys as hashing
from tidemill.analysis.hashing.row_keys import KeyIndex, RowKeys, row_keys
from tidemill.core.errors import ContractError

# A type, and values of it that are near each other or special.
LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pl.Int8, st.integers(-3, 3)),
    (pl.Int64, st.integers(-2, 2) | st.sampled_from([2**63 - 1, -(2**63), 256, 1 << 32])),
    (pl.UInt64, st.integers(0, 2) | st.sampled_from([2**64 - 1, 2**63])),
    (pl.Int128, st.integers(-2, 2)),
    (pl.Float32, st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, 1.5])),
    (pl.Float64, st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, 5e-324, 0.1])),
    (pl.Boolean, st.booleans()),
    (pl.String, st.text(st.sampled_from("aé\u0301\x00 ß漢"), max_size=3)),
    (pl.Binary, st.binary(max_size=2)),
    (pl.Enum(["a", "b", "ab"]), st.sampled_from(["a", "b", "ab"])),
    (pl.Categorical(), st.sampled_from(["a", "b", ""])),
    (pl.Decimal(12, 2), st.sampled_from([Decimal("1.00"), Decimal("0.01"), Decimal("-1.00")])),
    (pl.Date, st.sampled_from([date(1970, 1, 1), date(1969, 12, 31), date(2024, 2, 29)])),
    (pl.Datetime("us"), st.sampled_from([datetime(1970, 1, 1), datetime(2024, 1, 1, 0, 0, 1)])),
    (pl.Duration("ms"), st.sampled_from([timedelta(0), timedelta(milliseconds=1)])),
    (pl.Time, st.sampled_from([time(0), time(0, 0, 1), time(23, 59)])),
    (pl.Null, st.none()),
]


def nested(dtype: Any, values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    """A type, or one that is made of it, with values."""
    values = st.none() | values
    return st.sampled_from(
        [
            (dtype, values),
            (pl.List(dtype), st.none() | st.lists(values, max_size=3)),
            (
                pl.List(pl.List(dtype)),
                st.none() | st.lists(st.none() | st.lists(values, max_size=2)),
            ),
            (pl.Array(dtype, 2), st.none() | st.lists(values, min_size=2, max_size=2)),
            (
                pl.Struct({"a": dtype, "b": pl.List(dtype)}),
                st.none() | st.fixed_dictionaries({"a": values, "b": st.lists(values, max_size=2)}),
            ),
            (
                pl.List(pl.Struct({"a": dtype})),
                st.lists(st.none() | st.fixed_dictionaries({"a": values}), max_size=2),
            ),
        ]
    )


@st.composite
def columns(draw: st.DrawFn) -> list[pl.Series]:
    """One to three columns of any types, and up to eight rows that are often equal."""
    rows = draw(st.integers(0, 8))
    made = []
    for number in range(draw(st.integers(1, 3))):
        dtype, values = draw(st.sampled_from(LEAVES).flatmap(lambda leaf: nested(*leaf)))
        found = draw(st.lists(values, min_size=rows, max_size=rows))
        made.append(pl.Series(f"c{number}", found, dtype=dtype, strict=False))
    return made


def canon(value: Any) -> Any:
    """A value as what counts of it."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, dict):
        return ("struct", *(canon(item) for item in value.values()))
    if isinstance(value, list | pl.Series):
        return ("list", *(canon(item) for item in value))
    return type(value).__name__, value


def pairs(keys: RowKeys) -> list[tuple[int, int]]:
    return list(zip(keys.high.tolist(), keys.low.tolist(), strict=True))


@given(columns())
def test_rows_have_the_same_key_where_they_are_equal_and_nowhere_else(
    made: list[pl.Series],
) -> None:
    rows = [tuple(canon(value) for value in row) for row in zip(*made, strict=True)]
    keys = pairs(row_keys(made))
    assert [[one == other for other in rows] for one in rows] == [
        [one == other for other in keys] for one in keys
    ]


@given(columns(), st.data())
def test_what_holds_a_row_leaves_no_trace(made: list[pl.Series], data: st.DataObject) -> None:
    whole = pairs(row_keys(made))
    cut = data.draw(st.integers(0, len(made[0])))
    halves = [pairs(row_keys([series[:cut] for series in made]))]
    halves.append(pairs(row_keys([series[cut:] for series in made])))
    assert halves[0] + halves[1] == whole
    chunked = [pl.concat([series[:cut], series[cut:]], rechunk=False) for series in made]
    assert pairs(row_keys(chunked)) == whole
    alone = [row_keys([series.gather([row]) for series in made]) for row in range(len(made[0]))]
    assert [pairs(key)[0] for key in alone] == whole


def test_a_nan_is_a_nan_whatever_its_bits() -> None:
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    keys = pairs(row_keys([pl.Series([*odd, math.nan])]))
    assert keys[0] == keys[1] == keys[2]


def test_numbers_of_128_bits_count_in_full() -> None:
    values = [0, 1, -1, 2**64, 2**64 + 1, 2**100, -(2**100), None]
    assert len(set(pairs(row_keys([pl.Series(values, dtype=pl.Int128)])))) == len(values)


def test_what_is_under_a_null_does_not_count() -> None:
    value = pl.Series([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])
    nulls = value.to_frame("v").select(pl.when(pl.lit(False)).then("v"))["v"]
    assert len(set(pairs(row_keys([nulls])))) == 1


def test_names_of_columns_do_not_count() -> None:
    one, other = pl.Series("a", [1, 2]), pl.Series("b", [1, 2])
    assert pairs(row_keys([one])) == pairs(row_keys([other]))


def test_a_key_is_as_it_always_was() -> None:
    # Changing one loses all that anybody has kept.
    golden: list[tuple[list[pl.Series], str]] = [
        ([pl.Series(["a"])], "a96faf705af16834e6c632b61e964e1f"),
        ([pl.Series([1])], "4bf11acb9ef8ce739a0670b0dfa048f0"),
        ([pl.Series([1.5], dtype=pl.Float32)], "29e4828d0270e51aa6e14b5d3d7b2de0"),
        ([pl.Series([None], dtype=pl.String)], "397bda2aa05c9bbcc1a64f45239b09dd"),
        ([pl.Series([["a", None]])], "8dae4487e47924cf392b1a7016296343"),
        (
            [pl.Series([{"x": 1, "y": "a"}]), pl.Series([date(2024, 1, 1)])],
            "221573f3fe8d283a0e5000e8ab712641",
        ),
        ([pl.Series([Decimal("1.50")])], "88ff89123ba8bd583dcac457b2a338cd"),
    ]
    found = [f"{int(k.high[0]):016x}{int(k.low[0]):016x}" for k in (row_keys(c) for c, _ in golden)]
    assert found == [key for _, key in golden]


@pytest.mark.parametrize("dtype", [pl.Object, pl.List(pl.Object)])
def test_a_type_without_bytes_is_refused(dtype: Any) -> None:
    with pytest.raises(ContractError, match=r"column 'v': values of type Object have no bytes"):
        row_keys([pl.Series("v", [object()], dtype=pl.Object)])


# Few values, of which some begin alike.
HALF = st.integers(0, 3) | st.integers(0, 3).map(lambda number: number << 62)
HALVES = st.lists(st.tuples(HALF, HALF), max_size=12)


def keys(halves: list[tuple[int, int]]) -> RowKeys:
    high, low = zip(*halves, strict=True) if halves else ((), ())
    return RowKeys(np.array(high, np.uint64), np.array(low, np.uint64))


@given(HALVES, HALVES)
def test_keys_are_found_by_both_halves(
    wanted: list[tuple[int, int]], held: list[tuple[int, int]]
) -> None:
    held = list(dict.fromkeys(held))
    found = KeyIndex(keys(held)).find(keys(wanted)).tolist()
    assert found == [held.index(half) if half in held else -1 for half in wanted]


def test_many_keys_are_found_among_many() -> None:
    # More than are looked up together, in another order, half of them not there.
    held = row_keys([pl.Series(range(50_000))])
    places = np.random.default_rng(0).permutation(100_000)
    found = KeyIndex(held).find(row_keys([pl.Series(places)]))
    assert found.tolist() == np.where(places < 50_000, places, -1).tolist()


@given(st.lists(st.tuples(st.integers(-5, 60), st.integers(0, 40)), max_size=5), st.integers(1, 20))
def test_keys_are_found_in_any_order(runs: list[tuple[int, int]], block: int) -> None:
    """Runs of keys that are stored one after the other, some of which aren't there."""
    places = np.concatenate(
        [np.arange(first, first + length) for first, length in [(0, 0), *runs]]
    ).astype(np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_BLOCK", block)
        index = KeyIndex(row_keys([pl.Series(range(50))]))
        expected = np.where((places >= 0) & (places < 50), places, -1).tolist()
        for _ in range(2):
            assert index.find(row_keys([pl.Series(places)])).tolist() == expected


@given(HALVES)
def test_the_first_row_of_each_key_is_kept(halves: list[tuple[int, int]]) -> None:
    assert keys(halves).first_positions().tolist() == [
        n for n, half in enumerate(halves) if half not in halves[:n]
    ]
