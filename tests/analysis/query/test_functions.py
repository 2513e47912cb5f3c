"""Functions by how they depend on the rows around them."""

from __future__ import annotations

import polars as pl
import pytest

from tests.support.query.relations import X, relation_of
from tidemill.analysis.query.value_numbers import Value

A, B, S = pl.col("a"), pl.col("b"), pl.col("s")
FEWER = X.filter(B > 0)


def value_of(frame: pl.LazyFrame, expression: pl.Expr) -> Value:
    return relation_of(frame.with_columns(v=expression)).columns["v"]


@pytest.mark.parametrize(
    ("expression", "by_row"),
    [
        (A.abs(), True),
        (S.str.to_uppercase(), True),
        (A.is_in([1, 2]), True),
        (A.is_in(A), False),  # another row may have the value
        (S.str.to_date("%Y"), True),
        (S.str.to_date(), False),  # the format is guessed from other rows
        (A.cum_sum(), False),
        (A.is_duplicated(), False),
        (A.quantile(0.5), False),
        (pl.int_range(pl.len()), False),
    ],
)
def test_which_values_depend_on_other_rows(expression: pl.Expr, by_row: bool) -> None:
    assert (value_of(X, expression).term == value_of(FEWER, expression).term) is by_row


def test_the_names_of_fields_count_in_a_struct() -> None:
    one, other = pl.struct("a"), pl.struct(A.alias("z"))
    assert value_of(X, one).term != value_of(X, other).term
    assert value_of(X, one.struct.field("a")).term != value_of(X, A).term


N = pl.col("n")  # a row number, which is unique


@pytest.mark.parametrize(
    ("expression", "doubt"),
    [
        (A.arg_max(), "arg_max() of several rows with equal values"),
        (A.arg_sort(), "arg_sort() of several rows with equal values"),
        (A.max_by("b"), "max_by() of several rows with equal values"),
        (A.max(), ""),
        (N.arg_max(), ""),
        (N.arg_sort(), ""),
        (A.max_by("n"), ""),
    ],
)
def test_ties_leave_a_value_undefined(expression: pl.Expr, doubt: str) -> None:
    frame = X.with_row_index("n").select(v=expression)
    assert relation_of(frame).columns["v"].unstable == doubt


def test_one_value_whose_null_is_filled_from_many_has_a_length_of_its_own() -> None:
    filled = pl.len() < pl.lit(0.0).fill_null(A)
    assert pl.DataFrame({"a": [1, 2]}).select(filled).height == 1
    assert relation_of(X.select(v=filled)).length != relation_of(X).length
    assert relation_of(X.select(v=A + A.fill_null(0))).length == relation_of(X).length
