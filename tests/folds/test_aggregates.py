"""Merged partials give what Polars gives of all rows, however these are spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidemill as tm
from tests.support.thoroughness import examples, thorough
from tidemill.core.errors import DeclarationError
from tidemill.folds.partials import equal_up_to_rounding, merge_query, partials_query, result_query
from tidemill.workflow.incremental_fold import Aggregate, Fold

FLOATS = st.none() | st.floats(width=32) | st.sampled_from([0.0, -0.0, math.nan, math.inf])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "by": st.sampled_from(["a", "b", None]),
            "on": st.booleans(),
            "small": st.none() | st.integers(-128, 127),
            "int": st.none() | st.integers(-(2**31), 2**31 - 1),
            "big": st.none() | st.integers(-(2**63), 2**63 - 1),
            "float": FLOATS,
            "text": st.none() | st.text("xyz", max_size=2),
            "day": st.none() | st.dates(date(2000, 1, 1), date(2000, 3, 1)),
        }
    ),
    max_size=25,
)
SCHEMA = {
    "by": pl.String, "on": pl.Boolean, "small": pl.Int8, "int": pl.Int32, "big": pl.Int64,
    "float": pl.Float64, "text": pl.String, "day": pl.Date,
}  # fmt: skip
# All that has one answer, whatever the order of the rows.
EXACT = {
    "n": tm.fold.count(),
    "n_text": tm.fold.count("text"),
    "sum_on": tm.fold.sum("on"),
    "sum_small": tm.fold.sum("small"),
    "sum_int": tm.fold.sum("int"),
    "sum_big": tm.fold.sum("big"),
    "sum_twice": tm.fold.sum(pl.col("small").cast(pl.Int64) * 2),
    "min_float": tm.fold.min("float"),
    "max_float": tm.fold.max("float"),
    "min_text": tm.fold.min("text"),
    "max_day": tm.fold.max("day"),
    "distinct": tm.fold.approx_n_unique("text"),
    "distinct_days": tm.fold.approx_n_unique("day"),
}


def cut(rows: pl.DataFrame, places: Sequence[int]) -> list[pl.DataFrame]:
    """Rows in parts, some of which may be empty."""
    edges = [0, *sorted(place % (rows.height + 1) for place in places), rows.height]
    return [rows[start:stop] for start, stop in pairwise(edges)]


def whole(fold: Fold, rows: pl.DataFrame) -> pl.DataFrame:
    """What Polars itself makes of all rows."""
    made = {name: item.whole for name, item in fold.aggregates.items()}
    if not fold.by:
        return rows.select(**made)
    return rows.group_by(fold.by).agg(**made).sort(fold.by)


def folded(fold: Fold, parts: Sequence[pl.DataFrame], types: Any) -> pl.DataFrame:
    """What is merged of the partials of parts: two at a time, and those all at once."""
    done = [partials_query(fold, part.lazy()).collect() for part in parts]
    pairs = [pl.concat(done[i : i + 2]) for i in range(0, len(done), 2)]
    again = pl.concat([merge_query(fold, pair.lazy()).collect() for pair in pairs])
    return result_query(fold, merge_query(fold, again.lazy()), types).collect()


@thorough
@settings(max_examples=examples(40))
@given(
    rows=ROWS,
    places=st.lists(st.integers(0, 30), max_size=4),
    by=st.sampled_from([(), ("by",), ("by", "on")]),
)
def test_what_is_exact_is_as_polars_computes_it_of_all_rows(
    rows: list[dict[str, Any]], places: list[int], by: tuple[str, ...]
) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA)
    fold = tm.fold(*by, **EXACT)
    expected = whole(fold, frame)
    found = folded(fold, cut(frame, places), expected.schema)
    assert found.schema == expected.schema
    assert found.equals(expected)


@given(
    rows=st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.floats(0, 1e6)), max_size=60),
    places=st.lists(st.integers(0, 60), max_size=6),
)
def test_floats_are_added_within_the_tolerance(
    rows: list[tuple[str, float | None]], places: list[int]
) -> None:
    frame = pl.DataFrame(rows, schema={"by": pl.String, "x": pl.Float64}, orient="row")
    fold = tm.fold("by", total=tm.fold.sum("x"), mean=tm.fold.mean("x"))
    expected = whole(fold, frame)
    found = folded(fold, cut(frame, places), expected.schema)
    for name, item in fold.aggregates.items():
        assert item.tolerance == 1e-9
        assert equal_up_to_rounding(expected[name], found[name], item.tolerance), name


@thorough
@settings(max_examples=examples(25))
@given(
    values=st.lists(FLOATS, max_size=60),
    places=st.lists(st.integers(0, 60), max_size=6),
    quantile=st.floats(0, 1),
    error=st.sampled_from([0.001, 0.005, 0.1]),
)
def test_quantiles_are_within_their_error(
    values: list[float | None], places: list[int], quantile: float, error: float
) -> None:
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    item = tm.fold.approx_quantile("x", quantile, error=error)
    fold = tm.fold(q=item)
    expected = whole(fold, frame)
    found = folded(fold, cut(frame, places), expected.schema)
    assert equal_up_to_rounding(expected["q"], found["q"], item.tolerance), (expected, found)
    # However they are spread it is the same value.
    assert found.equals(folded(fold, [frame], expected.schema))


@thorough
@settings(max_examples=examples(40))
@given(
    rows=st.lists(st.tuples(st.sampled_from("ab"), FLOATS), max_size=60),
    places=st.lists(st.integers(0, 60), max_size=6),
)
def test_merged_bins_are_those_of_all_rows(
    rows: list[tuple[str, float | None]], places: list[int]
) -> None:
    frame = pl.DataFrame(rows, schema={"by": pl.String, "x": pl.Float64}, orient="row")
    fold = tm.fold("by", q=tm.fold.approx_quantile("x", 0.5))
    expected, *parts = (
        partials_query(fold, part.lazy()).collect() for part in (frame, *cut(frame, places))
    )
    found = merge_query(fold, pl.concat(parts).lazy()).collect()
    assert found.schema == expected.schema
    assert found.equals(expected)
    kept = frame.drop_nulls("x").group_by("by").agg(pl.len().cast(pl.UInt64)).sort("by")
    counted = found.select("by", len=pl.col("q").struct.field("n").list.sum()).sort("by")
    assert counted.filter(pl.col("len") > 0).equals(kept)


@pytest.mark.parametrize("many", [500, 20_000])
def test_many_distinct_values_are_estimated_within_the_error(many: int) -> None:
    rows = pl.DataFrame({"x": np.random.default_rng(1).integers(0, many, 5 * many)})
    item = tm.fold.approx_n_unique("x")
    fold = tm.fold(n=item)
    expected = whole(fold, rows)
    found = folded(fold, cut(rows, [many, 2 * many]), expected.schema)
    assert found.schema == expected.schema == {"n": pl.UInt32}
    assert found.item() == pytest.approx(expected.item(), rel=item.tolerance)
    assert found.equals(folded(fold, [rows], expected.schema))
    if many < 1 / 0.03**2:
        assert found.equals(expected)


@pytest.mark.parametrize(
    ("dtype", "most"), [(pl.Int32, 2**31 - 1), (pl.UInt32, 2**32 - 1), (pl.Int64, 2**63 - 1)]
)
def test_sums_overflow_as_those_of_polars(dtype: Any, most: int) -> None:
    rows = pl.DataFrame(
        {"by": ["a"] * 3, "x": [most, most, 5]}, schema={"by": pl.String, "x": dtype}
    )
    fold = tm.fold("by", x=tm.fold.sum("x"))
    expected = whole(fold, rows)
    assert folded(fold, cut(rows, [1, 2]), expected.schema).equals(expected)


@pytest.mark.parametrize(
    "dtype",
    [pl.Float32, pl.Int128, pl.UInt64, pl.Decimal(10, 2), pl.Duration("us"), pl.Boolean, pl.UInt8],
)
def test_types_are_those_of_polars(dtype: Any) -> None:
    rows = pl.DataFrame({"x": pl.Series([1, 0, 1, None]).cast(pl.Int64).cast(dtype)})
    fold = tm.fold(total=tm.fold.sum("x"), least=tm.fold.min("x"), mean=tm.fold.mean("x"))
    expected = whole(fold, rows)
    found = folded(fold, cut(rows, [1]), expected.schema)
    assert found.schema == expected.schema
    assert found.equals(expected) or equal_up_to_rounding(expected["mean"], found["mean"], 1e-6)


def test_ones_own_merge_as_they_say() -> None:
    # The variance, of moments.
    own = tm.fold.mergeable(
        partial=pl.struct(n=pl.len(), s=pl.col("x").sum(), ss=(pl.col("x") ** 2).sum()),
        merge=lambda p: pl.struct(
            n=p.struct.field("n").sum(), s=p.struct.field("s").sum(), ss=p.struct.field("ss").sum()
        ),
        final=lambda p: (
            p.struct.field("ss") / p.struct.field("n")
            - (p.struct.field("s") / p.struct.field("n")) ** 2
        ),
        tolerance=1e-6,
    )
    rows = pl.DataFrame({"x": [1.0, 2.0, 4.0, 8.0]})
    found = folded(tm.fold(v=own), cut(rows, [1, 3]), {})
    assert found.item() == pytest.approx(rows["x"].var(ddof=0))


# As somebody calls it who has no type checker.
UNTYPED: Any = tm.fold


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: UNTYPED(), "neither group columns nor aggregates"),
        (lambda: UNTYPED("a", "a"), "'a' is given twice"),
        (lambda: UNTYPED("a", a=UNTYPED.count()), "'a' is already a group column"),
        (lambda: UNTYPED(1), "1 is not a column name"),
        (lambda: UNTYPED("a", n=pl.len()), "is not an aggregate"),
        (lambda: UNTYPED.sum(3), "3 is neither a column name"),
        (lambda: UNTYPED.sum("x", tolerance=-1), "-1 is not a share from 0 to 1"),
        (lambda: UNTYPED.mean("x", tolerance=True), "True is not a share"),
        (lambda: UNTYPED.approx_n_unique("x", error=0.0), "0.0 is not a share from 0.001 to 1"),
        (lambda: UNTYPED.approx_quantile("x", 2), "2 is not a quantile from 0 to 1"),
        (
            lambda: UNTYPED.mergeable(partial="x", merge=pl.Expr.sum),
            "partial='x' is not a Polars expression",
        ),
        (lambda: UNTYPED.mergeable(partial=pl.len(), merge=1), "merge=1 is not a function"),
        (lambda: UNTYPED.mergeable(partial=pl.len(), merge=pl.Expr.sum, final=1), "final=1 is no"),
    ],
)
def test_what_makes_no_sense_is_refused(declare: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=message) as refused:
        declare()
    assert "test_aggregates.py" in str(refused.value)


def test_a_fold_says_what_it_is() -> None:
    assert (
        str(tm.fold("a", "b", n=tm.fold.count(), s=tm.fold.sum("x")))
        == "by a, b: n=count(), s=sum(x)"
    )
    assert str(tm.fold(q=tm.fold.approx_quantile("x", 0.9))) == "q=approx_quantile(x, 0.9)"
    assert isinstance(tm.fold.max("x"), Aggregate)
