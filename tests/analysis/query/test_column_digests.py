"""A query that was followed wrongly is taken as a whole."""

from __future__ import annotations

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
