"""Partitions that are said to be computable together get, value by value, what each of them gets alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl
import pytest
from polars.exceptions import PanicException, PolarsError

from tests.support.query import drawn
from tests.support.query.bits import rows_of
from tidemill.analysis.query.partitionwise import NotPartitionwise, min_partition_rows
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.serialized import UnreadableQuery, parse_query, serialize_query

Stage = Callable[[Mapping[str, pl.LazyFrame]], pl.LazyFrame]
CUTS = ({"one": "k", "two": "k", "three": "k"}, {"one": "k", "two": "k", "three": ""})
RAISED = (PolarsError, PanicException)


def least(stage: Stage, schemas: Mapping[str, Any], cuts: Mapping[str, str], column: str) -> int:
    """`least_rows` of a stage that is called on marked frames."""
    frames = {name: placeholder_frame(name, schema) for name, schema in schemas.items()}
    return min_partition_rows(parse_query(serialize_query(stage(frames))), cuts, column)


def together(
    stage: Stage, tables: Mapping[str, pl.DataFrame], cuts: Mapping[str, str], column: str
) -> tuple[dict[Any, Counter[Any]], dict[Any, Counter[Any]]] | None:
    """The rows of every partition from one query, and from a query each; None if those raise."""
    keys = {
        key for name, cut in cuts.items() if cut for key in tables[name].get_column(cut).to_list()
    }
    alone: dict[Any, Counter[Any]] = {}
    raised = False
    for key in keys:
        own = {
            name: table.filter(pl.col(cuts[name]) == key) if cuts[name] else table
            for name, table in tables.items()
        }
        try:
            alone[key] = rows_of(stage(drawn.lazy(own)).collect(engine="in-memory"))
        except RAISED:
            raised = True
    try:
        whole = stage(drawn.lazy(tables)).collect(engine="in-memory")
    except RAISED:
        # Then each is computed alone, whatever comes of it.
        return None
    assert not raised, "partitions that can't be computed are, together"
    split = {key: rows_of(whole.filter(pl.col(column) == key)) for key in keys}
    assert sum(map(Counter.total, split.values())) == whole.height
    return split, alone


def same(
    found: tuple[dict[Any, Counter[Any]], dict[Any, Counter[Any]]], least: int
) -> Iterable[Any]:
    """The partitions that differ, of those that have enough rows."""
    split, alone = found
    return [key for key, rows in split.items() if rows.total() >= least and rows != alone[key]]


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(12))
def test_partitions_get_together_what_they_get_alone(seed: int) -> None:
    rng = random.Random(seed)
    looked = 0
    for _ in range(60):
        stage, cuts = drawn.stage(rng, 4), rng.choice(CUTS)
        try:
            fewest = least(stage, drawn.INPUTS, cuts, "k")
        except (NotPartitionwise, UnreadableQuery):
            continue
        looked += 1
        for _ in range(6):
            tables = {
                name: table.drop_nulls("k") if cuts[name] else table
                for name, table in drawn.tables(rng, 14).items()
            }
            found = together(stage, tables, cuts, "k")
            if found is not None:
                assert not same(found, fewest), f"{stage.source} of {tables}"
    assert looked


FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    3.0,
    1e300,
    -1e300,
    5e-324,
    float("inf"),
    float("-inf"),
    float("nan"),
]
EXPRESSIONS = [
    "x.abs()", "-x", "x.sign()", "x.fill_null(y)", "x.fill_null(0.1)", "x.clip(y, y + 1)", "x.clip(-1, 1)",
    "pl.coalesce(x, y)", "x.round(2)", "x.round(0)", "x.floor()", "x.ceil()", "x.exp()", "x.log()",
    "x.log(3)", "x.sqrt()", "x.cbrt()", "pl.max_horizontal(x, y)", "pl.min_horizontal(x, y, 0.0)",
    "pl.sum_horizontal(x, y, n)", "pl.arctan2(x, y)", "x.sin()", "x.cos()", "x.tan()", "x.arcsin()",
    "x.arccos()", "x.arctan()", "x.sinh()", "x.cosh()", "x.tanh()", "x.degrees()", "x.radians()",
    "x.hash()", "pl.struct(x, y)", "x.replace(0.5, 0.1)", "x ** 2", "x ** 3", "x ** 0.5", "x ** -1",
    "x + y", "x - y", "x * y", "x / y", "x // y", "x % y", "x * 3", "x + 0.1", "0.1 - x", "1 / x", "n / m",
    "0 - x", "x - 0", "n + 0", "pl.sum_horizontal(x, 1)", "pl.sum_horizontal(n, 0)",
    "n // m", "n % m", "n // 3", "n % 3", "x.is_between(y, 1)", "x.is_in([0.5, 3.0])", "x > y", "x == y",
    "pl.when(x > y).then(x * y).otherwise(x)", "x.cast(pl.Float32)", "x.cast(pl.String)", "x.is_finite()",
    "x.cast(pl.Float32) * y.cast(pl.Float32)", "n.cast(pl.Float64) * 0.1", "x.cast(pl.Int64, strict=False)",
    "n.cast(pl.String).cast(pl.Enum(['0', '1', '2']), strict=False).to_physical()",
]  # fmt: skip
OF_TWO = [
    "2.0 ** x",
    "x / 3",
    "x // 3",
    "x % 3",
    "n / 7",
    "(x + y) / 60",
    "x ** n",
    "x ** y",
    "x / pl.lit(3.0).cast(pl.Float64)",
    "x + 0",
    "0.0 + x + y",
    "x + (pl.lit(1) - 1)",
    "pl.sum_horizontal(x, 0)",
]


def expression(text: str) -> pl.Expr:
    names = {name: pl.col(name) for name in ("x", "y", "n", "m")}
    return eval(text, {"pl": pl, **names})  # type: ignore[no-any-return]


def floats(rng: random.Random, heights: Iterable[int]) -> pl.DataFrame:
    """Partitions of so many rows of floats as they come in life, and as they rarely do."""

    def number() -> float | None:
        if rng.random() < 0.1:
            return None
        return rng.choice(FLOATS) if rng.random() < 0.2 else rng.gauss(0, 10)

    rows = [
        (key, number(), number(), rng.randint(-50, 50), rng.randint(1, 9))
        for key, height in enumerate(heights)
        for _ in range(height)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


SCHEMA: dict[str, Any] = {
    "k": pl.Int64(), "x": pl.Float64(), "y": pl.Float64(), "n": pl.Int64(), "m": pl.Int64(),
}  # fmt: skip


@pytest.mark.untraced
@pytest.mark.parametrize("text", [*EXPRESSIONS, *OF_TWO])
def test_floats_are_the_same_in_any_company(text: str) -> None:
    rng = random.Random(text)
    table = floats(rng, [rng.choice([1, 2, 3, 5, 8, 9, 17]) for _ in range(300)])

    def stage(frames: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
        return frames["t"].select("k", v=expression(text))

    fewest = least(stage, {"t": SCHEMA}, {"t": "k"}, "k")
    assert fewest == (2 if text in OF_TWO else 0)
    found = together(stage, {"t": table}, {"t": "k"}, "k")
    assert found is not None
    assert not same(found, fewest)


@pytest.mark.parametrize("text", ["x / 3", "x ** n", "x + 0", "pl.sum_horizontal(x, 0)"])
def test_a_row_alone_is_computed_in_another_way(text: str) -> None:
    table = floats(random.Random(text), [1] * 500)

    def stage(frames: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
        return frames["t"].select("k", v=expression(text))

    found = together(stage, {"t": table}, {"t": "k"}, "k")
    assert found is not None
    assert same(found, 0), "if that isn't so any more, it needn't be kept apart"


def test_one_group_of_many_rows_is_computed_in_another_way() -> None:
    table = floats(random.Random(1), [4] * 100)

    def stage(frames: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
        return frames["t"].select("k", v=(pl.col("n").sum() / 7).over("k"))

    with pytest.raises(NotPartitionwise, match="some groups"):
        least(stage, {"t": SCHEMA}, {"t": "k"}, "k")
    found = together(stage, {"t": table}, {"t": "k"}, "k")
    assert found is not None
    assert same(found, 2), "if that isn't so any more, it needn't be kept apart"


FRAMES: dict[str, dict[str, Any]] = {
    "t": {
        **SCHEMA,
        "s": pl.String(),
        "l": pl.List(pl.Int64),
        "d": pl.Date(),
        "c": pl.Categorical(),
    },
    "u": {"k": pl.Int64(), "m": pl.Int64(), "w": pl.Float64()},
    "v": {"k": pl.Int32(), "s": pl.String()},
    "all": {"n": pl.Int64(), "b": pl.Float64()},
}
APART = {"t": "k", "u": "k", "v": "k", "all": ""}


def answer(text: str) -> int | str:
    """`least_rows` of a query over frames `t` and `u`, or why there is none."""

    def stage(frames: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
        return eval(text, {"pl": pl, **frames})  # type: ignore[no-any-return]

    try:
        return least(stage, FRAMES, APART, "k")
    except NotPartitionwise as reason:
        return str(reason)


NO_KEY = "k isn't taken from an input as it is"
ANSWERS: dict[str, int | str] = {
    "t.select('k', 'n').rename({'n': 'a'}).sort('a')": 0,
    "t.rename({'k': 'kk'}).rename({'kk': 'k'})": 0,
    "t.drop('k')": NO_KEY,
    "t.with_columns(k=pl.col('k') + 1)": NO_KEY,
    "t.with_columns(pl.col('k').fill_null(0))": NO_KEY,
    "t.with_columns(pl.col('k', 'n').fill_null(0))": NO_KEY,
    "t.select(pl.col('k').alias('j'), k='n')": NO_KEY,
    "t.select(pl.lit(1).alias('k'))": "a select of no column",
    "t.head(3)": "Slice",
    "t.sort('n').head(3)": "Slice",
    "t.with_row_index()": "RowIndex",
    "t.explode('l')": 0,
    "t.filter(pl.col('x') / 3 > 1)": 2,
    "t.with_columns(pl.col('s').str.replace_all('a', pl.col('s')))": 2,
    "t.with_columns(pl.col('s').str.replace_all('a', 'b'))": 0,
    "t.filter(pl.col('x') / 3 > 1).explode('l')": "more rows than those of a quotient by a constant",
    "t.filter(pl.col('n') > pl.col('n').mean())": "Agg",
    "t.filter(pl.col('n') > pl.col('n').max().over('k'))": 0,
    "t.filter(pl.col('x').is_in(pl.Series([1.0, 2.0])))": 0,
    "t.filter(pl.col('n').is_in(pl.col('m').implode()))": "Boolean.IsIn of columns",
    "t.filter(pl.col('n').any_value() if False else pl.col('x').log1p() > 1)": "Log1p",
    "t.with_columns(a=pl.Series([1]))": "a column of values",
    "t.with_columns(a=pl.lit(pl.Series([1])))": "a column of values",
    "t.with_columns(a=pl.col('n').cum_sum())": "CumSum",
    "t.with_columns(a=pl.col('n').shift().over('k', order_by='n'))": "a window with an order",
    "t.with_columns(a=pl.col('n').sort().over('k', mapping_strategy='explode'))": "a window with an order",
    "t.with_columns(a=pl.len().over('s'))": "a window without the partition column",
    "t.with_columns(a=pl.len().over('k', pl.col('n') > 1))": 0,
    "t.with_columns(a=pl.col('x').mean().over('k'))": "mean()",
    "t.with_columns(a=pl.col('x').max().over('k'))": "max() of floats",
    "t.with_columns(a=pl.col('n').max().over('k') / pl.len().over('k'))": 0,
    "t.with_columns(a=(pl.col('n') / pl.col('n').sum()).over('k'))":
        "a quotient of rows and a value of their group",
    "t.with_columns(a=(pl.col('n') - pl.col('n').min()).over('k'))": 0,
    "t.with_columns(a=pl.col('n').max().over('k') / 3)": 2,
    "t.with_columns(a=(pl.col('n').max() / 3).over('k'))":
        "a quotient by a constant for each of some groups",
    "t.with_columns(a=pl.col('n').shift().over('k'))": "Shift",
    "t.with_columns(a=pl.col('n').unique_counts().over('k'))": "UniqueCounts",
    "t.with_columns(a=pl.col('n').is_null().any().over('k'))": 0,
    "t.unique()": "unique() that keeps one of several rows",
    "t.select('k', 's').unique()": 0,
    "t.select('k', 'c').unique()": "unique() that keeps one of several rows",
    "t.unique(['k', 's'])": "unique() that keeps one of several rows",
    "t.unique(['k', 's'], keep='none')": 0,
    "t.unique(['s'], keep='none')": "unique() without the partition column",
    "all.unique()": "unique() of rows of no partition",
    "t.group_by('k').agg(pl.len(), a=pl.col('n').sum() / 3)": 2,
    "t.group_by('k').agg(a=pl.col('n').filter(pl.col('x') / 3 > 1).sum())": 2,
    "t.group_by('k').agg(a=(pl.col('x') / 3 > 1).any())": 2,
    "t.group_by('k').agg('n')": "values of a group as a list",
    "t.group_by('k').agg(pl.col('n').sort())": "Sort",
    "t.group_by('s').agg(pl.len())": "group_by without the partition column",
    "t.group_by('k', 'x').agg(pl.len())": "groups by floats",
    "t.group_by('k', a=pl.col('n') % 3).agg(pl.len())": 0,
    "t.group_by('k').having(pl.len() > 1).agg(pl.col('n').n_unique())": 0,
    "t.sort('d').group_by_dynamic('d', every='1d', group_by='k').agg(pl.len())":
        "groups by windows, functions or slices",
    "all.group_by('n').agg(pl.len())": "groups of rows of no partition",
    "t.join(u, on='k')": 0,
    "t.join(u, on=['k', 'm'], how='left')": 0,
    "t.join(u, on='m')": "a join without the partition column of both sides",
    "t.join(v.with_columns(pl.col('k').cast(pl.Int64)), on='k')":
        "a join without the partition column of both sides",
    "t.join(u, on='k', how='full', coalesce=True)": "a join of kind Full",
    "t.join(all, on='n')": 0,
    "t.filter(pl.col('x') / 3 > 1).join(all, on='n', how='semi')": 2,
    "t.filter(pl.col('x') / 3 > 1).join(all, on='n')": "more rows than those of a quotient by a constant",
    "t.join(all.filter(pl.col('b') / 3 > 1), on='n', how='semi')":
        "a join with rows of which it isn't seen how many there are",
    "all.join(t, on='n')": "a join of rows of no partition with those of partitions",
    "all.join(all, on='n')": NO_KEY,
    "pl.concat([u, u])": 0,
    "pl.concat([u, u.filter(pl.col('w') / 3 > 1)])": "more rows than those of a quotient by a constant",
    "pl.concat([all, all])": "rows of no partition below others",
    "t.with_columns(a=pl.col('n').cast(pl.dtype_of('m')))": "a cast to a type that is computed",
    "t.with_columns((pl.col('n', 'm') // 3).name.suffix('_'))": "a query that isn't understood",
}  # fmt: skip


@pytest.mark.parametrize("text", ANSWERS)
def test_why_partitions_meet(text: str) -> None:
    assert answer(text) == ANSWERS[text]


def test_a_sort_that_keeps_some_rows() -> None:
    frame = placeholder_frame("t", SCHEMA).sort("n")
    tree = parse_query(serialize_query(frame))
    tree["Sort"]["slice"] = [0, 3]
    with pytest.raises(NotPartitionwise, match="a slice"):
        min_partition_rows(tree, {"t": "k"}, "k")
