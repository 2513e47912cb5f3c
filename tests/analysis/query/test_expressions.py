"""Expressions are numbered by what they compute."""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import Any

import polars as pl
import pytest
from polars.exceptions import PolarsError

from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import parse_query, serialize_query

NUMBERS = [
    pl.Int8,
    pl.Int16,
    pl.Int32,
    pl.Int64,
    pl.Int128,
    pl.UInt8,
    pl.UInt16,
    pl.UInt32,
    pl.UInt64,
    pl.Float32,
    pl.Float64,
    pl.Float16,
]


PAIRS = [*combinations_with_replacement(NUMBERS, 2)]


SYMMETRIC: list[Callable[[Any, Any], Any]] = [operator.add, operator.mul, operator.eq, operator.ne]


@pytest.mark.parametrize("work", SYMMETRIC)
def test_numbers_commute(work: Callable[[Any, Any], pl.Expr]) -> None:
    """Polars finds the same type and the same bits whichever comes first."""
    values = [0, 1, 2, 100, 127, None]
    floats = [0.0, -0.0, 0.1, float("nan"), float("inf"), None]
    literals = [
        pl.lit(1),
        pl.lit(300),
        pl.lit(2**40),
        pl.lit(-1),
        pl.lit(0.1),
        pl.lit(-0.0),
        pl.lit(3, pl.Int8),
    ]
    for one, two in PAIRS:
        left = pl.Series("l", floats if one().is_float() else values).cast(one)
        right = pl.Series("r", (floats if two().is_float() else values)[::-1]).cast(two)
        frame = pl.DataFrame([left, right])
        for other in (pl.col("r"), *literals):
            there, back = (
                frame.select(v=work(*pair)) for pair in ((pl.col("l"), other), (other, pl.col("l")))
            )
            assert there.schema == back.schema
            assert repr(there["v"].to_list()) == repr(back["v"].to_list())


@pytest.mark.parametrize("work", [operator.eq, operator.ne, operator.and_, operator.or_])
def test_comparisons_and_logic_commute(work: Callable[[Any, Any], pl.Expr]) -> None:
    frame = pl.DataFrame(
        {
            "f": [True, False, None] * 3,
            "h": [True] * 3 + [False] * 3 + [None] * 3,
            "s": ["a", "b", None] * 3,
            "e": pl.Series(["a"] * 3 + ["b"] * 3 + [None] * 3, dtype=pl.Enum(["b", "a"])),
            "l": [[1], [], None] * 3,
            "c": pl.Series(["a"] * 3 + ["b"] * 3 + [None] * 3, dtype=pl.Categorical),
            "n": range(9),
        }
    )
    done = 0
    for one, two in [*combinations_with_replacement(frame.columns, 2)]:
        try:
            there = frame.select(v=work(pl.col(one), pl.col(two)))
        except PolarsError:
            with pytest.raises(PolarsError):
                frame.select(v=work(pl.col(two), pl.col(one)))
            continue
        done += 1
        assert there.equals(frame.select(v=work(pl.col(two), pl.col(one))))
    assert done > 3


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        (pl.col("a").name.replace("a", "z"), "z"),
        (pl.col("a").name.to_lowercase(), "a"),
        (pl.col("a").alias("Ä").name.keep().name.to_lowercase(), "a"),
        (pl.lit(1).name.prefix("p_"), "p_literal"),
    ],
)
def test_names_made_by_rules(expression: pl.Expr, name: str) -> None:
    frame = placeholder_frame("x", {"a": pl.Int64()}).select(expression)
    found = PlanWalk(keys={}).relation(parse_query(serialize_query(frame)))
    assert list(found.columns) == [name]
