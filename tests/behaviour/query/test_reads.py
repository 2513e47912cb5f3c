"""Which columns of which inputs a column depends on."""

from __future__ import annotations

import polars as pl
import polars.selectors as cs
import pytest

from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.placeholders import placeholder_frame

X = placeholder_frame(
    "x", {"k": pl.Int64(), "g": pl.String(), "v": pl.Float64(), "l": pl.List(pl.Int64)}
)
Y = placeholder_frame("y", {"k": pl.Int64(), "w": pl.Float64()})
V = pl.col("v")
ALL = ("k", "g", "v", "l")


@pytest.mark.parametrize(
    ("frame", "name", "expected"),
    [
        (X, "v", {"x": ("v",)}),
        (X.select(p=V + pl.col("k")), "p", {"x": ("k", "v")}),
        (X.select(p=pl.lit(1)), "p", {}),
        (X.with_columns(p=pl.lit(1)), "p", {"x": ()}),
        (X.select(pl.len()), "len", {"x": ()}),
        (X.with_row_index(), "index", {"x": ()}),
        (X.select(V.sum()), "v", {"x": ("v",)}),
        (X.filter(pl.col("g") == "a"), "v", {"x": ("g", "v")}),
        (X.filter(pl.col("g") == "a").select(pl.len()), "len", {"x": ("g",)}),
        (X.sort("k"), "v", {"x": ("k", "v")}),
        (X.head(2), "v", {"x": ("v",)}),
        (X.unique(), "v", {"x": ALL}),
        (X.unique("k"), "v", {"x": ("k", "v")}),
        (X.group_by("g").agg(V.sum()), "v", {"x": ("g", "v")}),
        (X.group_by("g").agg(V.sum()), "g", {"x": ("g",)}),
        (X.group_by("g").agg(pl.len()), "len", {"x": ("g",)}),
        (X.group_by("g").having(pl.col("k").sum() > 1).agg(V.sum()), "v", {"x": ("k", "g", "v")}),
        (X.group_by_dynamic("k", every="1i").agg(V.sum()), "v", {"x": ("k", "v")}),
        (X.join(Y, on="k"), "v", {"x": ("k", "v"), "y": ("k",)}),
        (X.join(Y, on="k"), "w", {"x": ("k",), "y": ("k", "w")}),
        (X.join(Y, on="k", how="semi"), "v", {"x": ("k", "v"), "y": ("k",)}),
        (X.join(Y, how="cross"), "v", {"x": ("v",), "y": ()}),
        (X.join(Y, how="cross"), "k", {"x": ("k",), "y": ()}),
        (X.join_where(Y, pl.col("w") < V), "g", {"x": ALL, "y": ("k", "w")}),
        (pl.concat([X.select("k"), Y.select("k")]), "k", {"x": ("k",), "y": ("k",)}),
        (pl.concat([X, Y], how="diagonal"), "w", {"x": (), "y": ("w",)}),
        (pl.concat([X.select("v"), Y.select("w")], how="horizontal"), "v", {"x": ("v",), "y": ()}),
        (X.explode("l"), "v", {"x": ("v", "l")}),
        (X.unpivot(["v", "k"], index="g"), "g", {"x": ("g",)}),
        (X.unpivot(["v", "k"], index="g"), "variable", {"x": ()}),
        (X.unpivot(["v", "k"], index="g"), "value", {"x": ("k", "v")}),
        (X.pivot("g", on_columns=["a"], index="k", values="v"), "a", {"x": ALL}),
        (X.select("k", "v").sql("select v from self"), "v", {"x": ("k", "v")}),
        (X.select("v").match_to_schema({"v": pl.Float64}), "v", {"x": ("v",)}),
        (X.select(p=V.sum().over("g")), "p", {"x": ("g", "v")}),
        (X.select(p=V.first().over("g", order_by="k")), "p", {"x": ("k", "g", "v")}),
        (X.select(p=V.filter(pl.col("k") > 1)), "p", {"x": ("k", "v")}),
        (X.select(p=V.filter(pl.col("k") > 1).first()), "p", {"x": ("k", "v")}),
        (
            X.select(p=pl.struct("k", "v")).select(p=pl.col("p").struct.field("k")),
            "p",
            {"x": ("k", "v")},
        ),
        (X.select(p=pl.struct("k", "v")).unnest("p"), "k", {"x": ("k", "v")}),
        (X.select(p=pl.sum_horizontal(cs.numeric())), "p", {"x": ("k", "v")}),
        (X.select(p=pl.when(pl.col("g") == "a").then(V)), "p", {"x": ("g", "v")}),
        (X.sum(), "v", {"x": ("v",)}),
        (X.set_sorted("k").select("k"), "k", {"x": ("k",)}),
        (X.fill_nan(0), "v", {"x": ("v",)}),
        (X.drop_nulls("k"), "v", {"x": ("k", "v")}),
        (X.select(p=pl.lit(pl.Series([1, 2]))), "p", {}),
        (X.with_columns(p=pl.lit(pl.Series([1, 2]))), "p", {"x": ()}),
        (pl.LazyFrame({"p": [1]}), "p", {}),
    ],
)
def test_reads(frame: pl.LazyFrame, name: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert dict(query_digests(frame).columns[name].reads) == expected


def test_an_expression_that_is_not_understood_reads_all_that_it_could() -> None:
    frame = X.select("k", "v", p=pl.struct("k")).select(
        q=pl.col("p").struct.with_fields(pl.field("k") + 1)
    )
    assert dict(query_digests(frame).columns["q"].reads) == {"x": ("k", "v")}


def test_columns_are_in_the_order_of_the_result() -> None:
    found = query_digests(X.select("v", "g", a=pl.len()))
    assert list(found.columns) == ["v", "g", "a"]
