"""Compared rows: what is equal passes, whatever its order; what differs is named."""

from __future__ import annotations

import math
import random
import sys
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.cases.row_comparison import compare_rows, same_values
from tidemill.cases.row_pairs import pair_rows
from tidemill.cases.stage_case import CellPair, RowDifference


def frame(*rows: tuple[Any, ...], names: str = "id x") -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema=dict(zip(names.split(), (pl.Int64, pl.Float64), strict=True)), orient="row"
    )


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "same"),
    [
        (None, None, 0, True),
        (None, 0, 0, False),
        (math.nan, math.nan, 0, True),
        (math.nan, None, 0, False),
        (math.nan, 1.0, 9, False),
        (math.inf, math.inf, 0, True),
        (math.inf, 1e308, 1e300, False),
        (0.0, -0.0, 0, True),
        (0.1 + 0.2, 0.3, 0, True),
        (1.0, 1.001, 0, False),
        (1.0, 1.001, 0.01, True),
        ([1.0, None], [1.0, None], 0, True),
        ([1.0], [1.0, 2.0], 0, False),
        ({"a": 1.0}, {"a": 1.0}, 0, True),
        ({"a": 1.0}, {"a": 2.0}, 0, False),
        ({"a": 1.0}, {"b": 1.0}, 0, False),
        ("a", "a", 0, True),
        ("a", "b", 0, False),
    ],
)
def test_values(one: Any, other: Any, tolerance: float, same: bool) -> None:
    assert same_values(one, other, tolerance) is same


def test_rows_are_paired_by_their_key() -> None:
    expected, actual = frame((1, 1.0), (2, 2.0), (3, 3.0)), frame((4, 4.0), (2, 2.5), (1, 1.0))
    assert compare_rows(expected, actual, key=["id"]) == (
        RowDifference(
            kind="changed",
            row={"id": "2"},
            changes=(CellPair(column="x", expected="2", actual="2.5"),),
        ),
        RowDifference(kind="missing", row={"id": "3", "x": "3"}),
        RowDifference(kind="unexpected", row={"id": "4", "x": "4"}),
    )
    assert [d.kind for d in compare_rows(expected, actual, key=["id"], partial=True)] == [
        "changed",
        "missing",
    ]


def test_a_key_that_repeats_or_is_missing_pairs_nothing() -> None:
    expected = frame((1, 1.0), (1, 2.0), (None, 3.0))
    assert compare_rows(expected, frame((None, 3.0), (1, 2.0), (1, 1.0)), key=["id"]) == ()
    [found] = compare_rows(expected, frame((None, 3.0), (1, 2.0)), key=["id"])
    assert found.kind == "missing"


def test_rows_in_their_order() -> None:
    expected, actual = frame((1, 1.0), (2, 2.0)), frame((2, 2.0), (1, 1.0))
    assert compare_rows(expected, actual) == ()
    assert [d.kind for d in compare_rows(expected, actual, ordered=True)] == ["changed"] * 2
    more = frame((1, 1.0), (2, 2.0), (3, 3.0))
    assert [d.kind for d in compare_rows(expected, more, ordered=True)] == ["unexpected"]
    assert [d.kind for d in compare_rows(more, expected, ordered=True)] == ["missing"]


def test_only_the_columns_that_are_expected() -> None:
    assert compare_rows(frame((1, 1.0)).select("id"), frame((1, 9.0))) == ()


def test_rows_that_differ_little_are_shown_together() -> None:
    [found] = compare_rows(frame((1, 1.0), (2, 2.0)), frame((1, 1.0), (2, 9.0)))
    assert (found.kind, found.row) == ("changed", {"id": "2"})
    kinds = [d.kind for d in compare_rows(frame((1, 1.0)), frame((5, 9.0)))]
    assert kinds == ["missing", "unexpected"]
    assert compare_rows(frame((1, 1.0)), frame((5, 9.0)), partial=True) == (
        RowDifference(kind="missing", row={"id": "1", "x": "1"}),
    )


def test_many_rows_are_not_paired() -> None:
    expected = frame(*((n, 0.0) for n in range(100)))
    kinds = {d.kind for d in compare_rows(expected, frame(*((n, 1.0) for n in range(100))))}
    assert kinds == {"missing", "unexpected"}


def test_each_row_is_used_once() -> None:
    assert len(compare_rows(frame((1, 1.0), (1, 1.0)), frame((1, 1.0)))) == 1
    assert compare_rows(frame((1, 1.0), (1, 1.0)), frame((1, 1.0), (1, 1.0))) == ()


def test_tolerances_that_overlap_find_all_pairs() -> None:
    # 1.5 fits both, 1.0 only the first: taking the first that fits would leave one alone.
    expected, actual = frame((1, 1.5), (1, 1.0)), frame((1, 1.0), (1, 2.0))
    assert compare_rows(expected, actual, tolerance=0.5) == ()


