"""A row is in a sample or not, whatever rows there are besides it."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tidemill.analysis.hashing.row_sample import sample_rows

KEYS = st.lists(st.integers(0, 10**6), max_size=200, unique=True)


@given(KEYS, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_row_is_in_a_sample_whatever_it_is_among(
    keys: list[int], one: float, other: float
) -> None:
    small, large = sorted((one, other))
    rows = pl.DataFrame({"id": keys, "x": keys}, schema={"id": pl.Int64, "x": pl.Int64})
    kept = sample_rows(rows, ["id"], small)
    assert kept.equals(
        sample_rows(rows.cast({"id": pl.Int32}), ["id"], small).cast({"id": pl.Int64})
    )
    assert set(kept["id"]) <= set(sample_rows(rows, ["id"], large)["id"])
    half = rows.head(len(keys) // 2)
    assert set(sample_rows(half, ["id"], small)["id"]) == set(kept["id"]) & set(half["id"])


# Of twelve rows, those that are in a sample of half of them.
KEPT = {
    "at": [5, 6, 8, 9, 10],
    "day": [0, 2, 3, 5, 7, 10, 11],
    "id": [0, 2, 3, 5, 6, 7, 9, 10, 11],
    "name": [1, 2, 4, 6, 7, 8, 9],
}


def test_the_same_rows_for_ever() -> None:
    rows = pl.DataFrame(
        {
            "id": range(12),
            "day": [date(2026, 3, 1 + n) for n in range(12)],
            "at": [datetime(2026, 3, 1, n) for n in range(12)],
            "name": [None if n % 5 == 0 else f"n{n}" for n in range(12)],
        }
    )
    at = pl.col("at").dt.cast_time_unit
    for unit in ("ms", "ns"):
        rows = rows.with_columns(at(unit))
        kept = {
            name: sample_rows(rows, [name], 0.5)["id"].to_list()
            for name in ("id", "day", "at", "name")
        }
        assert kept == KEPT
    assert sample_rows(rows, (), 0.5).equals(rows)
    assert sample_rows(rows, ("no",), 0.5).equals(rows)
    assert (
        0.2 < sample_rows(pl.DataFrame({"id": range(10_000)}), ["id"], 0.25).height / 10_000 < 0.3
    )


def test_nested_columns_tell_nothing() -> None:
    rows = pl.DataFrame({"id": [1, 2, 3], "what": [[1], [2], None]})
    assert sample_rows(rows, ("id", "what"), 0.5).equals(sample_rows(rows, ("id",), 0.5))
