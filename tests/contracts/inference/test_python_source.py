"""A contract's class as Python: it can be run, and declares the same contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.odcs.contracts import contracts
from tidemill.contracts import column_types as tm
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.digests import check_digest
from tidemill.contracts.inference.python_source import class_name, generate_source
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.contracts.table_rules import (
    Budget,
    Drift,
    Freshness,
    ReferenceRule,
    References,
    Rows,
    Unique,
)

UNWRITABLE = "its name or a column's isn't a valid Python name, or it refers to no class above"


def run(text: str) -> dict[str, ContractSpec]:
    names: dict[str, Any] = {}
    exec(compile(text, "printed.py", "exec"), names)
    found = {key: value for key, value in names.items() if hasattr(value, "__tidemill_contract__")}
    return {key: value.__tidemill_contract__ for key, value in found.items()}


@given(contracts(st.sampled_from("abcdefgh")))
def test_any_contract_is_declared_again(spec: ContractSpec) -> None:
    # The lines of a docstring are Python's to indent.
    spec = replace(spec, description=" ".join(spec.description.split()))
    # What they refer to isn't printed with them.
    wider = tuple(rule for rule in spec.table_rules if not isinstance(rule, ReferenceRule))
    spec = replace(spec, table_rules=wider)
    written = generate_source([spec])
    assert written.left_out == ()
    again = run(written.text)["C"]
    assert replace(again, place=spec.place) == spec
    assert check_digest(again) == check_digest(spec)


class Orders(
    DeclaredContract, version="2.0.0", key=("id",), unknown_columns="keep", compatibility="full"
):
    """One row per order."""

    id = tm.Int64(min=1)
    status = tm.Enum(["open", "sent"], on_fail="fail")
    day = tm.Date(partition="1d", min=date(2026, 1, 1))
    kinds = tm.String(nullable=True, isin=["a", 'b"', None])
    rows = tm.Float64(nullable=True, max=float("inf"))

    sent = rule(pl.col("id") > 0, on_fail="warn", description="x")
    size = Rows(min=2, on_fail="fail")
    bad = Budget(max_bad=0.1)


def test_what_it_looks_like() -> None:
    expression = pl.col("id").__gt__(0).meta.serialize(format="json")
    assert (
        generate_source([Orders.__tidemill_contract__]).text
        == f'''\
import datetime
import io

import polars as pl

import tidemill as tm


class Orders(
    tm.Contract,
    version="2.0.0",
    key=("id",),
    unknown_columns="keep",
    compatibility="full",
):
    """One row per order."""

    id = tm.Int64(min=1)
    status = tm.Enum(["open", "sent"], on_fail="fail")
    day = tm.Date(min=datetime.date(2026, 1, 1), partition="1d")
    kinds = tm.String(nullable=True, isin=["a", 'b"', None])
    rows = tm.Float64(nullable=True, max=float("inf"))

    sent = tm.rule(
        pl.Expr.deserialize(io.StringIO({expression!r}), format="json"),
        on_fail="warn",
        description="x",
    )

    rows_ = tm.Rows(min=2, on_fail="fail")
    budget = tm.Budget(max_bad=0.1)
'''
    )


@pytest.mark.parametrize(
    ("column", "imports"),
    [
        (tm.Int64(), []),
        (tm.Date(min=date(2026, 1, 1)), ["import datetime"]),
        (tm.Duration(optional=True, default=timedelta(1)), ["import datetime"]),
        (tm.Datetime("us", "UTC", min=datetime(2026, 1, 1, tzinfo=UTC)), ["import datetime"]),
        (
            tm.Datetime(
                "us", "Asia/Tokyo", min=datetime(2026, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo"))
            ),
            ["import datetime", "import zoneinfo"],
        ),
        (tm.Decimal(9, 2, min=Decimal("0.50")), ["from decimal import Decimal"]),
        # The type is no number that needs an import.
        (tm.Decimal(9, 2, min=1), []),
        (tm.List(tm.Int8(), isin=[[1, 2], [3]]), []),
        (tm.List(tm.Struct({"a": tm.Int8()}), nullable=True), []),
    ],
)
def test_only_what_shows_is_imported(column: Any, imports: list[str]) -> None:
    declared: Any = type("C", (DeclaredContract,), {"a": column})
    text = generate_source([declared.__tidemill_contract__]).text
    assert text.splitlines()[: len(imports)] == imports
    assert (run(text)["C"].columns) == declared.__tidemill_contract__.columns


def test_several_contracts_are_several_classes() -> None:
    spec = Orders.__tidemill_contract__
    found = run(generate_source([spec, replace(spec, name="Returns")]).text)
    assert list(found) == ["Orders", "Returns"]
    assert generate_source([]).text == ""


class Airlines(DeclaredContract):
    carrier = tm.String()
    day = tm.Date(partition="1d")
    once = Unique("carrier", "day", on_fail="warn")
    fresh = Freshness("day", within="3d", on_fail="fail", description="daily")
    drift = Drift("carrier", limit=0.3, vs_last=7)


class Flights(DeclaredContract):
    carrier = tm.String()
    day = tm.Date()
    known = References("carrier", Airlines, stage="airlines")
    both = References(["carrier", "day"], Airlines)


def test_rules_that_look_further_are_written_after_what_they_refer_to() -> None:
    specs = [Flights.__tidemill_contract__, Airlines.__tidemill_contract__]
    written = generate_source(specs)
    assert written.left_out == ()
    assert (
        """
    once = tm.Unique("carrier", "day", on_fail="warn")
    fresh = tm.Freshness("day", within="3d", on_fail="fail", description="daily")
    drift = tm.Drift("carrier", limit=0.3, vs_last=7)
