"""Which queries leave the order of their rows open, and which are not determined at all."""

from __future__ import annotations

import polars as pl
import polars.selectors as cs
import pytest

from tests.behaviour.query.test_mutations import quiet
from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.placeholders import placeholder_frame

X = placeholder_frame(
    "x", {"k": pl.Int64(), "g": pl.String(), "v": pl.Float64(), "l": pl.List(pl.Int64)}
)
Y = placeholder_frame("y", {"k": pl.Int64(), "w": pl.Float64()})
V = pl.col("v")
OPEN = X.group_by("g").agg(V.sum(), k=pl.col("k").max())
SETTLED = [
    X,
    X.filter(V > 0),
    X.select(V.cum_sum()),
    X.head(2),
    X.sort("k", maintain_order=True),
    X.reverse(),
    X.group_by("g", maintain_order=True).agg(V.first()),
    X.unique("g", keep="first", maintain_order=True),
    X.join(Y, on="k", how="left", maintain_order="left_right"),
    X.join_asof(Y, on="k"),
    X.explode("l"),
    X.join(Y, on="k", how="semi", maintain_order="left"),
    X.join(Y, how="cross", maintain_order="left_right"),
    pl.concat([X, X]),
    pl.concat([X, Y.select("w")], how="horizontal"),
    X.with_row_index(),
    X.drop_nulls(),
    X.select(V.sum()),
    OPEN.select(V.sum()),
    OPEN.select(pl.len()),
    OPEN.sum(),
    X.gather_every(2),
    X.shift(),
    X.group_by_dynamic("k", every="2i").agg(V.first()),
    X.rolling("k", period="2i").agg(V.last()),
    # Sorted by what is unique, whatever came before.
    OPEN.sort("g"),
    OPEN.sort("k", "g"),
    OPEN.filter(V > 0).sort("g").head(2),
    OPEN.rename({"g": "h"}).sort("h"),
    OPEN.with_columns(v=1).sort("g", descending=True).with_row_index(),
    X.unique("k").sort("k").select("k"),
    X.with_row_index("i").sort("v", "i"),
    OPEN.sort("g").with_columns(V.cum_sum()),
    X.with_row_index("i").unique("g", keep="none").sort("g"),
    OPEN.select(V.sum(), w=V.max()).sort("v"),
    X.join(Y.group_by("k").agg(pl.col("w").sum()), on="k", how="left", maintain_order="left"),
    X.join(Y, on="k", how="left", validate="m:1", maintain_order="left"),
    Y.group_by("k").agg(w=1).join(X, on="k", how="inner", maintain_order="right"),
    OPEN.join(Y.group_by("k").agg(w=pl.len()), on="k", how="left").sort("g"),
    X.with_row_index("i").select(V.sort_by("i").first()),
    X.select(V.sort_by("k", maintain_order=True).first()),
    X.with_row_index("i").select(V.max_by("i")),
    X.with_row_index("i").select(pl.col("i").arg_max()),
    X.with_row_index("i").group_by("g", maintain_order=True).agg(V.sort_by("i").last()),
    X.select(V.unique().sum()),
    X.select(V.unique(maintain_order=True)),
    X.select(V.mode().max()),
    OPEN.select(V.filter(V > 0).sum()),
    OPEN.select(V.sum().over("g").max()),
    X.select(pl.lit(pl.Series([1]))),
    X.match_to_schema({"k": pl.Int64}, extra_columns="ignore"),
    X.clear(),
    X.pivot("g", on_columns=["a"], index="k", values="v", maintain_order=True),
]
UNORDERED = [
    (OPEN, "group_by without maintain_order"),
    (OPEN.filter(V > 0).with_columns(w=V + 1), "group_by without maintain_order"),
    (OPEN.group_by("v", maintain_order=True).agg("g").drop("g"), "group_by without maintain_order"),
    (
        OPEN.select("g", m=V.max(), s=V.sum().over("k"), d=V.is_duplicated()),
        "group_by without maintain_order",
    ),
    (X.unique(), "unique without maintain_order"),
    (X.unique("g", keep="first"), "unique without maintain_order"),
    (X.join(Y, on="k"), "join without maintain_order"),
    (X.join(Y, on="k", how="left"), "join without maintain_order"),
    (X.join(Y, on="k", how="semi"), "join without maintain_order"),
    (X.join(Y, on="k", how="anti", maintain_order="right"), "join without maintain_order"),
    (
        X.join(Y, on="k", how="left", maintain_order="left"),
        "join that keeps the order of its left rows only",
    ),
    (
        X.join(Y, on="k", how="full", maintain_order="right"),
        "join that keeps the order of its right rows only",
    ),
    (X.join(Y, how="cross"), "cross join"),
    (
        X.join(Y, on="k", how="left", maintain_order="left").sort("k", maintain_order=True),
        "join that keeps the order of its left rows only",
    ),
    (X.sort("k"), "sort without maintain_order, which leaves rows with equal keys in any order"),
    (OPEN.sort("k"), "sort without maintain_order, which leaves rows with equal keys in any order"),
    (OPEN.sort("k", maintain_order=True), "group_by without maintain_order"),
    (pl.concat([X, X.unique()]), "unique without maintain_order"),
    (pl.union([X, X]), "union without maintain_order"),
    (X.select("k").merge_sorted(X.select("k"), "k"), "merge_sorted without maintain_order"),
    (X.unpivot(["v", "k"]), "unpivot"),
    (X.sql("select k from self"), "the order of sql isn't known"),
    (X.pivot("g", on_columns=["a"], index="k", values="v"), "pivot without maintain_order"),
    (X.join_where(Y, pl.col("v") > pl.col("w")), "the order of join isn't known"),
    (X.select(V.unique()), "unique() without maintain_order"),
    (X.select(V.mode()), "mode() without maintain_order"),
    (X.select(V.top_k(2)), "top_k() without an order"),
    (X.select(V.unique() + 1, w=pl.lit(1)), "unique() without maintain_order"),
    (OPEN.select(V.drop_nulls()), "group_by without maintain_order"),
    (
        OPEN.match_to_schema({"g": pl.String}, extra_columns="ignore"),
        "group_by without maintain_order",
    ),
]
GROUPED = "group_by without maintain_order"
UNSTABLE = [
    (OPEN.head(2), f"a slice of rows in no fixed order ({GROUPED})"),
    (OPEN.head(2).select(V.sum()), f"a slice of rows in no fixed order ({GROUPED})"),
    (OPEN.head(2).select(pl.len()), f"a slice of rows in no fixed order ({GROUPED})"),
    (OPEN.tail(2).sum(), f"a slice of rows in no fixed order ({GROUPED})"),
    (OPEN.with_row_index().select("index"), f"row numbers of rows in no fixed order ({GROUPED})"),
    (
        OPEN.select(pl.int_range(pl.len()).alias("i")),
        f"row number over rows in no fixed order ({GROUPED})",
    ),
    (
        OPEN.unique("k", keep="first"),
        f"unique() that keeps the first of rows in no fixed order ({GROUPED})",
    ),
    (
        pl.concat([OPEN, Y.select("w")], how="horizontal"),
        f"rows in no fixed order beside others ({GROUPED})",
    ),
    (Y.join_asof(OPEN.sort("k"), on="k"), "join_asof with rows in no fixed order (sort without"),
    (X.unique("g"), "unique(keep='any') that chooses one of several values"),
    (X.top_k(2, by="k"), "a slice of rows in no fixed order (sort without maintain_order"),
    (
        X.sort("k").select(V.cum_sum()),
        "cum_sum over rows in no fixed order (sort without maintain_order",
    ),
    (
        X.select(V.unique(), w=pl.col("k").filter(V > 0)),
        "values in no fixed order beside other columns (unique()",
    ),
    (X.with_columns(w=V.sort_by("k")), "values in no fixed order beside other columns (sort_by()"),
    (X.select(V.sort_by("k") + pl.col("k")), "values in no fixed order beside others (sort_by()"),
    (
        X.select(V.sort_by("k").first()),
        "first over rows in no fixed order (sort_by() without maintain_order)",
    ),
    (X.group_by("g").agg(V.unique()), "a list of values in no fixed order (unique() without"),
    (X.unique().group_by("g").agg(V), "a list of values in no fixed order (unique without"),
    (X.select(pl.col("l").list.unique()), "unique() without maintain_order"),
    (X.select(V.arg_max()), "arg_max() of several rows with equal values"),
    (X.select(V.max_by("k")), "max_by() of several rows with equal values"),
    (X.with_columns(w=V.arg_sort()), "arg_sort() of several rows with equal values"),
    (X.select(V.unique().over("g", mapping_strategy="explode")), "unique() without maintain_order"),
    (OPEN.sql("select v from self"), f"sql over rows in no fixed order ({GROUPED})"),
    (
        X.select(V.shuffle(seed=1)).unique().select(V.shuffle(seed=1)),
        "random over rows in no fixed order (unique",
    ),
    (
        OPEN.select(pl.struct("v").struct.with_fields(pl.field("v") + 1)),
        "an expression over rows in no fixed order",
    ),
    (OPEN.reverse().select("g"), f"reverse over rows in no fixed order ({GROUPED})"),
    *(
        (OPEN.select(getattr(V, method)()), "over rows in no fixed order")
        for method in (
            "cum_sum",
            "shift",
            "first",
            "last",
            "forward_fill",
            "interpolate",
            "diff",
            "rle_id",
            "implode",
            "reverse",
            "rank",
            "is_first_distinct",
            "cum_count",
        )
    ),
]


