"""Decorators note what was declared and leave the function as it is."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.contracts.column_types import Int64
from tidemill.contracts.declaration import DeclaredContract
from tidemill.workflow.gate import beats_live
from tidemill.workflow.sink import parquet
from tidemill.workflow.stage import Kind
from tidemill.workflow.window import last
from tidemill.workflow.workflow import FREE, ONCE, Workflow, contract_of


class Table(DeclaredContract):
    x = Int64()


def stage(raw: Any) -> Any:
    return raw


@pytest.mark.parametrize(
    ("kind", "options", "noted"),
    [
        (Kind.INGEST, {"start": "2013"}, {"start": "2013", "sample_by": None, "version": None}),
        (
            Kind.TRANSFORM,
            {"optional": ["raw"]},
            {"fold": None, "optional": ("raw",), "reads": (), "version": None},
        ),
        (
            Kind.MODEL,
            {"seed": 7},
            {
                "params": {},
                "seed": 7,
                "retrain": None,
                "search": None,
                "warm_start": None,
                "format": "",
                "reads": (),
                "version": None,
            },
        ),
        (
            Kind.EVALUATE,
            {"version": "2"},
            {"backtest": None, "reads": (), "version": "2"},
        ),
    ],
)
def test_decorators(kind: Kind, options: dict[str, Any], noted: dict[str, Any]) -> None:
    noted |= {"resources": FREE, "retries": ONCE}
    flow = Workflow("tides", owner="ops")
    assert getattr(flow, kind)(stage) is stage
    assert getattr(flow, kind)(**options)(stage) is stage
    bare, full = flow.declarations
    assert (bare.name, bare.kind, bare.function) == ("stage", kind, stage)
    assert bare.place == full.place == f"test_workflow.py:{stage.__code__.co_firstlineno}"
    assert full.options == noted
    assert bare.options.keys() == noted.keys()
    assert (flow.name, flow.owner, repr(flow)) == ("tides", "ops", "Workflow('tides', 2 stages)")
    assert "<td>stage</td>" in flow._repr_html_()


def test_windows_are_noted() -> None:
    flow = Workflow("tides")
    for declare in (flow.transform, flow.model, flow.evaluate):
        declare(window={"raw": last("7d")})(stage)
    assert [declared.window for declared in flow.declarations] == [{"raw": last("7d")}] * 3


def test_parameters_are_taken_as_they_are_now() -> None:
    flow, params = Workflow("tides"), {"rounds": 20}
    flow.model(params=params)(stage)
    params["rounds"] = 99
    assert flow.declarations[0].options["params"] == {"rounds": 20}


def test_approvals_and_tables_know_where_they_were_said() -> None:
    flow = Workflow("tides")
    live = flow.approve(stage, gates=[beats_live("mae")])
    flow.table("out", model=live, features=stage, sink=parquet("out"))
    assert (live.model, live.gates) == ("stage", (beats_live("mae"),))
    (table,) = flow.declarations
    assert (table.name, table.kind, table.options["model"]) == ("out", Kind.DELIVER, live)
    lines = [int(place.removeprefix("test_workflow.py:")) for place in (live.place, table.place)]
    assert lines[1] == lines[0] + 1


def test_only_a_notebooks_cell_replaces_what_it_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Workflow("tides")
    for _ in range(2):
        flow.transform(stage)
        live = flow.approve(stage, gates=[])
        flow.table("out", model=live, features=stage, sink=parquet("out"))
    assert (len(flow.declarations), len(flow.approvals)) == (4, 2)
    monkeypatch.setattr(stage, "__module__", "__main__")
    flow.transform(stage)
    flow.approve(stage, gates=[])
    flow.table("out", model=live, features=stage, sink=parquet("out"))
    assert [declared.name for declared in flow.declarations] == ["stage", "out"]
    assert len(flow.approvals) == 1


def test_contract_of() -> None:
    spec = contract_of(Table)
    assert spec is not None
    assert spec.names == ("x",)
    assert contract_of(int) is None

    class Odd:
        __tidemill_contract__ = "no contract"

    assert contract_of(Odd) is None
