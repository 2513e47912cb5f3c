"""What is taken for granted of Polars: what it calls things, what selectors give, what commutes."""

from __future__ import annotations

import io
import json
import operator
from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.exceptions import PanicException, PolarsError

from tests.behaviour.query.test_mutations import EXPRESSIONS, FRAMES, OTHER, SCHEMA, quiet
from tests.support.query import drawn
from tests.support.query.templates import SELECTORS
from tidemill.analysis.query import known_functions as vocabulary
from tidemill.analysis.query.plan_walk import Plan
from tidemill.analysis.query.selectors import expand
from tidemill.analysis.query.serialized import parsed, written
from tidemill.analysis.query.value_numbers import Unknown

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
    assert list(Plan(keys={}).relation(parsed(written(frame))).columns) == expected
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


@pytest.mark.parametrize(
    "dtype", [pl.Int64, pl.Float64, pl.String, pl.Boolean, pl.Date, pl.List(pl.Int8)]
)
def test_functions_take_selectors_as_they_are_said_to(dtype: Any) -> None:
    """Either all columns are operands of one function, or each column has a function of its own."""
    frame = pl.LazyFrame(schema={"a": dtype, "b": dtype})
    known = 0
    for name, kind in vocabulary._KINDS.items():
        family, _, member = name.rpartition(".")
        called = {family: member} if family else member
        tree = {"Function": {"input": [{"Selector": "Wildcard"}], "function": called}}
        try:
            chosen = pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json")
            found = frame.select(chosen).collect_schema().names()
        except (PolarsError, PanicException):
            continue
        known += kind is not vocabulary.Kind.OTHER
        assert found == (["a"] if name in vocabulary.HORIZONTAL else ["a", "b"]), name
    assert known > 5


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
    rows = Plan(keys={})
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
    relation = rows.relation(parsed(written(frame)))
    for name in result.columns:
        for text in result[name].to_list():
            if text not in ("key", None):
                side, _, column = text.partition(" ")
                read = rows.sources.named(relation.columns[name].reads)
                assert read == {"x" if side == "left" else "y": (column,)}, name


@pytest.mark.parametrize(
    "selector", [*SELECTORS, "cs.by_name('x', 'k')", "cs.by_name('q', require_all=False)"]
)
@pytest.mark.parametrize("source", drawn.INPUTS)
@pytest.mark.parametrize("groups", [None, ["k"], ["g", "k"], ["none"]])
def test_selectors_give_what_polars_gives(
    selector: str, source: str, groups: list[str] | None
) -> None:
    schema = drawn.INPUTS[source]
    chosen = eval(selector, {"pl": pl, "cs": cs})
    frame = pl.LazyFrame(schema=schema)
    try:
        if groups is None:
            expected = frame.select(chosen).collect_schema().names()
        else:
            keys = [pl.lit(1).alias(name) if name not in schema else name for name in groups]
            made = frame.group_by(keys).agg(chosen.name.suffix("!"))
            expected = [name[:-1] for name in made.collect_schema().names()[len(groups) :]]
    except PolarsError:
        return
    (tree,) = parsed(written(frame.select(chosen)))["Select"]["expr"]
    assert expand(tree["Selector"], list(schema), lambda: schema, groups) == expected


@given(
    st.lists(st.sampled_from("abcde"), unique=True),
    st.lists(st.sampled_from("abcdef"), unique=True),
)
def test_everyday_selectors_are_expanded_as_polars_does(
    columns: list[str], names: list[str]
) -> None:
    schema = dict.fromkeys(columns, pl.Int8())
    listed: dict[str, Any] = {"ByName": {"names": names, "strict": True}}
    for selector in ("Wildcard", listed, {"Difference": ["Wildcard", listed]}):
        chosen = cs.by_name(*names) if names else cs.by_name([])
        expression: Any = pl.all()
        if selector != "Wildcard":
            expression = chosen if selector is listed else cs.all() - chosen
        try:
            expected = pl.LazyFrame(schema=schema).select(expression).collect_schema().names()
        except PolarsError:
            with pytest.raises(Unknown):
                expand(selector, columns, lambda: schema, None)
        else:
            assert expand(selector, columns, lambda: schema, None) == expected


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