@pytest.mark.parametrize("frame", SETTLED)
def test_what_is_settled(frame: pl.LazyFrame) -> None:
    found = query_digests(frame)
    assert (found.unordered, found.unstable) == ("", "")


@pytest.mark.parametrize(("frame", "reason"), UNORDERED)
def test_why_the_order_is_open(frame: pl.LazyFrame, reason: str) -> None:
    with quiet():
        found = query_digests(frame)
    assert found.unordered == reason
    assert not found.unstable or "keep='any'" in found.unstable


@pytest.mark.parametrize(("frame", "reason"), UNSTABLE)
def test_why_the_result_is_not_determined(frame: pl.LazyFrame, reason: str) -> None:
    assert reason in query_digests(frame).unstable


@pytest.mark.parametrize(
    ("frame", "keys"),
    [
        (X.sort("k", "g"), ["g", "k"]),
        (X.sort("g", "k", "v", descending=True).head(3), ["g", "k"]),
        (X.sort("k", "g").select(V.cum_sum()), ["k", "g"]),
        (X.filter(V > 0).rename({"g": "h"}).sort("h", "k"), ["g", "k"]),
        (Y.join(X, on="k", how="left", maintain_order="left"), ["k"]),
        (X.group_by("g", maintain_order=True).agg(V.sort_by("k").last()), ["g", "k"]),
        (X.select(V.sort_by("k").last().over("g")), []),
    ],
)
def test_keys_of_inputs_settle_an_order(frame: pl.LazyFrame, keys: list[str]) -> None:
    before, after = query_digests(frame), query_digests(frame, {"x": keys})
    assert before.unordered or before.unstable
    assert bool(after.unordered or after.unstable) == (not keys)
    assert (before.columns, before.rows) == (after.columns, after.rows)


def test_keys_that_are_not_there_settle_nothing() -> None:
    assert query_digests(X.select("v").sort("v"), {"x": ["missing"], "z": ["k"]}).unordered


def test_selectors_and_computed_keys_settle_as_names_do() -> None:
    assert not query_digests(OPEN.sort(cs.string())).unordered
    assert query_digests(OPEN.sort(pl.col("g").str.to_lowercase())).unordered
