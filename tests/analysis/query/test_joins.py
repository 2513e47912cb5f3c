"""Columns of a join are those of its sides."""

from __future__ import annotations

from typing import Any

import polars as pl
import polars.selectors as cs
import pytest

from tests.behaviour.query.test_mutations import FRAMES, OTHER, SCHEMA, quiet
from tests.behaviour.query.test_names import check
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import parse_query, serialize_query

HOWS = ("inner", "left", "right", "full", "semi", "anti")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("coalesce", [None, True, False])
@pytest.mark.parametrize(
    "on",
    [
        {"on": "a"},
        {"on": ["a", "d"]},
        {"left_on": "a", "right_on": "k"},
        {"left_on": "n", "right_on": "a"},
        {"left_on": pl.col("a") + 1, "right_on": "a"},
        {"on": pl.col("a").name.keep()},
        {"on": cs.by_name("a", "d")},
    ],
)
def test_columns_of_joins_are_those_of_their_sides(
    how: Any, coalesce: bool | None, on: Any
) -> None:
    """Each value says which side and column it is from; the numbers must name that column as read."""
    left = {name: [f"left {name}"] for name in SCHEMA}
    right = {name: [f"right {name}"] for name in OTHER}
    rows = PlanWalk(keys={})
    with quiet():
        frame = FRAMES["x"].join(FRAMES["y"], how=how, coalesce=coalesce, suffix="_2", **on)
        if not check(frame):
            return
        keys = {key: value for key, value in on.items() if not isinstance(value, (str, list))}
        if keys:
            return
        names = [*on.values()]
        flat = [name for value in names for name in ([value] if isinstance(value, str) else value)]
        same = {name: ["key"] for name in flat}
        data = [
            pl.LazyFrame({**side, **{n: v for n, v in same.items() if n in side}})
            for side in (left, right)
        ]
        result = data[0].join(data[1], how=how, coalesce=coalesce, suffix="_2", **on).collect()
    relation = rows.relation(parse_query(serialize_query(frame)))
    for name in result.columns:
        for text in result[name].to_list():
            if text not in ("key", None):
                side, _, column = text.partition(" ")
                read = rows.sources.columns_of(relation.columns[name].reads)
                assert read == {"x" if side == "left" else "y": (column,)}, name
