"""References between contracts, and what can be wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.workflow.seal import dependencies, seal
from tidemill.workflow.workflow import Workflow


class Ports(tm.Contract):
    port = tm.Int64()


class Ships(tm.Contract):
    ship = tm.Int64()
    port = tm.Int64()
    known = tm.References("port", Ports)


class Named(tm.Contract):
    port = tm.Int64()
    known = tm.References("port", Ports, stage="harbours")


def workflow(*stages: Any) -> Workflow:
    flow = Workflow("sea")
    for stage in stages:
        flow.ingest(stage)
    return flow


def ships() -> tm.Source[Ships]:
    return tm.files("ships/*.csv")


def named() -> tm.Source[Named]:
    return tm.files("named/*.csv")


def ports() -> tm.Source[Ports]:
    return tm.files("ports/*.csv")


def harbours() -> tm.Source[Ports]:
    return tm.files("harbours/*.csv")


def faults(*stages: Any) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        seal(workflow(*stages))
    return [f"{fault.message}; {fault.hint}" for fault in caught.value.faults]


def test_a_stage_comes_after_those_that_it_refers_to() -> None:
    flow = seal(workflow(ships, ports))
    assert flow.names == ("ports", "ships")
    assert flow["ships"].refers == {"known": "ports"}
    assert dependencies(flow["ships"]) == {"ports"}
    assert flow["ports"].refers == {}


def test_of_several_stages_one_is_named() -> None:
    flow = seal(workflow(named, ports, harbours))
    assert flow["named"].refers == {"known": "harbours"}


def test_a_table_that_no_stage_gives() -> None:
    [fault] = faults(ships)
    assert "ingest 'ships': known: Ports (test_references.py:" in fault
    assert "isn't the output of any stage; declare one, such as" in fault


def test_a_table_that_several_stages_give() -> None:
    [fault] = faults(ships, ports, harbours)
    assert (
        "is produced by several stages: ports, harbours; name one: References(..., stage='ports')"
        in fault
    )


def test_a_stage_that_gives_something_else() -> None:
    [fault] = faults(named, ports)
    assert "is not the output of a stage 'harbours'; there is: named, ports" in fault


def test_what_may_be_hidden_by_another_fault_is_not_told() -> None:
    def unclear() -> Any: ...

    [fault] = faults(ships, unclear)
    assert "'unclear' has no valid return annotation" in fault


def test_tables_that_refer_to_each_other() -> None:
    def ports(ships: tm.Frame[Ships]) -> tm.Frame[Ports]:
        return ships.select("port")

    ports.__annotations__ = {"ships": tm.Frame[Ships], "return": tm.Frame[Ports]}
    flow = workflow(ships)
    flow.transform(ports)
    with pytest.raises(DeclarationError, match="these stages wait for each other: ports -> ships"):
        seal(flow)