def test_many_rows_that_are_alike() -> None:
    rows = frame(*((1, 0.5) for _ in range(3_000)))
    assert compare_rows(rows, rows) == ()
    assert len(compare_rows(rows, rows.head(2_999))) == 1
    assert compare_rows(rows.select("id"), rows) == ()


def test_many_floats_that_differ_in_the_tenth_digit() -> None:
    rows = frame(*((1, n / 7) for n in range(5_000)))
    noisy = rows.with_columns(pl.col("x") * (1 + 1e-12)).reverse()
    calls = 0

    def traced(code: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call" and code.f_code is same_values.__code__

    before = sys.getprofile()
    sys.setprofile(traced)
    try:
        assert compare_rows(rows, noisy) == ()
    finally:
        sys.setprofile(before)
    # Each row is compared with few others.
    assert calls < 100_000


def test_keys_that_are_no_numbers() -> None:
    expected, actual = frame((1, math.nan), (2, 2.0)), frame((2, 2.0), (3, math.nan))
    [found] = compare_rows(expected, actual, key=["x"])
    assert (found.kind, found.row) == ("changed", {"x": "nan"})


def test_nested_values_and_nanoseconds() -> None:
    rows = pl.DataFrame(
        {
            "list": [[1.0, None], []],
            "struct": [{"a": 1, "b": [1]}, {"a": 2, "b": None}],
            "at": pl.Series([1, 2]).cast(pl.Datetime("ns")),
            "kind": pl.Series(["a", "b"], dtype=pl.Categorical()),
        }
    )
    assert compare_rows(rows, rows.reverse()) == ()
    assert compare_rows(rows, rows.reverse(), key=["struct", "list"]) == ()
    later = rows.with_columns(at=pl.Series([1, 3]).cast(pl.Datetime("ns")))
    assert len(compare_rows(rows, later)) == 1
    assert datetime(1970, 1, 1) in rows["at"].dt.truncate("1s")


def test_tables_without_rows_or_columns() -> None:
    assert compare_rows(frame(), frame()) == ()
    assert len(compare_rows(frame(), frame((1, 1.0)))) == 1
    assert compare_rows(pl.DataFrame(height=2), pl.DataFrame({"a": [1, 2]})) == ()


FLOATS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, math.nan, math.inf, None])
ROWS = st.lists(st.tuples(FLOATS, FLOATS), max_size=7)


@given(ROWS, ROWS)
def test_as_many_rows_as_possible_are_the_same(
    one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]
) -> None:
    schema = {"x": pl.Float64, "y": pl.Float64}
    expected, actual = (pl.DataFrame(rows, schema=schema, orient="row") for rows in (one, other))
    same = pair_rows(
        range(len(one)),
        range(len(other)),
        lambda place, at: all(
            same_values(*cells, 0.5) for cells in zip(one[place], other[at], strict=True)
        ),
    )
    missing = compare_rows(expected, actual, tolerance=0.5, partial=True)
    assert len(missing) == len(one) - len(same)


VALUES = st.tuples(
    st.one_of(st.none(), st.integers(-5, 5)),
    st.one_of(st.none(), st.floats(allow_nan=True, width=32)),
)


@given(st.lists(VALUES, max_size=12), st.randoms(use_true_random=False))
def test_shuffled_rows_are_equal(rows: list[tuple[Any, ...]], chance: random.Random) -> None:
    shuffled = [*rows]
    chance.shuffle(shuffled)
    assert compare_rows(frame(*rows), frame(*shuffled)) == ()
    assert compare_rows(frame(*rows), frame(*shuffled), key=["id"]) == ()


@given(st.lists(VALUES, min_size=1, max_size=8), st.data())
def test_a_changed_row_is_found(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    changed = [*rows]
    changed[at] = (100, rows[at][1])
    for key in ([], ["id"]):
        assert compare_rows(frame(*rows), frame(*changed), key=key)
        assert compare_rows(frame(*changed), frame(*rows), key=key)


def test_cells_that_are_not_compared() -> None:
    expected, actual = frame((1, None), (2, 2.0)), frame((2, 2.0), (1, 7.0))
    gaps = {"x": {0}}
    for key in ([], ["id"]):
        assert compare_rows(expected, actual, key=key, gaps=gaps) == ()
    assert compare_rows(expected, actual.reverse(), ordered=True, gaps=gaps) == ()
    [found] = compare_rows(expected, frame((2, 2.0)), key=["id"], gaps=gaps)
    assert found == RowDifference(kind="missing", row={"id": "1", "x": ""})
    [found] = compare_rows(expected, frame((1, 7.0), (2, 3.0)), key=["id"], gaps=gaps)
    assert found.row == {"id": "2"}
    # Without its key, a row fits any other one that is alike.
    assert compare_rows(frame((None, 1.0)), frame((5, 1.0)), key=["id"], gaps={"id": {0}}) == ()
