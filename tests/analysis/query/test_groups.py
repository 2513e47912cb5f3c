"""Rows of groups, their keys and their aggregates."""

from __future__ import annotations

import polars as pl
import pytest

from tests.support.query.relations import X, reads_of, relation_of

A, B = pl.col("a"), pl.col("b")


def test_rows_read_the_keys_and_columns_what_they_aggregate() -> None:
    assert reads_of(X.group_by("s").agg(B.sum(), n=pl.len())) == {
        "": {"x": ("s",)},
        "s": {"x": ("s",)},
        "b": {"x": ("b",)},
        "n": {"x": ()},
    }


def test_conditions_on_groups_decide_about_rows() -> None:
    found = X.group_by("s").having(A.max() > 1).agg(B.sum())
    assert reads_of(found)[""] == {"x": ("a", "s")}
    assert relation_of(found).rows != relation_of(X.group_by("s").agg(B.sum())).rows


def test_windows_read_their_index() -> None:
    found = X.group_by_dynamic("a", every="1i", include_boundaries=True).agg(B.sum())
    assert reads_of(found)[""] == {"x": ("a",)}
    assert list(relation_of(found).columns) == ["_lower_boundary", "_upper_boundary", "a", "b"]
    assert (
        relation_of(found).rows
        != relation_of(
            X.group_by_dynamic("a", every="2i", include_boundaries=True).agg(B.sum())
        ).rows
    )


def test_keys_are_unique_together() -> None:
    found = relation_of(X.group_by("s", "a").agg(B.sum()))
    (key,) = found.keys
    assert key == {found.columns["s"].term, found.columns["a"].term}
    assert relation_of(X.rolling("a", period="2i").agg(B.sum())).keys == ()


@pytest.mark.parametrize(
    ("frame", "unordered", "unstable"),
    [
        (X.group_by("s", maintain_order=True).agg(B.first()), "", ""),
        (X.group_by("s").agg(B.first()), "group_by without maintain_order", ""),
        (X.unique("s").group_by("a", maintain_order=True).agg(B.sum()), "unique", "keep='any'"),
        (
            X.sort("a").group_by("s", maintain_order=True).agg("b"),
            "sort without maintain_order",
            "a list of values in no fixed order",
        ),
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
