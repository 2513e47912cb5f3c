"""Rows drawn for a contract pass it, and those that are to break it do, one by one."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.support.reference_checker import contracts
from tests.support.thoroughness import examples, thorough
from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.checker import Checker
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.io.contract import Contract
from tidemill.contracts.io.synthetic import sample
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.contracts.table_rules import References, Unique
from tidemill.core.errors import ContractError, UsageError

NEW_YORK = ZoneInfo("America/New_York")


def strictly(spec: ContractSpec, frame: pl.DataFrame, partition: str | None = None) -> list[str]:
    """The rules that any row of a frame breaks, whatever follows."""
    return [found.rule for found in Checker(spec).check(frame, partition=partition).findings]


def drawn_or_told(
    spec: ContractSpec, rows: int, seed: int, bad: float = 0.0
) -> pl.DataFrame | None:
    """A sample; None if the error says that the contract allows too few rows, or all."""
    told = ""
    try:
        return sample(spec, rows, seed=seed, bad=bad)
    except ContractError as error:
        told = str(error)
    assert "hardly any random row passes rule" in told or "no row can be bad" in told
    return None


@thorough
@given(contracts(), st.integers(0, 5), st.integers(0, 12))
@settings(max_examples=examples(15, 100), deadline=None)
def test_what_is_drawn_passes(spec: ContractSpec, seed: int, rows: int) -> None:
    frame = drawn_or_told(spec, rows, seed)
    if frame is None:
        return
    assert frame.schema == schema_of(spec)
    assert frame.height == rows
    assert [name for name in strictly(spec, frame) if name != "often"] == []
    assert_frame_equal(frame, sample(spec, rows, seed=seed))


@thorough
@given(contracts(), st.integers(0, 5), st.integers(1, 4))
@settings(max_examples=examples(20, 60), deadline=None)
def test_as_many_rows_break_a_rule_as_are_wanted(spec: ContractSpec, seed: int, wrong: int) -> None:
    frame = drawn_or_told(spec, 8, seed, bad=wrong / 8)
    if frame is None:
        return
    assert frame.height == 8
    assert strictly(spec, frame.head(8 - wrong)) in ([], ["often"])
    for index in range(8 - wrong, 8):
        alone = pl.concat([frame.head(8 - wrong), frame[index]])
        assert strictly(spec, alone), frame[index]


class Flights(Contract, version="1.0.0", key=("day", "carrier", "flight")):
    day = tm.Date(partition="1d")
    carrier = tm.String(regex=r"^[0-9A-Z]{2}$")
    flight = tm.Int64(min=1, max=5_000)
    origin = tm.Enum(["EWR", "JFK"], on_fail="fail")
    departed = tm.Float64(nullable=True)
    arrived = tm.Float64(nullable=True)
    later = rule(pl.col("arrived") >= pl.col("departed"), on_fail="warn")


def test_rules_that_only_warn_hold_as_well() -> None:
    frame = Flights.sample(500, seed=3)
    assert frame["arrived"].null_count() > 0
    assert frame.filter(pl.col("arrived") < pl.col("departed")).height == 0
    assert frame["day"].n_unique() > 1


def test_rows_of_one_partition() -> None:
    assert set(Flights.sample(20, partition="2013-03-07")["day"]) == {date(2013, 3, 7)}


def test_bad_rows_break_rules_of_all_kinds_in_turn() -> None:
    frame = Flights.sample(1_000, seed=1, bad=0.05)
    judged = Checker(Flights.__tidemill_contract__).check(frame)
    told = {found.rule: found.rows for found in judged.findings}
    assert {"day.null", "carrier.regex", "flight.min", "flight.max", "key", "later"} <= told.keys()
    assert sum(told.values()) >= 50


def test_every_rule_over_several_columns_gets_its_share() -> None:
    class Sorted(Contract):
        a = tm.Float64(min=0, max=1)
        b = tm.Float64(min=0, max=1)
        often = rule(pl.col("a") <= pl.col("b"))
        rarely = rule(pl.col("a") + pl.col("b") < 1.9)

    frame = Sorted.sample(2_000, seed=1, bad=0.05)
    judged = Checker(Sorted.__tidemill_contract__).check(frame)
    told = {found.rule: found.rows for found in judged.findings}
    assert min(told["often"], told["rarely"]) >= 5


@pytest.mark.parametrize(
    ("column", "rules"),
    [
        (tm.List(tm.Int64(), min_length=1, max_length=2, nullable=True), {"a.min_length", "a.max_length"}),
        (tm.Date(isin=[date(2024, 1, 1)], nullable=True), {"a.isin"}),
        (tm.Datetime("us", "UTC", min=datetime(2024, 1, 1, tzinfo=NEW_YORK), nullable=True), {"a.min"}),
        (tm.Binary(min_length=2, nullable=True), {"a.min_length"}),
        (tm.Enum(["x", "y"], isin=["x"], nullable=True), {"a.isin"}),
        (tm.Int64(isin=[7], nullable=True), {"a.isin"}),
    ],
)  # fmt: skip
def test_values_of_every_type_can_be_bad(column: Any, rules: set[str]) -> None:
    contract = one(column)
    frame = contract.sample(40, bad=0.25)
    assert set(strictly(contract.__tidemill_contract__, frame)) == rules


def test_other_seeds_give_other_rows() -> None:
    assert not Flights.sample(10, seed=1).equals(Flights.sample(10, seed=2))


def one(column: Any, **more: Any) -> type[Contract]:
    """A contract of one column."""
    return type("One", (Contract,), {"a": column}, **more)


@pytest.mark.parametrize(
    ("column", "partition"),
    [
        (tm.Date(partition="1w"), "2013-W10"),
        (tm.Date(partition="1mo"), "2013-03"),
        (tm.Datetime("us", partition="1h"), "2013-03-07T05"),
        (tm.Datetime("us", "America/New_York", partition="1d"), "2013-03-10"),
        (tm.Datetime("ms", "America/New_York", partition="1h"), "2013-11-03T06"),
        (tm.String(partition="value"), "north"),
        (tm.Int64(partition="value"), "7"),
    ],
)
def test_partitions_of_every_kind(column: Any, partition: str) -> None:
    contract = one(column)
    frame = contract.sample(10, partition=partition)
    assert frame.height == 10
    assert strictly(contract.__tidemill_contract__, frame, partition) == []


def test_what_must_be_unique_is() -> None:
    class Numbered(Contract, key=("a",)):
        a = tm.Int64()
        b = tm.String(unique=True, nullable=True)
        c = tm.Int64(nullable=True)
        d = tm.Int64(min=0, max=40)
        once = Unique("c")
        pairs = Unique("d", "c")

    frame = Numbered.sample(1_000)
    for name in ("a", "b", "c"):
        assert frame[name].drop_nulls().is_duplicated().sum() == 0


def test_references_are_to_rows_that_are_given() -> None:
    class Airlines(Contract, key=("carrier",)):
        carrier = tm.String(regex="^[A-Z]{2}$")

    class Trips(Contract):
        carrier = tm.String()
        known = References("carrier", Airlines)

    given = Airlines.sample(3)
    assert set(Trips.sample(50, given={Airlines: given})["carrier"]) <= set(given["carrier"])
    with pytest.raises(UsageError, match=r"Trips.known refers to Airlines: pass rows of it"):
        Trips.sample(5)


class Impossible(Contract):
    a = tm.Int64()
    never = rule(pl.col("a") < 0)


class Loose(Contract):
    a = tm.Bool(nullable=True)


class Agreed(Contract):
    a = tm.Bool(nullable=True)
    always = rule(pl.lit(value=True))


class Few(Contract, key=("a",)):
    a = tm.Int64(min=1, max=3)


@pytest.mark.parametrize(
    ("contract", "options", "error", "says"),
    [
        (Impossible, {}, ContractError, "only 0 of 10 rows of Impossible .* rule never"),
        (
            Few,
            {},
            ContractError,
            "only 3 of 10 rows of Few .* hardly any random row passes rule key",
        ),
        (Loose, {"bad": 0.5}, ContractError, "so no row can be bad"),
        (Agreed, {"bad": 0.5}, ContractError, "so no row can be bad"),
        (Loose, {"bad": 2}, UsageError, "bad between 0 and 1"),
        (Loose, {"partition": "2013-03-07"}, UsageError, "Loose has no partitions"),
    ],
)
def test_what_cannot_be_drawn_is_told(
    contract: type[Contract], options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        contract.sample(10, **options)
