"""A column is followed to all that depends on it, by what queries tell, and else by what stages receive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.planning import deliver, evaluate, flow_of, ingest, model, reads, transform
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.lineage.column_readers import (
    ColumnEdge,
    DownstreamReader,
    column_edges_down,
    column_edges_up,
    column_readers,
)
from tidemill.lineage.upstream import trace_column
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.stage import Stage


def table(stage: Stage, *names: str, **rest: Any) -> Stage:
    columns = tuple(Column(name=name, dtype=DType("Int64")) for name in names)
    return replace(stage, output=ContractSpec(name="T", version="1.0.0", columns=columns), **rest)


RAW = table(ingest("raw"), "id", "mail", "unread")
# A diamond: two stages read the same, and one reads both.
LEFT = table(transform("left", "day", reads(RAW)), "id", "domain")
RIGHT = table(transform("right", "day", reads(RAW)), "id")
BOTH = table(transform("both", "day", reads(LEFT), reads(RIGHT)), "n")
BLIND = table(transform("blind", "day", reads(LEFT)), "x")
BELOW = table(transform("below", "day", reads(BLIND)), "y", "z")
MODEL = model("model", reads(LEFT))
SCORES = evaluate("scores", MODEL, reads(LEFT))
SENT = deliver("sent", MODEL, RIGHT)
COPIED = replace(deliver("copied", MODEL, RIGHT), model="")
FLOW = replace(
    flow_of(RAW, LEFT, RIGHT, BOTH, BLIND, BELOW, MODEL, SCORES, SENT, COPIED),
    endpoints=(Endpoint(name="ask", model="model", features="right"), Endpoint(name="no", model="x")),
)  # fmt: skip
RECIPES = {
    "raw": Recipe(digest="0"),
    "left": Recipe(
        digest="1",
        lineage={"id": {"raw": ("id", "mail")}, "domain": {"raw": ("mail",)}},
        values={"id": {"raw": ("id",)}, "domain": {"raw": ("mail",)}},
    ),
    "right": Recipe(digest="2", lineage={"id": {"raw": ("id",)}}),
    "both": Recipe(digest="3", lineage={"n": {"left": ("domain",), "right": ("id",)}}),
    "blind": Recipe(digest="4", opaque="it calls f"),
    "below": Recipe(digest="5", lineage={"y": {"blind": ("x",)}, "z": {"blind": ()}}),
    "model": Recipe(digest="6"),
    "scores": Recipe(digest="7"),
    "sent": Recipe(digest="8"),
    "copied": Recipe(digest="9"),
}


def readers_of(column: str, stage: str = "raw") -> dict[str, DownstreamReader]:
    edges = column_edges_down(FLOW, RECIPES, stage, column)
    return {reader.name: reader for reader in column_readers(FLOW, edges, stage)}


def test_readers_directly_and_through_others() -> None:
    found = readers_of("mail")
    assert [*found] == ["left", "both", "blind", "below", "model", "scores", "sent", "ask"]
    assert found["left"] == DownstreamReader(
        name="left", kind="transform", columns=("id", "domain"), through=("raw",), is_direct=True
    )
    assert (found["both"].columns, found["both"].through) == (("n",), ("left",))
    assert not found["both"].is_direct
    # Its query can't be followed, so any of its columns may depend on it.
    assert found["blind"].columns is None
    assert found["below"].columns == ("y",)
    assert found["scores"].through == ("model", "left")
    assert (found["sent"].through, found["ask"].through) == (("model",), ("model",))


def test_a_table_without_a_model_delivers_what_it_reads() -> None:
    found = readers_of("id", "right")
    assert {name for name, reader in found.items() if reader.is_copy} == {"copied"}


def test_an_endpoint_is_reached_by_its_features_as_well() -> None:
    assert readers_of("id")["ask"].through == ("right", "model")
    assert readers_of("id", "right")["ask"].is_direct


@pytest.mark.parametrize("column", ["unread", "gone"])
def test_nobody_reads_it(column: str) -> None:
    assert readers_of(column) == {}


def test_an_input_that_is_declared_to_be_read_in_part_receives_no_more() -> None:
    assert LEFT.output is not None
    told = Reads(contract=LEFT.output, columns=("id",))
    part = [replace(item, reads=told) for item in BLIND.inputs]
    flow = replace(FLOW, stages=tuple(
        replace(stage, inputs=tuple(part)) if stage.name == "blind" else stage
        for stage in FLOW.stages
    ))  # fmt: skip
    edges = column_edges_down(flow, RECIPES, "left", "domain")
    assert "blind" not in {edge.target[0] for edge in edges}


def test_edges_tell_values_from_what_selects_rows() -> None:
    down = column_edges_down(FLOW, RECIPES, "raw", "mail")
    assert ColumnEdge(source=("raw", "mail"), target=("left", "domain"), by_value=True) in down
    assert ColumnEdge(source=("raw", "mail"), target=("left", "id")) in down
    assert ColumnEdge(source=("blind", ""), target=("below", "y")) in down


def test_edges_up_are_those_of_the_lineage() -> None:
    traces = trace_column(FLOW, RECIPES, FLOW["both"], "n")
    up = column_edges_up(traces, RECIPES)
    assert ColumnEdge(source=("left", "domain"), target=("both", "n")) in up
    assert ColumnEdge(source=("raw", "mail"), target=("left", "domain"), by_value=True) in up
    rows = column_edges_up(trace_column(FLOW, RECIPES, FLOW["below"], "z"), RECIPES)
    assert rows[0] == ColumnEdge(source=("blind", ""), target=("below", "z"))
