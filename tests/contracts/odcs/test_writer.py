from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.odcs.writer import document_id, write_document
from tidemill.contracts.spec import rule
from tidemill.contracts.table_rules import Rows
from tidemill.core.errors import ContractError


class Orders(DeclaredContract, version="2.1.0", key=("id",), compatibility="backward"):
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
    told = write_document(Orders.__tidemill_contract__)
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


def test_moments_are_told_with_their_zone() -> None:
    declared: Any = type("C", (DeclaredContract,), {"at": tm.Datetime("us", "Europe/Paris")})
    [told] = write_document(declared.__tidemill_contract__)["schema"][0]["properties"]
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
    declared: Any = type("C", (DeclaredContract,), {"a": tm.Int64(), "odd": rule(expr)})
    with pytest.raises(ContractError, match=f"rule odd of contract C can't be written.*{why}"):
        write_document(declared.__tidemill_contract__)


@pytest.mark.parametrize(
    ("name", "id"),
    [("DailySales", "daily-sales"), ("tbl_1", "tbl-1"), ("§", "contract"), ("ABC", "abc")],
)
def test_the_id_follows_the_name(name: str, id: str) -> None:
    assert document_id(name) == id
