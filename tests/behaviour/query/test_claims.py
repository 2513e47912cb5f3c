"""What a term claims of an expression holds on data: how many values it has, and that rows are alone."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.behaviour.query.test_mutations import EXPRESSIONS, FRAMES, SCHEMA, quiet
from tests.support.query import drawn
from tests.support.query.judge import MARKED
from tests.support.query.shape import Shape
from tidemill.analysis.query.evaluation_scope import EvaluationScope
from tidemill.analysis.query.expressions import number_expression
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import parse_query, serialize_query
from tidemill.analysis.query.value_numbers import ONE, Relation, Value


def table(rng: random.Random, height: int) -> pl.DataFrame:
    """Rows for the schema of the mutations, sorted by time so that windows fit."""
    day, moment = dt.date(2024, 2, 27), dt.datetime(2024, 3, 30, 23)
    values: dict[str, list[Any]] = {
        "a": [0, 1, 2, 3, None, -1],
        "b": [0.5, -0.0, 0.0, 1.25, float("nan"), None, -2.0],
        "c": [0.5, 1.0, None, 3.0],
        "n": [1, 2, 3, None],
        "u": [1, 2, 3],
        "s": ["a", "b", "2024", "24", "", None, "ab", "1f"],
        "r": ["a", "x", None],
        "f": [True, False, None],
        "h": [True, False],
        "d": [day + dt.timedelta(days) for days in range(5)],
        "t": [moment + dt.timedelta(hours=hours) for hours in range(6)],
        "z": [(moment + dt.timedelta(hours=hours)).replace(tzinfo=dt.UTC) for hours in range(4)],
        "l": [[], [1], [2, 1], [None, 3], None],
        "m": [[1], [2, 2], []],
        "e": ["x", "y", None],
        "w": [[1, 2], [3, None], None],
        "i": [b"a", b"", b"bab", None],
        "g": ["a", "b", "ab", None],
        "o": [{"p": 1, "q": 2}, {"p": None, "q": 3}],
    }
    rows = {name: [rng.choice(values[name]) for _ in range(height)] for name in SCHEMA}
    return pl.DataFrame(rows, schema=SCHEMA).sort("t", maintain_order=True)


def numbers(expression: pl.Expr, frame: pl.LazyFrame) -> tuple[Value, Relation, bool]:
    """The value of an expression, the frame below it, and whether the value is of its own row only."""
    tree = parse_query(serialize_query(frame.select(v=expression)))["Select"]
    below = PlanWalk(keys={}).relation(tree["input"])
    schema = dict(frame.collect_schema())
    (one, two) = (
        number_expression(tree["expr"][0], EvaluationScope.of(relation, lambda: schema))
        for relation in (below, replace(below, rows="others"))
    )
    return one, below, one.term == two.term


def _unsigned(value: Any) -> Any:
    """A float zero without its sign; other values as they are."""
    return 0.0 if isinstance(value, float) and value == 0 else value


def check(expression: pl.Expr, frame: pl.LazyFrame, data: pl.DataFrame) -> str:
    """What was claimed and held; empty if Polars can't compute it."""
    found, below, alone = numbers(expression, frame)
    try:
        result = data.select(v=expression)["v"].to_list()
        parts = [data[at : at + 1].select(v=expression)["v"].to_list() for at in range(data.height)]
    except drawn.RAISED:
        return ""
    if found.length == ONE:
        assert len(result) == 1
        assert not alone or all(repr(part) == repr(result) for part in parts)
        return "one value"
    if found.length != below.length:
        return "another length"
    assert len(result) == data.height
    if not alone:
        return "as many values as rows"
    # Polars returns -0.0 + 0 as it is, but in a frame of one row as 0.0.
    assert repr([_unsigned(part[0]) for part in parts]) == repr(list(map(_unsigned, result)))
    return "each row alone"


@pytest.mark.parametrize("group", EXPRESSIONS)
@pytest.mark.parametrize("height", [0, 1, 5])
def test_claims_about_expressions_hold(group: str, height: int) -> None:
    names = {name: pl.col(name) for name in SCHEMA if name not in FRAMES}
    for text in EXPRESSIONS[group]:
        with quiet():
            expression = eval(text, {"pl": pl, "cs": cs, **names})
            check(expression, FRAMES["x"], table(random.Random(height), height))


@given(st.integers(0, 2**32 - 1))
def test_claims_about_random_expressions_hold(seed: int) -> None:
    rng = random.Random(seed)
    name = rng.choice(list(drawn.INPUTS))
    for _ in range(3):
        text = Shape(rng, drawn.INPUTS[name]).filled("$V", 3)
        with quiet():
            try:
                expression = eval(text, {"pl": pl, "cs": cs, "dt": dt})
                frame = MARKED[name].select(v=expression).collect_schema()
            except drawn.RAISED:
                continue
            assert frame
            check(expression, MARKED[name], drawn.table(rng, name, rng.choice([0, 1, 5])))


def test_every_claim_is_made() -> None:
    names = {name: pl.col(name) for name in SCHEMA if name not in FRAMES}
    data = table(random.Random(0), 6)
    found = []
    with quiet():
        for text in (text for group in EXPRESSIONS.values() for text in group):
            expression = eval(text, {"pl": pl, "cs": cs, **names})
            found.append(check(expression, FRAMES["x"], data))
    assert found.count("each row alone") > 150
    assert found.count("as many values as rows") > 60
    assert found.count("") < 60
