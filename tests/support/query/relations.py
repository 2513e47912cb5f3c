"""The relation that a query is numbered as, and the columns that it reads."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import parse_query, serialize_query
from tidemill.analysis.query.value_numbers import Relation

X = placeholder_frame(
    "x", {"a": pl.Int64(), "b": pl.Float64(), "s": pl.String(), "l": pl.List(pl.Int64)}
)
Y = placeholder_frame("y", {"a": pl.Int64(), "k": pl.Float64()})


def relation_of(frame: pl.LazyFrame) -> Relation:
    return PlanWalk(keys={}).relation(parse_query(serialize_query(frame)))


def reads_of(frame: pl.LazyFrame) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Per column of the result, and for its rows (`""`), the columns of each input."""
    plan = PlanWalk(keys={})
    found = plan.relation(parse_query(serialize_query(frame)))
    values = {name: plan.sources.columns_of(value.reads) for name, value in found.columns.items()}
    return {"": plan.sources.columns_of(found.reads), **values}
