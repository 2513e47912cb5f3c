"""Events as text: UTF-8 in one line, of a bounded size."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.openlineage.validation import faults
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.lineage.openlineage.column_lineage import source_edges
from tidemill.lineage.openlineage.dataset_names import Dataset
from tidemill.lineage.openlineage.event_text import encode_event
from tidemill.lineage.openlineage.facets import CORE, FacetBuilder

BUILDER = FacetBuilder("urn:tidemill:1")


def wide(columns: int, message: str = "it broke") -> dict[str, Any]:
    """An event with this many columns, each with lineage, and an error."""
    spec = ContractSpec(
        name="T",
        version="1",
        columns=tuple(Column(name=f"column_{n}", dtype=DType("Int64")) for n in range(columns)),
        description="A table.",
    )
    source = Dataset(namespace="file", name="/data")
    facets = {
        **BUILDER.table(spec, "us"),
        "columnLineage": source_edges(BUILDER, spec, source).facet,
    }
    return {
        "eventType": "FAIL",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": BUILDER.producer,
        "schemaURL": f"{CORE}#/$defs/RunEvent",
        "run": {
            "runId": "01a22096-dc36-712c-97dc-09f1b2e184da",
            "facets": {"errorMessage": BUILDER.error(message)},
        },
        "job": {"namespace": "ns", "name": "a.b", "facets": {}},
        "inputs": [{"namespace": "ns", "name": "a.c"}],
        "outputs": [{"namespace": "ns", "name": "a.b", "facets": facets}],
    }


def test_an_event_is_one_line_that_reads_back() -> None:
    event = wide(2, "Zeile 1\nZeile 2: „übel“")
    text = encode_event(event)
    assert b"\n" not in text
    assert json.loads(text) == event
    assert faults(event) == []


@given(st.text())
def test_every_reader_of_lines_sees_one_line(text: str) -> None:
    encoded = encode_event(wide(1, f"{text}\x85\u2028\u2029\x0b\x1c\r\n")).decode()
    assert encoded.splitlines() == [encoded]


def test_half_a_character_is_replaced() -> None:
    assert (
        "?"
        in json.loads(encode_event(wide(1, "\ud800")))["run"]["facets"]["errorMessage"]["message"]
    )


@given(st.integers(1, 400), st.integers(1500, 40_000))
def test_what_makes_an_event_large_is_left_out_and_counted(columns: int, most: int) -> None:
    text = encode_event(wide(columns), most)
    event = json.loads(text)
    assert len(text) <= most
    assert faults(event) == []
    counts = event["run"]["facets"].get("tidemill_leftOut", {})
    facets = event["outputs"][0]["facets"]
    for name in ("columnLineage", "schema"):
        assert (name in facets) != (name in counts)
        assert counts.get(name, columns) == columns


def test_counts_of_the_same_facet_add_up() -> None:
    event = wide(300)
    event["run"]["facets"]["tidemill_leftOut"] = BUILDER.trimmed({"columnLineage": 7})
    found = json.loads(encode_event(event, 5000))["run"]["facets"]["tidemill_leftOut"]
    assert (found["columnLineage"], found["schema"]) == (307, 300)


def test_what_is_never_left_out_may_be_larger() -> None:
    event = json.loads(encode_event(wide(3), 100))
    assert faults(event) == []
    counts = event["run"]["facets"]["tidemill_leftOut"]
    assert {"columnLineage", "schema", "documentation", "errorMessage"} <= counts.keys()
    assert event["outputs"][0]["facets"].keys() == {"ownership"}
