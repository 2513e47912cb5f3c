"""What is wrong with the options of a table, by themselves."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.workflow.seal import seal
from tidemill.workflow.table_options import table_input


class Raw(tm.Contract, key=("id",)):
    id = tm.Int64()


class Scored(tm.Contract, key=("id",)):
    id = Raw.id
    prediction = tm.Float64()


class Days(tm.Contract, key=("day",)):
    day = tm.Date(partition="1d")


def faults_of(**options: Any) -> str:
    """The faults of a workflow with one table."""
    flow = tm.Workflow("shop")

    @flow.ingest
    def raw() -> tm.Source[Raw]:
        return tm.files("raw/*.parquet")

    @flow.ingest
    def days() -> tm.Source[Days]:
        return tm.files("days/*.parquet")

    given: dict[str, Any] = {"stage": raw, "sink": tm.parquet("out"), **options}
    chosen: dict[str, Any] = {
        name: days if each == "days" else each for name, each in given.items()
    }
    flow.table("out", **chosen)
    try:
        seal(flow)
    except DeclarationError as error:
        return str(error)
    return ""


def test_a_table_of_a_stage_and_a_table_of_a_table() -> None:
    assert faults_of() == ""
    assert faults_of(stage="days", start="2024-03-01") == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stage": None}, "table 'out' delivers nothing (name a stage, stage=orders,"),
        ({"features": "days"}, "stage= delivers rows as they are"),
        ({"stage": None, "model": "days"}, "takes the model 'days', which is not approved"),
        ({"stage": None, "model": 5}, "model= without features="),
        ({"contract": Raw}, "contract= is for predictions; rows of a stage have its contract"),
        ({"contract": 5}, "contract=5 is not a contract"),
        ({"exclude_training": True}, "exclude_training= is for predictions of a model"),
        ({"public": "yes"}, "public='yes' is neither True nor False"),
        ({"exclude_training": "yes"}, "exclude_training='yes' is neither True nor False"),
        ({"on_new_model": "ask"}, "on_new_model='ask' is neither 'keep' nor 'rescore'"),
        ({"sink": "out"}, "sink='out' is not a sink"),
        ({"start": "2024-03-01"}, "start='2024-03-01': its contract is"),
        ({"stage": "days", "start": "March"}, "start='March'"),
        ({"stage": tm.Contract}, "there is no stage 'Contract'"),
    ],
    ids=str,
)
def test_a_fault_is_named_with_its_table(options: dict[str, Any], says: str) -> None:
    assert says in faults_of(**options)


def test_tables_name_what_they_deliver() -> None:
    flow = tm.Workflow("shop")
    table = flow.table(
        "again", stage=flow.table("out", sink=tm.parquet("out")), sink=tm.parquet("b")
    )
    assert [table_input(each) for each in flow.declarations] == ["None", "out"]
    assert repr(table) == "DeliveredTable('again')"


def test_a_stage_of_another_workflow_is_not_delivered() -> None:
    other = tm.Workflow("other")

    @other.ingest
    def foreign() -> tm.Source[Raw]:
        return tm.files("raw/*.parquet")

    assert "there is no stage 'foreign'" in faults_of(stage=foreign)


def test_a_table_of_predictions_is_delivered_again() -> None:
    flow = tm.Workflow("shop")

    @flow.ingest
    def raw() -> tm.Source[Raw]:
        return tm.files("raw/*.parquet")

    @flow.model
    def mod(raw: tm.Frame[Raw]) -> tm.Fitted:
        raise NotImplementedError

    @flow.evaluate
    def ev(mod: tm.Predictor, raw: tm.Frame[Raw]) -> tm.Scores:
        raise NotImplementedError

    live = flow.approve(mod, gates=[tm.beats_baseline("mae")])
    scored = flow.table("scored", model=live, features=raw, sink=tm.parquet("a"), contract=Scored)
    flow.table("again", stage=scored, sink=tm.parquet("b"))
    assert [item.name for item in seal(flow)["again"].inputs] == ["scored"]
