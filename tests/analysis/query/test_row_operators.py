"""Operators that filter, sort, slice, deduplicate and extend rows."""

from __future__ import annotations

import polars as pl
import pytest

from tests.support.query.relations import X, reads_of, relation_of

A, B, S = pl.col("a"), pl.col("b"), pl.col("s")
OPEN = X.group_by("s").agg(A.max(), B.sum())


@pytest.mark.parametrize(
    ("frame", "rows"),
    [
        (X.filter(A > 1), ("a",)),
        (X.filter(A > 1, B < 2), ("a", "b")),
        (X.sort("b"), ("b",)),
        (X.head(3), ()),
        (X.unique("s", keep="first", maintain_order=True), ("s",)),
        (X.with_columns(z=A + B), ()),
        (X.select("b", z=A), ()),
    ],
)
def test_columns_that_decide_about_rows(frame: pl.LazyFrame, rows: tuple[str, ...]) -> None:
    assert reads_of(frame)[""] == {"x": rows}


def test_filters_merge_in_any_order() -> None:
    one, other = A > 1, S == "t"
    rows = {
        relation_of(frame).rows
        for frame in (
            X.filter(one).filter(other),
            X.filter(other).filter(one),
            X.filter(one, other),
            X.filter(other & one),
            X.filter(one).with_columns(z=1).filter(other).filter(one),
        )
    }
    assert len(rows) == 1
    assert relation_of(X.filter(one)).rows not in rows
    assert relation_of(X.filter(one).head(3).filter(other)).rows not in rows


def test_values_alone_are_one_row() -> None:
    found = relation_of(X.select(A.sum(), B.max()))
    assert (found.reads, found.keys) == (0, (frozenset(),))


def test_expressions_of_one_length_make_the_rows() -> None:
    found = relation_of(X.select(A.filter(A > 1), B.filter(A > 1)))
    assert found.columns["a"].length.term == found.columns["b"].length.term == found.rows
    assert found.rows != relation_of(X.select(A.filter(A > 2))).rows


@pytest.mark.parametrize(
    ("frame", "unordered", "unstable"),
    [
        (OPEN.sort("s"), "", ""),  # the key is unique
        (OPEN.sort("a"), "sort without maintain_order", ""),
        (OPEN.sort("a", maintain_order=True), "group_by without maintain_order", ""),
        (OPEN.head(1), "group_by without maintain_order", "a slice of rows in no fixed order"),
        (
            X.sort("a").head(2),
            "sort without maintain_order",
            "a slice of rows in no fixed order (sort",
        ),
        (X.unique("s"), "unique without maintain_order", "unique(keep='any')"),
        (
            OPEN.unique("a", keep="last", maintain_order=True),
            "group_by without maintain_order",
            "unique() that keeps the last of rows",
        ),
        (X.unique(), "unique without maintain_order", ""),
        # Polars takes an earlier sort for needless, although the values of this one depend on it.
        (X.sort(A.reverse(), maintain_order=True), "", "a sort by values of other rows"),
        (X.sort(A + B, B.is_null(), maintain_order=True), "", ""),
    ],
)
def test_where_order_and_values_are_undefined(
    frame: pl.LazyFrame, unordered: str, unstable: str
) -> None:
    found = relation_of(frame)
    assert found.open.startswith(unordered)
    assert bool(found.open) == bool(unordered)
    assert unstable in found.doubt
    assert bool(found.doubt) == bool(unstable)


def test_a_series_and_a_sorted_column_of_it_differ_side_by_side() -> None:
    series = pl.lit(pl.Series([1, 2]))
    placed = X.select(v=series).sort("v", descending=True).select(v=series, w="v")
    columns = relation_of(placed).columns
    assert columns["v"].term != columns["w"].term


def test_a_slice_of_a_join_takes_any_rows_unless_they_are_sorted() -> None:
    joined = X.join(X, on="a", maintain_order="left_right")
    assert "a slice of joined rows" in relation_of(joined.head(2)).unstable
    assert "a slice of joined rows" in relation_of(joined.filter(A > 1).head(2)).unstable
    numbered = joined.with_row_index("row")
    assert relation_of(numbered.sort("row").head(2)).unstable == ""
    assert relation_of(joined).unstable == ""
