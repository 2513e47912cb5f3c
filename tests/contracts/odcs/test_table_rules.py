from __future__ import annotations

from typing import Any

from tidemill.contracts import column_types as tm
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.odcs.reader import read_document
from tidemill.contracts.odcs.writer import write_document
from tidemill.contracts.table_rules import Drift, DriftAlarm, Freshness, References, Unique


def custom(of: dict[str, Any]) -> dict[str, Any]:
    return {item["property"]: item["value"] for item in of["customProperties"]}


class Stations(DeclaredContract):
    code = tm.String()


class Readings(DeclaredContract):
    station = tm.String()
    day = tm.Date(partition="1d")
    fresh = Freshness("day", within="36h", on_fail="fail", description="every evening")
    known = References("station", Stations, "code", stage="stations", on_fail="warn")
    once = Unique("station", "day")
    moved = Drift("station", limit=0.3, vs_last=7)
    watched = DriftAlarm("station", reference="30d", tolerance=0.05)


def test_where_rules_beyond_the_partition_stand() -> None:
    spec = Readings.__tidemill_contract__
    told = write_document(spec)
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
    once, moved, watched = table["quality"]
    assert (once["metric"], once["mustBe"], once["severity"]) == ("duplicateValues", 0, "error")
    assert once["arguments"] == {"properties": ["station", "day"]}
    assert moved["implementation"] == {
        **{"check": "drift", "columns": ["station"], "by": "psi", "limit": 0.3, "vsLast": 7}
    }
    assert watched["implementation"] == {
        **{"check": "driftAlarm", "columns": ["station"], "reference": "30d", "tolerance": 0.05}
    }
    assert custom(table)["tidemillOrder"] == ["fresh", "known", "once", "moved", "watched"]
    [back] = read_document({**told, "schema": [table]}).contracts
    assert back.table_rules == spec.table_rules
