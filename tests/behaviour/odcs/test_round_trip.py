"""Any contract comes out of its document as it went in, and any document is one that the standard allows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from tests.support.odcs.contracts import contracts
from tests.support.reference_checker import contracts as judged
from tests.support.thoroughness import examples, thorough
from tidemill.contracts import column_types as tm
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.declaration import Contract
from tidemill.contracts.digests import check_digest, value_digest
from tidemill.contracts.io.odcs_yaml import parse, text_of
from tidemill.contracts.odcs.reader import imported
from tidemill.contracts.odcs.writer import document, identifier
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.contracts.table_rules import Drift, Freshness, References, Rows, Unique
from tidemill.core.errors import ContractError


@cache
def standard() -> Any:
    """The standard's own schema, as its package ships it."""
    text = (files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8")
    return import_module("jsonschema").Draft201909Validator(json.loads(text))


def comes_back(spec: ContractSpec) -> None:
    written = document(spec)
    assert [error.message for error in standard().iter_errors(written)] == []
    read = parse(text_of(written), "x.odcs.yaml")
    assert read.unknown == ()
    assert read.fields == written
    found = imported(read.fields, file="x.odcs.yaml")
    assert found.unrepresented == ()
    [again] = found.contracts
    assert again.place == "x.odcs.yaml: schema[0]"
    assert replace(again, place=spec.place) == spec
    assert diff(again, spec).changes == ()
    assert (check_digest(again), value_digest(again)) == (check_digest(spec), value_digest(spec))


@thorough
@settings(max_examples=examples(25))
@given(contracts())
def test_any_contract_comes_back(spec: ContractSpec) -> None:
    comes_back(spec)


@given(judged())
def test_contracts_that_rows_are_judged_by_come_back(spec: ContractSpec) -> None:
    comes_back(spec)


class Orders(Contract, version="2.1.0", key=("id",), compatibility="backward"):
    """One row per order."""

    id = tm.Int64(min=1, description="of the shop")
    day = tm.Date(partition="1d", min=date(2020, 1, 1))
    status = tm.Enum(["open", "sent"], on_fail="fail")
    mail = tm.String(nullable=True, max_length=80, regex="@", pii="email", unique=True)
    weight = tm.Float64(min_exclusive=0, unit="kg", on_fail="warn", role="feature")

    sent = rule(pl.col("status") != "lost", on_fail="warn", description="nothing is lost")
    size = Rows(min=1, max=10, vs_last=7, within=0.5, on_fail="fail")


def custom(of: dict[str, Any]) -> dict[str, Any]:
    return {item["property"]: item["value"] for item in of["customProperties"]}


def test_what_stands_where() -> None:
    told = document(Orders.__tidemill_contract__)
    assert (told["id"], told["name"], told["version"]) == ("orders", "Orders", "2.1.0")
    [table] = told["schema"]
    assert table["description"] == "One row per order."
    assert custom(table) == {
        "tidemillUnknownColumns": "fail",
        "tidemillCompatibility": "backward",
    }
    of = {item["name"]: item for item in table["properties"]}
    assert of["id"] == {
        "name": "id",
        "primaryKey": True,
        "primaryKeyPosition": 1,
        "logicalType": "integer",
        "physicalType": "Int64",
        "logicalTypeOptions": {"format": "i64", "minimum": 1},
        "description": "of the shop",
        "required": True,
    }
    assert of["day"]["logicalTypeOptions"] == {"minimum": "2020-01-01"}
    assert (of["day"]["partitioned"], of["day"]["partitionKeyPosition"]) == (True, 1)
    assert custom(of["day"]) == {"tidemillPartition": "1d"}
    [values] = of["status"]["quality"]
    assert values["metric"] == "invalidValues"
    assert values["arguments"] == {"validValues": ["open", "sent"]}
    assert (values["mustBe"], values["severity"]) == (0, "error")
    assert of["mail"]["logicalTypeOptions"] == {"maxLength": 80, "pattern": "@"}
    assert (of["mail"]["unique"], of["mail"]["classification"]) == (True, "pii")
    assert "required" not in of["mail"]
    assert custom(of["weight"]) == {
        "tidemillOnFail": "warn",
        "tidemillUnit": "kg",
        "tidemillRole": "feature",
    }
    rows, sent = table["quality"]
    assert (rows["metric"], rows["mustBeBetween"], rows["severity"]) == (
        "rowCount",
        [1, 10],
        "error",
    )
    assert custom(rows) == {"tidemillVsLast": 7, "tidemillWithin": 0.5}
    assert (sent["type"], sent["engine"], sent["severity"]) == ("custom", "tidemill", "warning")
    assert sent["implementation"]["text"] == str(pl.col("status") != "lost")


class Stations(Contract):
    code = tm.String()


class Readings(Contract):
    station = tm.String()
    day = tm.Date(partition="1d")
    fresh = Freshness("day", within="36h", on_fail="fail", description="every evening")
    known = References("station", Stations, "code", stage="stations", on_fail="warn")
    once = Unique("station", "day")
    moved = Drift("station", limit=0.3, vs_last=7)


def test_where_rules_beyond_the_partition_stand() -> None:
    spec = Readings.__tidemill_contract__
    told = document(spec)
    assert told["slaProperties"] == [
        {
            "property": "freshness",
            "value": 36,
            "unit": "h",
            "element": "Readings.day",
            "description": "every evening",
        }
    ]
    [table] = told["schema"]
    [known] = table["relationships"]
    assert (known["from"], known["to"]) == ("Readings.station", "Stations.code")
    once, moved = table["quality"]
    assert (once["metric"], once["mustBe"], once["severity"]) == ("duplicateValues", 0, "error")
    assert once["arguments"] == {"properties": ["station", "day"]}
    assert moved["implementation"] == {
        **{"check": "drift", "columns": ["station"], "by": "psi", "limit": 0.3, "vsLast": 7}
    }
    assert custom(table)["tidemillOrder"] == ["fresh", "known", "once", "moved"]
    comes_back(spec)


def test_moments_are_told_with_their_zone() -> None:
    declared: Any = type("C", (Contract,), {"at": tm.Datetime("us", "Europe/Paris")})
    [told] = document(declared.__tidemill_contract__)["schema"][0]["properties"]
    assert told["logicalTypeOptions"] == {"timezone": True, "defaultTimezone": "Europe/Paris"}
    assert told["physicalType"] == "Datetime('us', 'Europe/Paris')"


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        (pl.col("a") < float("inf"), "such as a literal infinity"),
        (pl.col("a").map_elements(lambda value: value, return_dtype=pl.Boolean), ""),
    ],
)
def test_a_rule_that_can_not_be_written_is_named(expr: pl.Expr, why: str) -> None:
    declared: Any = type("C", (Contract,), {"a": tm.Int64(), "odd": rule(expr)})
    with pytest.raises(ContractError, match=f"rule odd of contract C can't be written.*{why}"):
        document(declared.__tidemill_contract__)


@pytest.mark.parametrize(
    ("name", "id"),
    [("DailySales", "daily-sales"), ("tbl_1", "tbl-1"), ("§", "contract"), ("ABC", "abc")],
)
def test_the_id_follows_the_name(name: str, id: str) -> None:
    assert identifier(name) == id
