"""Operators that rename, number, explode, unnest and unpivot columns."""

from __future__ import annotations

import polars as pl
import pytest

from tests.support.query.relations import X, reads_of, relation_of

A = pl.col("a")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (X.select("a", "b").rename({"a": "b", "b": "a"}), {"b": {"x": ("a",)}, "a": {"x": ("b",)}}),
        (X.select("a").with_row_index("n", 7), {"n": {"x": ()}, "a": {"x": ("a",)}}),
        (X.select("a", "l").explode("l"), {"a": {"x": ("a",)}, "l": {"x": ("l",)}}),
        (
            X.select("s", "a", "b").unpivot(["a", "b"], index="s"),
            {"s": {"x": ("s",)}, "variable": {}, "value": {"x": ("a", "b")}},
        ),
        (
            X.select(o=pl.struct("a", "b")).unnest("o"),
            {"a": {"x": ("a", "b")}, "b": {"x": ("a", "b")}},
        ),
        (X.select("a", "b").sum(), {"a": {"x": ("a",)}, "b": {"x": ("b",)}}),
        (X.select("b").fill_nan(0), {"b": {"x": ("b",)}}),
    ],
)
def test_columns_that_are_read(
    frame: pl.LazyFrame, expected: dict[str, dict[str, tuple[str, ...]]]
) -> None:
    found = dict(reads_of(frame))
    found.pop("")
    assert found == expected


def test_renamed_columns_keep_their_terms() -> None:
    before, after = relation_of(X), relation_of(X.rename({"a": "z"}))
    assert after.columns["z"].term == before.columns["a"].term
    assert after.rows == before.rows


def test_row_numbers_are_unique_and_need_an_order() -> None:
    found = relation_of(X.with_row_index("n"))
    assert frozenset({found.columns["n"].term}) in found.keys
    doubt = relation_of(X.group_by("s").agg("a").with_row_index("n")).columns["n"].unstable
    assert doubt.startswith("row numbers of rows in no fixed order")


def test_the_rows_of_an_explode_depend_on_the_lists() -> None:
    assert reads_of(X.explode("l"))[""] == {"x": ("l",)}


def test_a_sorted_hint_changes_what_is_computed() -> None:
    before, after = relation_of(X), relation_of(X.set_sorted("a"))
    assert after.columns["a"].term != before.columns["a"].term
    assert after.columns["b"].term == before.columns["b"].term