"""
        in written.text
    )
    assert (
        """
    known = tm.References("carrier", Airlines, "carrier", stage="airlines")
    both = tm.References(["carrier", "day"], Airlines, ["carrier", "day"])
"""
        in written.text
    )
    found = run(written.text)
    assert [found[spec.name].table_rules for spec in specs] == [spec.table_rules for spec in specs]


def test_a_reference_to_no_class_above_is_told() -> None:
    flights = Flights.__tidemill_contract__
    assert generate_source([flights]).left_out == (
        f"Flights: rule 'known': {UNWRITABLE}",
        f"Flights: rule 'both': {UNWRITABLE}",
    )
    # Of two that refer to each other one comes first.
    there = ReferenceRule(name="r", columns=("carrier",), contract="Flights", to=("carrier",))
    back = replace(
        Airlines.__tidemill_contract__,
        table_rules=(there,),
    )
    assert generate_source([flights, back]).left_out == (
        f"Flights: rule 'known': {UNWRITABLE}",
        f"Flights: rule 'both': {UNWRITABLE}",
    )


def test_what_python_can_not_name_is_told() -> None:
    body: dict[str, Any] = {
        "order id": tm.Int64(),
        "day": tm.Date(),
        "any of it": rule(pl.col("day").is_not_null()),
        "positive": rule(pl.col("order id") > 0),
        "dated": rule(pl.col("day") > date(2026, 1, 1)),
    }
    declared: Any = type("C", (DeclaredContract,), body, key=("order id", "day"))
    spec = replace(declared.__tidemill_contract__, name="daily-sales")
    written = generate_source([spec])
    found = run(written.text)["DailySales"]
    assert (found.names, found.key, [r.name for r in found.rules]) == (("day",), (), ["dated"])
    assert written.left_out == (
        "daily-sales: the name; the class is called DailySales",
        "daily-sales: column 'order id', whose name isn't a valid Python name",
        f"daily-sales: rule 'any of it': {UNWRITABLE}",
        f"daily-sales: rule 'positive': {UNWRITABLE}",
        "daily-sales: the key (order id, day), which includes such a column",
    )


def test_a_contract_of_nothing_that_python_can_name_is_no_syntax_error() -> None:
    declared: Any = type("C", (DeclaredContract,), {"order id": tm.Int64()})
    text = generate_source([declared.__tidemill_contract__]).text
    compile(text, "printed.py", "exec")
    assert "    ...\n" in text


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Orders", "Orders"), ("tbl", "tbl"), ("daily-sales", "DailySales"), ("class", "Class"),
        ("2026", "Table2026"), ("§", "Table"), ("none", "none"), ("public.orders", "PublicOrders"),
        ("fal se", "FalSe"), ("true-", "TableTrue"),
    ],
)  # fmt: skip
def test_names_of_classes(name: str, given: str) -> None:
    assert class_name(name) == given
