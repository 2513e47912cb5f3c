"""A query that was followed wrongly is taken as a whole."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tidemill.analysis.query.column_digests import Numbered, numbered
from tidemill.analysis.query.placeholders import marked
from tidemill.analysis.query.plan_walk import Plan
from tidemill.analysis.query.serialized import Unreadable
from tidemill.analysis.query.value_numbers import Lost, Relation, Unknown

X = marked("x", {"a": pl.Int64(), "b": pl.Float64(), "s": pl.String(), "l": pl.List(pl.Int64)})


A = pl.col("a")


def whole(found: Numbered) -> bool:
    return found.unordered == "the order of a query that isn't understood"


def test_a_query_that_was_followed_wrongly_is_taken_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = X.select("a", v=A + 1)
    assert not whole(numbered(frame))
    for reason in (Lost("a column"), Unknown("a thing"), KeyError("a key")):

        def lost(*_: object, error: Exception = reason) -> Relation:
            raise error

        monkeypatch.setattr(Plan, "relation", lost)
        found = numbered(frame)
        assert whole(found)
        assert dict(found.columns["v"].reads) == {"x": ("a", "b", "s", "l")}
        assert found.columns["v"].digest != found.columns["a"].digest
        assert found.columns["v"].digest != numbered(X.select("a", v=A + 2)).columns["v"].digest
        assert found.columns["v"].digest == numbered(X.select("a", v=A + 1)).columns["v"].digest


def test_a_query_that_is_too_deep_to_follow_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    def deep(*_: object) -> Relation:
        raise RecursionError

    monkeypatch.setattr(Plan, "relation", deep)
    with pytest.raises(Unreadable, match="nested too deeply"):
        numbered(X)


def test_other_names_than_those_of_polars_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    follow = Plan.relation

    def swapped(plan: Plan, tree: Any) -> Relation:
        found = follow(plan, tree)
        return found.with_columns(dict(reversed(list(found.columns.items()))))

    monkeypatch.setattr(Plan, "relation", swapped)
    assert whole(numbered(X.select("a", "b")))
