"""Many partitions that are judged at once are judged as each of them alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from polars.exceptions import PolarsError
from polars.testing import assert_frame_equal

import tidemill as tm
from tests.support.reference_checker import contracts, frames
from tests.support.thoroughness import examples, thorough
from tidemill.analysis.query.partitionwise import is_row_wise
from tidemill.contracts.checks.checker import Checker
from tidemill.contracts.checks.partition_column import (
    partition_keys,
    raw_partition_keys,
    split_by_partition,
)
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError
from tidemill.core.partition import Grain, Partitioning

FIRST = dt.date(2024, 3, 1)
Row = tuple[int, int, float | None, str | None]


class Rows(tm.Contract, key=("id", "day")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    value = tm.Float64(nullable=True, max=100)
    name = tm.String(nullable=True, regex="^[a-z]*$", optional=True)

    size = tm.Rows(min=2, on_fail="warn")
    small = tm.rule(pl.col("value") < pl.col("id") + 90)
    odd = tm.rule(pl.col("value") != 13, on_fail="warn")


SPEC = Rows.__tidemill_contract__


def table(*rows: Row) -> pl.DataFrame:
    found = [(FIRST + dt.timedelta(days=day), *rest) for day, *rest in rows]
    schema = {"day": pl.Date, "id": pl.Int64, "value": pl.Float64, "name": pl.String}
    return pl.DataFrame(found, schema=schema, orient="row")


def declared(body: dict[str, Any], **options: Any) -> ContractSpec:
    made: type[tm.Contract] = type("C", (tm.Contract,), body, **options)
    return made.__tidemill_contract__


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([0, 1, 2, 3, 4, 5, -1]),
        st.sampled_from([None, 1.0, 2.0, 13.0, 92.0, 101.0, float("nan")]),
        st.sampled_from(["a", "b", None, "B"]),
    ),
    max_size=12,
)


@thorough
@settings(max_examples=examples(30))
@given(ROWS)
def test_of_clean_partitions_nothing_else_is_to_be_said(rows: Sequence[Row]) -> None:
    frame, checker = table(*rows), Checker(SPEC)
    keys = partition_keys(frame["day"], SPEC.partitioning)
    clean = checker.clean_partitions(frame)
    for key in keys.unique():
        alone = checker.check(frame.filter(keys == key), partition=key)
        own = alone.findings == checker.row_count_findings(alone.good.height)
        assert (key in clean) is (alone.bad is None and own)
        if key in clean:
            assert_frame_equal(clean[key], alone.good)
    assert clean.keys() <= {*keys}


@given(st.data())
def test_any_contract_says_of_clean_partitions_what_it_says_of_each(data: st.DataObject) -> None:
    spec = data.draw(contracts().filter(lambda spec: not spec.partitioning.is_whole))
    frame, checker = data.draw(frames(spec)), Checker(spec)
    column = spec.column(spec.partitioning.column)
    if column.name not in frame.columns or "more" in frame.columns:
        return
    dtype = next(item.dtype for item in checker.columns if item.name == column.name)
    keys = raw_partition_keys(frame[column.name], dtype, spec.partitioning)
    try:
        clean = checker.clean_partitions(frame)
    except (ContractError, PolarsError):
        return
    event(f"clean partitions: {len(clean)}")
    for key, good in clean.items():
        alone = checker.check(frame.filter(keys == key), partition=key)
        assert alone.bad is None
        assert alone.findings == ()
        assert_frame_equal(good, alone.good)


DAY = {"day": tm.Date(partition="1d")}
ID = {**DAY, "id": tm.Int64()}


@pytest.mark.parametrize(
    "spec",
    [
        declared(DAY),
        declared(DAY, key=("day",), unknown_columns="keep"),
        declared({**DAY, "id": tm.Int64(unique=True)}, key=("day",)),
        declared(ID, key=("id",)),
        declared({**ID, "near": tm.rule(pl.col("id") <= pl.col("id").mean())}, key=("day", "id")),
        declared({**ID, "few": tm.rule(pl.len().over("id") < 9)}, key=("day", "id")),
    ],
)
def test_a_contract_that_looks_at_rows_together_judges_each_partition_alone(
    spec: ContractSpec,
) -> None:
    frame = table((0, 1, None, None), (1, 2, None, None)).select(spec.names)
    assert Checker(spec).clean_partitions(frame) == {}
    assert not Checker(spec).matches_partitions({str(FIRST): frame[:1]})


def test_columns_that_nobody_named_are_told_alone() -> None:
    frame = table((0, 1, None, None)).with_columns(more=1)
    assert Checker(SPEC).clean_partitions(frame) == {}


def test_an_optional_column_is_filled() -> None:
    frame = table((0, 1, None, "x")).drop("name")
    assert Checker(SPEC).clean_partitions(frame)[str(FIRST)]["name"].to_list() == [None]


def test_frames_hold_rows_of_their_own_partitions() -> None:
    checker, one, two = Checker(SPEC), table((0, 1, None, None)), table((1, 1, None, None))
    first, second = str(FIRST), str(FIRST + dt.timedelta(days=1))
    assert checker.matches_partitions({first: one, second: two})
    assert not checker.matches_partitions({first: two, second: one})
    assert not checker.matches_partitions({first: one, second: two.drop("name")})
    text = one.with_columns(pl.col("day").cast(pl.String))
    assert not checker.matches_partitions({first: text})
    nowhere = one.with_columns(day=pl.lit(None, pl.Date))
    assert not checker.matches_partitions({first: pl.concat([one, nowhere])})


def test_rows_that_lie_apart_are_brought_together() -> None:
    frame = pl.DataFrame({"own": ["b", "a", "b", None], "n": [1, 2, 3, 4]})
    parts = split_by_partition(frame, Partitioning(column="own"))
    assert {key: part["n"].to_list() for key, part in parts.items()} == {"b": [1, 3], "a": [2]}
    parts = split_by_partition(frame[[0, 2, 1, 3]], Partitioning(column="own"))
    assert {key: part["n"].to_list() for key, part in parts.items()} == {"b": [1, 3], "a": [2]}
    days = pl.DataFrame({"own": [FIRST, FIRST.replace(day=2)]}).clear()
    assert split_by_partition(days, Partitioning(column="own", grain=Grain.DAY)) == {}


def test_expressions_of_one_row() -> None:
    schema = {"id": pl.Int64(), "value": pl.Float64()}
    assert is_row_wise(pl.col("value") > pl.col("id"), schema)
    assert not is_row_wise(pl.col("value") > pl.col("value").mean(), schema)
    assert not is_row_wise(pl.col("value") / 3 > 1, schema)
    assert not is_row_wise(pl.col("value").map_elements(abs, pl.Float64), schema)
