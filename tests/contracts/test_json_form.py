"""Contracts on their way to another process."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.dtype import DType
from tidemill.contracts.json_form import from_json, to_json
from tidemill.contracts.spec import rule
from tidemill.contracts.table_rules import Budget, Drift, Freshness, References, Rows, Unique
from tidemill.core.partition import Grain


class Customers(DeclaredContract):
    id = tm.Int64()


class Orders(DeclaredContract, version="1.2.3", key=("id",), unknown_columns="drop"):
    """One row per order."""

    id = tm.Int64(min=1, max_exclusive=9)
    day = tm.Date(partition="1d", min=date(2026, 1, 1))
    at = tm.Datetime("us", "UTC", min=datetime(2026, 1, 1, tzinfo=UTC))
    status = tm.Enum(["open", "sent"])
    tags = tm.List(tm.String(), nullable=True)

    positive = rule(pl.col("id") > 0, on_fail="warn", description="x")
    size = Rows(min=2)
    budget = Budget(max_bad=0.1)
    fresh = Freshness("at", within="26h")
    once = Unique("id", "day")
    known = References("id", Customers, stage="customers", on_fail="warn")
    steady = Drift("id", by="ks", limit=0.5, vs_last=3)


def through(value: Any) -> Any:
    return from_json(json.loads(json.dumps(to_json(value))))


def test_a_contract_comes_out_as_it_was_but_for_its_expressions() -> None:
    spec = Orders.__tidemill_contract__
    found = through(spec)
    assert diff(found, Orders).changes == ()
    assert (found.columns, found.rows, found.budget) == (spec.columns, spec.rows, spec.budget)
    assert found.table_rules == spec.table_rules
    [asked] = found.rules
    assert str(asked.expr) == str(spec.rules[0].expr)
    assert asked.digest == spec.rules[0].digest
    # What has been on its way once can go on.
    assert through(found) == found


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 1, 0.5, "x", float("inf"), ("a", 1)),
        *(date(2026, 1, 1), datetime(2026, 1, 1), time(1, 2), timedelta(days=1, microseconds=3)),
        *(Decimal("1.50"), Grain.DAY, DType("List", (DType("Int8"),))),
    ],
)
def test_values(value: object) -> None:
    assert through(value) == value
    assert type(through(value)) is type(value)


def test_other_values_are_their_text() -> None:
    assert through(b"x") == "b'x'"


def test_the_names_in_stored_documents_stay() -> None:
    class Stored(DeclaredContract):
        id = tm.Int64()
        positive = rule(pl.col("id") > 0)
        once = Unique("id")

    found = to_json(Stored.__tidemill_contract__)
    assert set(found) == {"kind", "name", "version", "columns", "rules", "wider", "place"}
    assert found["kind"] == "ContractSpec"
    [column] = found["columns"]["value"]
    assert column == {
        "kind": "Column",
        "dtype": {"kind": "DType", "name": "Int64"},
        "name": "id",
    }
    [positive] = found["rules"]["value"]
    assert positive["expr"]["kind"] == "Recorded"
    [once] = found["wider"]["value"]
    assert once == {
        "kind": "UniqueRule",
        "columns": {"kind": "tuple", "value": ["id"]},
        "name": "once",
    }
