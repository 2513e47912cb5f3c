"""A query that is said to be row-wise gives each row what it gives it among others, bit by bit."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import polars as pl
import pytest
from polars.exceptions import PanicException, PolarsError

from tests.support.query import drawn
from tests.support.query.bits import rows_of
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.row_wise import NotRowWise, RowWise, row_wise_query
from tidemill.analysis.query.serialized import UnreadableQuery, parse_query, serialize_query

RAISED = (PolarsError, PanicException)


def judged(stage: drawn.Drawn, rows: str) -> RowWise:
    frames = {name: placeholder_frame(name, schema) for name, schema in drawn.INPUTS.items()}
    return row_wise_query(parse_query(serialize_query(stage(frames))), rows, drawn.INPUTS[rows])


def collected(stage: drawn.Drawn, tables: dict[str, pl.DataFrame]) -> Counter[Any]:
    return rows_of(stage(drawn.lazy(tables)).collect(engine="in-memory"))


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(8))
def test_rows_get_alone_what_they_get_among_others(seed: int) -> None:
    rng = random.Random(seed)
    looked = 0
    for _ in range(400):
        stage, rows = drawn.stage(rng, 3), rng.choice(["one", "two", "three"])
        try:
            found = judged(stage, rows)
        except (NotRowWise, UnreadableQuery):
            continue
        tables = drawn.tables(rng, 9)
        given = tables[rows]
        each = 2 if found.repeat else 1
        try:
            whole = collected(stage, {**tables, rows: pl.concat([given] * each)})
        except RAISED:
            continue
        alone: Counter[Any] = Counter()
        for at in range(given.height):
            alone += collected(stage, {**tables, rows: pl.concat([given[at]] * each)})
        assert alone == whole, f"{stage.source} by rows of {rows} of {tables}"
        looked += 1
        if looked == 12:
            return
    assert looked > 5


SCHEMA = {"k": pl.Int64(), "x": pl.Float64(), "s": pl.String()}


def answer(text: str) -> RowWise | str:
    """What is said of a query over the rows `t` and the lookup `u`."""
    frames = {name: placeholder_frame(name, SCHEMA) for name in ("t", "u")}
    query = eval(text, {"pl": pl, **frames})
    try:
        return row_wise_query(parse_query(serialize_query(query)), "t", SCHEMA)
    except NotRowWise as reason:
        return str(reason)


def plain(*kept: str, repeat: bool = False) -> RowWise:
    return RowWise(kept=frozenset(kept), repeat=repeat)


ANSWERS = {
    "t": plain("k", "x", "s"),
    "t.select('k', y=pl.col('x') * 2)": plain("k"),
    "t.select('k', y=pl.col('x') / 3)": plain("k", repeat=True),
    "t.filter(pl.col('x') > 1)": plain("k", "x", "s"),
    "t.with_columns(x=pl.col('x') + 1)": plain("k", "s"),
    "t.with_columns(c=pl.col('s').cast(pl.Enum(['a', 'b'])).to_physical())": plain("k", "x", "s"),
    "pl.concat([t, u])": "concat() with other rows",
    "t.rename({'k': 'key'})": plain("x", "s"),
    "t.join(u.select('k', y='x'), on='k', how='left')": plain("k", "x", "s"),
    # More rows after a quotient are no matter: the rows of a request are repeated.
    "t.with_columns(y=pl.col('x') / 3).join(u.select('k', z='x'), on='k')": plain("k", "x", "s", repeat=True),
    # What looks at the lookup alone may look at all of it.
    "t.join(u.group_by('s').agg(y=pl.col('x').mean()), on='s', how='left')": plain("k", "x", "s"),
    "t.join(u.sort('x').unique('k', keep='last').select('k', y='x'), on='k')": plain("k", "x", "s"),
    "pl.concat([t.filter(pl.col('x') > 1), t.filter(pl.col('x') < 0)])": plain("k", "x", "s"),
    "t.sort('x')": plain("k", "x", "s"),
    "t.select('k', pl.col('x').mean().over('k'))": "over(), which looks at several rows",
    "t.group_by('k').agg(pl.col('x').sum())": "group_by(), which looks at several rows",
    "t.unique('k')": "unique()",
    "t.join(t.select('k', y='x'), on='k')": "a join with itself",
    "t.select('k', pl.col('x').rank())": "Rank",
    "t.select('k', pl.col('x').shift())": "Shift",
    "t.select('k', pl.len())": "len()",
    "t.select('k', y=pl.col('x') - pl.col('x').mean())": "an aggregate of all rows, such as mean() or max()",
    "t.filter((pl.col('x') > 3).any())": "an aggregate of all rows, such as any()",
    "t.head(3)": "head(), tail() or slice()",
    "u": "rows that don't come from t",
    "u.join(t, on='k')": "a join to other rows, which come first",
}  # fmt: skip


@pytest.mark.parametrize("text", ANSWERS)
def test_what_is_said_of_a_query(text: str) -> None:
    assert answer(text) == ANSWERS[text]


def test_a_frame_of_the_query_itself_is_a_lookup() -> None:
    frame = placeholder_frame("t", SCHEMA)
    query = frame.join(pl.LazyFrame({"k": [1], "z": [2]}), on="k", how="left")
    found = row_wise_query(parse_query(serialize_query(query)), "t", SCHEMA)
    assert found == plain("k", "x", "s")


def test_a_query_of_an_unknown_form_is_refused() -> None:
    with pytest.raises(NotRowWise, match="isn't understood"):
        row_wise_query({"Filter": {"t": {"DataFrameScan": {"schema": {"fields": {}}}}}}, "", ())
