from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.contracts import Airlines, declare, declare_rules, spec_of
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import rule
from tidemill.contracts.table_rules import (
    Budget,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    Rows,
    UniqueRule,
)
from tidemill.core.errors import ContractError
from tidemill.core.partition import Grain, Partitioning


class Flights(DeclaredContract, version="1.2.3", key=("date", "flight"), unknown_columns="drop"):
    """One row per departure."""

    date = tm.Date(partition="1d")
    flight = tm.Int64(min=1)
    delay = tm.Float64(nullable=True)

    agree = rule(pl.col("delay") < 300, on_fail="warn", description="five hours at most")
    volume = Rows(min=2, max=9)
    budget = Budget(max_bad=0.1)


def test_a_class_becomes_a_record() -> None:
    spec = spec_of(Flights)
    assert (spec.name, spec.version, spec.key) == ("Flights", "1.2.3", ("date", "flight"))
    assert spec.names == ("date", "flight", "delay")
    assert spec.partitioning == Partitioning(column="date", grain=Grain.DAY)
    assert (spec.rows, spec.budget) == (Rows(min=2, max=9), Budget(max_bad=0.1))
    assert spec.unknown_columns == "drop"
    assert spec.description == "One row per departure."
    assert spec.place.startswith("test_declaration.py:")
    (declared,) = spec.rules
    assert (declared.name, declared.on_fail) == ("agree", "warn")
    assert Flights.flight.name == "flight"


def test_columns_are_reused_by_another_contract_without_its_key() -> None:
    class Labels(DeclaredContract):
        flight, delay = Flights.flight, Flights.delay

    spec = spec_of(Labels)
    assert spec.names == ("flight", "delay")
    assert spec.key == ()
    assert spec.column("flight") == Flights.flight
    assert spec.partitioning == Partitioning()


def test_a_subclass_has_what_its_base_has_and_its_own() -> None:
    class More(Flights, version="2.0.0"):
        delay = tm.Float64()
        carrier = tm.String()
        early = rule(pl.col("delay") > -60)
        volume = Rows(min=5)

    spec = spec_of(More)
    assert spec.names == ("date", "flight", "delay", "carrier")
    assert not spec.column("delay").nullable
    assert [item.name for item in spec.rules] == ["agree", "early"]
    assert (spec.rows, spec.budget) == (Rows(min=5), Budget(max_bad=0.1))
    assert (spec.key, spec.unknown_columns) == ((), "fail")


def test_a_key_may_be_one_name_and_a_partition_a_value() -> None:
    spec = declare({"tenant": tm.String(partition="value")}, key="tenant")
    assert spec.key == ("tenant",)
    assert spec.partitioning == Partitioning(column="tenant")


def test_constants_and_methods_are_no_columns() -> None:
    spec = declare({"a": tm.Int64(), "NAMES": ("x",), "helper": lambda self: 1})
    assert spec.names == ("a",)


def test_reads_names_the_nearest_column() -> None:
    reads = Flights.reads("flight", "delay")
    assert (reads.contract, reads.columns) == (spec_of(Flights), ("flight", "delay"))
    with pytest.raises(ContractError, match=r"Flights has no column 'dely' \(did you mean 'delay'"):
        Flights.reads("dely")


@pytest.mark.parametrize(
    ("body", "arguments", "says"),
    [
        ({"reads": tm.Int64()}, {}, "'reads' is a method of contracts; rename the column"),
        ({"a": tm.Int64(), "v": Rows(min=1), "w": Rows(min=2)}, {}, r"w is its second Rows\(\)"),
        (
            {"a": tm.Int64(), "v": Budget(max_bad=0), "w": Budget(max_bad=1)},
            {},
            r"w is its second Budget\(\)",
        ),
        ({"a": tm.Int64}, {}, "a is the function Int64; call it"),
        ({"a": pl.Int64}, {}, "a is the Polars type Int64"),
        ({"a": pl.Int64()}, {}, "a is the Polars type Int64"),
        ({"a": tm.Int64(), "b": pl.col("a") > 1}, {}, r"b is an expression; wrap it in tm.rule"),
    ],
)
def test_a_body_that_cant_be_read_is_refused(
    body: dict[str, Any], arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        declare(body, **arguments)
    assert "contracts.py:" in str(caught.value)
    assert "contract X: " in str(caught.value)


def test_each_takes_the_name_of_its_attribute() -> None:
    spec = declare_rules(
        {
            "fresh": tm.Freshness("at", within="26h"),
            "once": tm.Unique("order", "day", description="d"),
            "known": tm.References("carrier", Airlines, on_fail="warn"),
            "coded": tm.References(("kind", "carrier"), Airlines, ["code", "carrier"], stage="a"),
            "steady": tm.Drift("weight", "order", by="ks", limit=0.1, vs_last=7, on_fail="fail"),
        }
    )
    place = Airlines.__tidemill_contract__.place
    assert spec.table_rules == (
        FreshnessRule(name="fresh", column="at", within="26h", on_fail="warn"),
        UniqueRule(name="once", columns=("order", "day"), on_fail="fail", description="d"),
        ReferenceRule(
            name="known", columns=("carrier",), contract="Airlines", to=("carrier",), on_fail="warn"
        ),
        ReferenceRule(
            name="coded",
            columns=("kind", "carrier"),
            contract="Airlines",
            to=("code", "carrier"),
            stage="a",
        ),
        DriftRule(
            name="steady",
            columns=("weight", "order"),
            by="ks",
            limit=0.1,
            vs_last=7,
            on_fail="fail",
        ),
    )
    known = spec.table_rules[2]
    assert isinstance(known, ReferenceRule)
    assert known.place == place
    assert known.types is not None
    assert set(known.types) == {"carrier", "code", "number", "names"}


def test_they_are_inherited_by_name() -> None:
    class Base(DeclaredContract):
        order = tm.Int64()
        once = tm.Unique("order")

    class Child(Base):
        once = tm.Unique("order", on_fail="warn")
        more = tm.Freshness("day", within="1d")
        day = tm.Date()

    (once, more) = Child.__tidemill_contract__.table_rules
    assert (once.name, once.on_fail, more.name) == ("once", "warn", "more")


def test_one_that_was_not_called_is_told() -> None:
    with pytest.raises(ContractError, match="x is the function Unique; call it to make a rule"):
        declare_rules({"x": tm.Unique})


def test_a_rule_is_not_named_as_what_contracts_can_do() -> None:
    with pytest.raises(ContractError, match="'reads' is a method of contracts; rename the column"):
        declare_rules({"reads": tm.Unique("order")})
