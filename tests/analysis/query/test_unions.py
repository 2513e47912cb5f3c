"""Frames that are concatenated, below or beside each other."""

from __future__ import annotations

import polars as pl
import pytest

from tests.support.query.relations import X, Y, reads_of, relation_of

Z = Y.select("a", k=pl.col("k") * 2)
OPEN = Y.group_by("a").agg(pl.col("k").sum())


def test_a_column_of_a_union_reads_that_of_each_part() -> None:
    assert reads_of(pl.concat([X.select("a", "b"), Y.select("a", b="k")])) == {
        "": {"x": (), "y": ()},
        "a": {"x": ("a",), "y": ("a",)},
        "b": {"x": ("b",), "y": ("k",)},
    }


def test_a_diagonal_union_has_the_columns_of_all_parts() -> None:
    found = reads_of(pl.concat([X.select("a", "b"), Y], how="diagonal"))
    assert found["b"] == {"x": ("b",)}
    assert found["k"] == {"y": ("k",)}


def test_a_column_of_a_horizontal_concat_reads_its_own_part() -> None:
    found = reads_of(pl.concat([X.select("b"), Y], how="horizontal"))
    assert found == {
        "": {"x": (), "y": ()}, "b": {"x": ("b",)}, "a": {"y": ("a",)}, "k": {"y": ("k",)},
    }  # fmt: skip


def test_the_order_of_the_parts_counts() -> None:
    rows = {relation_of(pl.concat(parts)).rows for parts in ([Y, Z], [Z, Y], [Y, Y])}
    # `Y` and `Z` have the same rows: their values differ.
    assert len(rows) == 1
    values = {relation_of(pl.concat(p)).columns["k"].term for p in ([Y, Z], [Z, Y], [Y, Y])}
    assert len(values) == 3
    assert (
        relation_of(pl.concat([Y, Y.head(1)])).rows != relation_of(pl.concat([Y.head(1), Y])).rows
    )


@pytest.mark.parametrize("how", ["vertical", "horizontal"])
def test_a_part_without_an_order(how: str) -> None:
    other = OPEN if how == "vertical" else OPEN.select(w="k")
    found = relation_of(pl.concat([Y, other], how=how))  # type: ignore[arg-type]
    reason = "group_by without maintain_order"
    if how == "vertical":
        assert (found.open, found.unstable) == (reason, "")
    else:
        beside = f"rows in no fixed order beside others ({reason})"
        assert (found.open, found.unstable) == ("", beside)
