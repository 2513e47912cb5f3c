"""What is taken for granted of Polars: what it calls things, what selectors give, what commutes."""

from __future__ import annotations

from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from polars.exceptions import PolarsError

from tests.behaviour.query.test_mutations import EXPRESSIONS, FRAMES, SCHEMA, quiet
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import parse_query, serialize_query

NAMES: dict[str, Any] = {
    "pl": pl,
    "cs": cs,
    **FRAMES,
    **{name: pl.col(name) for name in SCHEMA if name not in FRAMES},
}
# In the place of a column: several, or the same by another name.
WIDE = {
    "a": cs.signed_integer(),
    "b": cs.float(),
    "s": cs.string(),
    "f": cs.boolean(),
    "l": cs.list(),
}


def check(frame: pl.LazyFrame) -> bool:
    """Whether Polars knows the query; its names are those that are given here."""
    with quiet():
        try:
            expected = list(frame.collect_schema())
        except PolarsError:
            return False
    assert list(PlanWalk(keys={}).relation(parse_query(serialize_query(frame))).columns) == expected
    return True


def evaluated(text: str, names: dict[str, Any]) -> Any:
    with quiet():
        return eval(text, names)


@pytest.mark.parametrize("group", EXPRESSIONS)
def test_expressions_are_called_as_polars_calls_them(group: str) -> None:
    for text in EXPRESSIONS[group]:
        expression = evaluated(text, NAMES)
        assert check(FRAMES["x"].select(expression)), text
        assert check(FRAMES["x"].with_columns(expression)), text
        check(FRAMES["x"].select(expression.name.prefix("p_"), expression.name.suffix("_2")))
        check(FRAMES["x"].select(expression.name.to_uppercase(), expression.alias("w").name.keep()))
        check(FRAMES["x"].group_by("d").agg(expression))


def test_expressions_over_selectors_are_called_as_polars_calls_them() -> None:
    known = 0
    for text in (text for group in EXPRESSIONS.values() for text in group):
        try:
            expression = evaluated(text, {**NAMES, **WIDE})
        except TypeError:
            continue  # a selector is not an expression everywhere
        known += check(FRAMES["x"].select(expression))
        check(FRAMES["x"].group_by("a").agg(expression))
    assert known > 300
