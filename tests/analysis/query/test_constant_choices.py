"""Expressions that depend on rows by conditions alone."""

from __future__ import annotations

import polars as pl
import pytest
from polars import selectors as cs

from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.constant_choices import LOST_ORDER
from tidemill.analysis.query.placeholders import placeholder_frame

ROWS = placeholder_frame("rows", {"i": pl.Int64(), "v": pl.Float64()})
CHOICE = pl.when(pl.col("v") > 1).then(1).otherwise(0)
LOST = [
    ROWS.select(k=CHOICE),
    ROWS.select(k=CHOICE, other=CHOICE + 1),
    ROWS.select(k=CHOICE, one=pl.lit(1)).select("k"),
    ROWS.select("i", k=CHOICE).filter(pl.col("i") > 0).select("k"),
    ROWS.select(k=CHOICE).select(cs.all()),
    ROWS.select(k=pl.when(pl.col("i") > 2).then(CHOICE).otherwise(pl.lit(3))),
    ROWS.select(k=pl.coalesce(CHOICE, 1).cast(pl.String)),
    ROWS.group_by(CHOICE, maintain_order=True).agg(pl.col("i").sum()),
    ROWS.select("i", k=CHOICE).group_by("k", maintain_order=True).agg(pl.col("i").sum()),
]
KEPT = [
    ROWS.select("i", k=CHOICE),
    ROWS.select(k=CHOICE + pl.col("i")),
    ROWS.select(k=pl.when(pl.col("i") > 2).then(pl.col("v")).otherwise(3)),
    ROWS.select(pl.lit(1)),
    ROWS.select(pl.col("v") > 1),
    ROWS.with_columns(k=CHOICE).select("k"),
    ROWS.group_by(CHOICE, "i", maintain_order=True).agg(pl.col("v").sum()),
    ROWS.group_by("i", maintain_order=True).agg(k=CHOICE.sum()),
]


@pytest.mark.parametrize("query", LOST)
def test_the_order_of_choices_between_constants_is_undefined(query: pl.LazyFrame) -> None:
    assert query_digests(query).unordered == LOST_ORDER


@pytest.mark.parametrize("query", KEPT)
def test_the_order_of_other_values_is_defined(query: pl.LazyFrame) -> None:
    assert query_digests(query).unordered == ""


def test_groups_without_a_promised_order_say_so() -> None:
    grouped = ROWS.group_by(CHOICE).agg(pl.col("i").sum())
    assert query_digests(grouped).unordered == "group_by without maintain_order"


def test_polars_still_leaves_the_order_out() -> None:
    """When this fails, Polars was mended and the module can go."""
    rows = pl.LazyFrame({"i": [2, 1], "v": [2.0, 1.0]})
    grouped = rows.group_by(CHOICE, maintain_order=True).agg(pl.col("i").sum())
    assert "maintain_order: false" in grouped.explain()
    assert "SORT" not in rows.sort("v").select(k=CHOICE).explain()
