"""How many rows of a published table a new content changes, of frames with any types."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import StorageError
from tidemill.governance.io.moved_rows import count_moved_rows, moved_rows
from tidemill.ledger.binding import Product

VALUES = st.sampled_from([None, 0.0, -0.0, float("nan"), 1.5])
ROWS = st.lists(st.tuples(st.integers(0, 2), VALUES, st.sampled_from(["", "a", None])), max_size=6)
SCHEMA = {"id": pl.Int64, "x": pl.Float64, "t": pl.String}


def frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@given(ROWS, ROWS)
def test_rows_are_compared_as_a_whole_and_counted(
    before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    one, other = Counter(map(repr, before)), Counter(map(repr, after))
    expected = max((one - other).total(), (other - one).total())
    assert moved_rows(frame(before), frame(after)) == expected
    assert moved_rows(frame(before), frame(before[::-1])) == 0


def test_other_columns_move_every_row() -> None:
    old = pl.DataFrame({"a": [1, 2]})
    assert moved_rows(old, old.with_columns(b=1)) == 2
    assert moved_rows(old, old.cast(pl.Int32)) == 2
    assert moved_rows(old.with_columns(b=1), old.with_columns(b=1).select("b", "a")) == 0
    assert moved_rows(pl.DataFrame(), pl.DataFrame()) == 0


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([[1, None], None], dtype=pl.List(pl.Int8)),
        pl.Series([{"u": 1, "v": "x"}, {"u": None, "v": ""}]),
        pl.Series(["a", None], dtype=pl.Categorical),
        pl.Series([b"\x00", b""]),
        pl.Series([1, 2]).cast(pl.Decimal(9, 2)),
    ],
)
def test_columns_of_any_type_are_compared(column: pl.Series) -> None:
    one = column.rename("x").to_frame()
    assert moved_rows(one, one) == 0
    assert moved_rows(one, one[::-1]) == 0
    assert moved_rows(one, one.head(1)) == 1


def test_only_partitions_that_were_published_and_change_are_read() -> None:
    frames = {
        "b1": frame([(1, 1.0, "a"), (2, 1.0, "a")]),
        "b2": frame([(1, 1.0, "v2"), (2, 1.0, "a")]),
    }
    products = {name: Product(content=name, rows=2) for name in ("a", "b1", "b2", "c")}
    old = {"d2": products["b1"], "d3": products["c"], "d4": products["c"], "d5": products["c"]}
    new = {"d1": products["a"], "d2": products["b2"], "d3": products["c"], "d4": None}

    def read(product: Product) -> pl.DataFrame:
        if product.content not in frames:
            raise StorageError("lost")
        return frames[product.content]

    # One row changed, a partition of two is removed; d5 stays.
    assert count_moved_rows(read, new, old) == 3
    # The version of a model is no change of a prediction.
    assert count_moved_rows(read, new, old, ["t", "absent"]) == 2
    del frames["b2"]
    assert count_moved_rows(read, new, old) is None
