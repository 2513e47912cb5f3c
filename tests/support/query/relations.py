"""The relation that a query is numbered as, and the columns that it reads."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from tidemill.analysis.query.placeholders import marked
from tidemill.analysis.query.plan_walk import Plan
from tidemill.analysis.query.serialized import parsed, written
from tidemill.analysis.query.value_numbers import Relation

X = marked("x", {"a": pl.Int64(), "b": pl.Float64(), "s": pl.String(), "l": pl.List(pl.Int64)})
Y = marked("y", {"a": pl.Int64(), "k": pl.Float64()})


def relation_of(frame: pl.LazyFrame) -> Relation:
    return Plan(keys={}).relation(parsed(written(frame)))


def reads_of(frame: pl.LazyFrame) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Per column of the result, and for its rows (`""`), the columns of each input."""
    plan = Plan(keys={})
    found = plan.relation(parsed(written(frame)))
    values = {name: plan.sources.named(value.reads) for name, value in found.columns.items()}
    return {"": plan.sources.named(found.reads), **values}
