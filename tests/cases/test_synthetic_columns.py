"""Columns that rows don't name are filled so that the rows pass."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.cases.synthetic_columns import complete_rows, generate_rows
from tidemill.contracts.checks.checker import checker_of
from tidemill.core.errors import ContractError


class Shops(tm.Contract, key=("shop",)):
    shop = tm.String(regex="^[a-z]{3}$")


class Orders(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0, max=20)
    shop = tm.String(regex="^[a-z]{3}$")
    sent = tm.Int64(min=0, max=100)
    arrived = tm.Int64(min=0, max=200)
    note = tm.String(optional=True, nullable=True)
    in_order = tm.rule(pl.col("arrived") >= pl.col("sent"))
    known = tm.References("shop", Shops)


SPEC = Orders.__tidemill_contract__
DAY = "2026-01-05"


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@given(st.integers(0, 1000), st.lists(st.integers(0, 100), min_size=1, max_size=15))
def test_completed_rows_pass(seed: int, sent: list[int]) -> None:
    rows = complete_rows(SPEC, pl.DataFrame({"sent": sent}), chance(seed), partition=DAY)
    assert rows["sent"].to_list() == sent
    assert set(rows["day"]) == {date(2026, 1, 5)}
    checked = checker_of(SPEC).check(rows, partition=DAY)
    assert checked.bad is None
    assert checked.good.height == len(sent)


def test_the_same_seed_gives_the_same_rows() -> None:
    given_rows = pl.DataFrame({"sent": [1, 2, 3]})
    one, other = (complete_rows(SPEC, given_rows, chance(5), partition=DAY) for _ in range(2))
    assert one.equals(other)


def test_bad_given_values_stay_bad() -> None:
    named = pl.DataFrame({"sent": [-1, 5, 150], "arrived": [7, 6, 149]})
    rows = complete_rows(SPEC, named, chance(), partition=DAY)
    assert rows["sent"].to_list() == [-1, 5, 150]
    bad = checker_of(SPEC).check(rows, partition=DAY).bad
    assert bad is not None
    assert [sorted(rules) for rules in bad["_reasons"]] == [
        ["sent.min"],
        ["in_order", "sent.max"],
    ]


def test_complete_rows_are_left_alone() -> None:
    named = pl.DataFrame({name: [1] for name in SPEC.names if name != "note"})
    assert complete_rows(SPEC, named, chance()) is named


def test_all_columns_can_be_drawn() -> None:
    rows = complete_rows(SPEC, pl.DataFrame(height=4), chance(), partition=DAY)
    assert rows.shape == (4, 5)


def test_unknown_columns_come_last() -> None:
    rows = complete_rows(SPEC, pl.DataFrame({"more": [1]}), chance(), partition=DAY)
    assert rows.columns[-1] == "more"


def test_references_are_drawn_from_their_table() -> None:
    tables = {"Shops": pl.DataFrame({"shop": ["abc"]})}
    rows = complete_rows(SPEC, pl.DataFrame({"id": [1, 2]}), chance(), partition=DAY, tables=tables)
    assert rows["shop"].to_list() == ["abc", "abc"]
    rows = generate_rows(SPEC, 3, chance(), partition=DAY, tables=tables)
    assert set(rows["shop"]) == {"abc"}


def test_a_partition_with_room_for_few_rows() -> None:
    class Weather(tm.Contract, key=("day",)):
        day = tm.Date(partition="1d")
        rain = tm.Float64(min=0)

    spec = Weather.__tidemill_contract__
    assert generate_rows(spec, 10, chance(), partition=DAY, fewer=True).height == 1
    with pytest.raises(ContractError, match="could be generated"):
        generate_rows(spec, 10, chance(), partition=DAY)


def test_rules_that_nothing_passes_are_an_error() -> None:
    class Never(tm.Contract):
        x = tm.Int64()
        never = tm.rule(pl.col("x") != pl.col("x"))

    with pytest.raises(ContractError, match="never"):
        generate_rows(Never.__tidemill_contract__, 10, chance(), fewer=True)
    rows = complete_rows(Never.__tidemill_contract__, pl.DataFrame(height=2), chance())
    assert rows.height == 2


def test_many_rows_have_different_keys() -> None:
    class Lines(tm.Contract, key=("kind", "id")):
        kind = tm.Enum(["a", "b"])
        id = tm.Int64(min=1)
        price = tm.Float64()

    spec = Lines.__tidemill_contract__
    rows = complete_rows(spec, pl.DataFrame({"price": [1.0] * 2000}), chance())
    assert checker_of(spec).check(rows).bad is None


def test_cells_that_a_row_does_not_name_are_drawn() -> None:
    named = pl.DataFrame({"id": [1, None, None], "sent": [5, None, 150]})
    gaps = {"id": [1, 2], "sent": [1], "more": [1], "note": [0]}
    rows = complete_rows(SPEC, named, chance(), gaps=gaps, partition=DAY)
    assert rows["id"][0] == 1
    assert rows["sent"].to_list()[::2] == [5, 150]
    bad = checker_of(SPEC).check(rows, partition=DAY).bad
    assert bad is not None
    assert bad["sent"].to_list() == [150]
    assert rows["id"].null_count() == rows["sent"].null_count() == 0


def test_drawn_cells_stand_beside_texts() -> None:
    named = pl.DataFrame({"id": ["x", None]})
    rows = complete_rows(SPEC, named, chance(), gaps={"id": [1]}, partition=DAY)
    assert rows["id"][0] == "x"
    assert rows["id"][1].isdecimal()
