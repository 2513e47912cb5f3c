"""A query that was followed wrongly is taken as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from tidemill.analysis.query.column_digests import QueryDigests, query_digests
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import UnreadableQuery
from tidemill.analysis.query.value_numbers import MissingColumn, Relation, UnknownMeaning

X = placeholder_frame(
    "x", {"a": pl.Int64(), "b": pl.Float64(), "s": pl.String(), "l": pl.List(pl.Int64)}
)


A = pl.col("a")


def whole(found: QueryDigests) -> bool:
    return found.unordered == "the order of a query that isn't understood"


def test_a_query_that_was_followed_wrongly_is_taken_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = X.select("a", v=A + 1)
    assert not whole(query_digests(frame))
    for reason in (MissingColumn("a column"), UnknownMeaning("a thing"), KeyError("a key")):

        def lost(*_: object, error: Exception = reason) -> Relation:
            raise error

        monkeypatch.setattr(PlanWalk, "relation", lost)
        found = query_digests(frame)
        assert whole(found)
        assert dict(found.columns["v"].reads) == {"x": ("a", "b", "s", "l")}
        assert found.columns["v"].digest != found.columns["a"].digest
        assert (
            found.columns["v"].digest != query_digests(X.select("a", v=A + 2)).columns["v"].digest
        )
        assert (
            found.columns["v"].digest == query_digests(X.select("a", v=A + 1)).columns["v"].digest
        )


def test_a_query_that_is_too_deep_to_follow_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    def deep(*_: object) -> Relation:
        raise RecursionError

    monkeypatch.setattr(PlanWalk, "relation", deep)
    with pytest.raises(UnreadableQuery, match="nested too deeply"):
        query_digests(X)


def test_other_names_than_those_of_polars_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    follow = PlanWalk.relation

    def swapped(plan: PlanWalk, tree: Any) -> Relation:
        found = follow(plan, tree)
        return found.with_columns(dict(reversed(list(found.columns.items()))))

    monkeypatch.setattr(PlanWalk, "relation", swapped)
    assert whole(query_digests(X.select("a", "b")))


Y = placeholder_frame("y", {"a": pl.Int64(), "z": pl.Float64()})
ROWS = {
    "x": pl.LazyFrame({"a": [3, 1, 2, 1], "b": [1.5, float("nan"), None, 9.0], "s": list("qprq"),
                       "l": [[7], [8, 9], [], [7]]}),
    "y": pl.LazyFrame({"a": [1, 3, 3], "z": [10.0, 20.0, 30.0]}),
}  # fmt: skip
# A query, and the columns that have the values of one input column.
COPIES: list[tuple[Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame], dict[str, str]]] = [
    (lambda x, y: x.select("a", c="b", d=A + 1), {"a": "x.a", "c": "x.b"}),
    (lambda x, y: x.filter(A > 1).sort("b").head(2), dict.fromkeys("absl", "")),
    (lambda x, y: x.rename({"s": "t"}).unique("a", keep="first"), dict.fromkeys("abtl", "")),
    (lambda x, y: x.with_columns(b=pl.col("b").fill_null(0.0), s=pl.col("s").shift()), {"a": "", "l": ""}),
    (lambda x, y: x.select("s", pl.col("b").fill_nan(0.0)), {"s": ""}),
    (lambda x, y: x.fill_nan(-1.0), {}),
    (lambda x, y: x.cast({"a": pl.Int32}), {"b": "", "s": "", "l": ""}),
    (lambda x, y: x.explode("l", empty_as_null=True, keep_nulls=True), {}),
    (lambda x, y: x.select("s", t=pl.struct("a", "b")).unnest("t"), {"s": ""}),
    (lambda x, y: x.group_by("s", maintain_order=True).agg(A.sum(), pl.col("b").first()), {"s": ""}),
    (lambda x, y: x.sort("a").group_by_dynamic("a", every="2i").agg(pl.len()), {}),
    (
        lambda x, y: x.join(y, on="a", how="left").select("a", "b", "z"),
        {"a": "x.a", "b": "x.b", "z": "y.z"},
    ),
    (lambda x, y: x.join(y, on="a").select("a", "z"), {"a": "x.a", "z": "y.z"}),
    (lambda x, y: x.join(y, on="a", how="right").select("a", "b"), {"b": "x.b"}),
    (lambda x, y: x.join(y, on="a", how="full", coalesce=True).select("a", "b"), {"b": "x.b"}),
    (lambda x, y: x.join(y, on="a", how="left", coalesce=False).select("a", "a_right"),
     {"a": "x.a", "a_right": "y.a"}),
    (lambda x, y: x.sort("a").join_asof(y, on="a").select("a", "z"), {"a": "x.a", "z": "y.z"}),
    (lambda x, y: x.join(y, on="a", how="semi"), dict.fromkeys("absl", "")),
    (lambda x, y: x.join(y, on="a", how="full").select("s", "a_right"), {"s": "", "a_right": "y.a"}),
    (lambda x, y: pl.concat([x.select("a"), y.select("a")]), {}),
    (
        lambda x, y: pl.concat([x.select("s"), x.select(c="a")], how="horizontal"),
        {"s": "", "c": "x.a"},
    ),
    (lambda x, y: x.select(pl.when(A > 1).then("b").otherwise(None), A.over("s")), {}),
    (lambda x, y: x.select("s", A.max()), {"s": ""}),
    (lambda x, y: x.unpivot(["b"], index="s"), {}),
    (lambda x, y: x.with_row_index("a2").select("a2", "a"), {"a": ""}),
    (lambda x, y: x.set_sorted("a"), dict.fromkeys("bsl", "")),
]  # fmt: skip


@pytest.mark.parametrize(("query", "copies"), COPIES)
def test_copied_columns_have_the_values_of_one_input_column(
    query: Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame], copies: dict[str, str]
) -> None:
    found = query_digests(query(X, Y))
    copied = {
        name: f"{source}.{column}"
        for name, each in found.columns.items()
        if each.copied
        for source, (column,) in each.values.items()
    }
    assert copied.keys() == copies.keys()
    assert all(copied[name] == wanted for name, wanted in copies.items() if wanted)
    rows = query(ROWS["x"], ROWS["y"]).collect()
    for name, place in copied.items():
        source, _, column = place.partition(".")
        given = {repr(value) for value in ROWS[source].collect()[column]} | {"None"}
        assert {repr(value) for value in rows[name]} <= given


def test_what_decides_about_rows_is_told_from_what_values_come_from() -> None:
    query = (
        X.filter(pl.col("s") == "q").join(Y, on="a").select(t=pl.col("b") + pl.col("z"), n=pl.len())
    )
    found = query_digests(query)
    assert found.row_reads == {"x": ("a", "s"), "y": ("a",)}
    assert found.columns["t"].values == {"x": ("b",), "y": ("z",)}
    for column in found.columns.values():
        both = [*found.row_reads.items(), *column.values.items()]
        assert {(s, c) for s, names in both for c in names} == {
            (s, c) for s, names in column.reads.items() for c in names
        }
