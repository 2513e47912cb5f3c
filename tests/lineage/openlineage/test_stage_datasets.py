"""The datasets that a stage read and wrote, with what is known of them, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.openlineage.flows import CLEAN, FLOW, RAW, RECIPES, context, events_of
from tests.support.openlineage.validation import faults
from tests.support.planning import flow_of
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectQueued, Event, Published, RunEnded
from tidemill.ledger.run import Status
from tidemill.lineage.openlineage import column_lineage, contract_checks
from tidemill.lineage.openlineage.lineage_context import LineageContext
from tidemill.testing.records import (
    attempted_event,
    binding,
    model_artifact,
    product,
    published_event,
    run_started_event,
)
from tidemill.workflow.source import Pull, Query

SHOP = "my shop.eu"


def published(stage: str, *inputs: str, recipe: str = "", **more: Any) -> Published:
    made = replace(
        binding(stage),
        recipe=recipe or f"recipe of {stage}",
        inputs=dict.fromkeys(inputs, "d"),
        **more,
    )
    return published_event(stage=stage, bound=made)


def effect(stage: str, format: str = "parquet", target: str = "out") -> EffectQueued:
    found = Effect(
        key="e", stage=stage, partition="p", action="write", target=target, format=format, table="t"
    )
    return EffectQueued(environment="prod", effect=found)


def told(
    stage: str,
    *facts: Event,
    about: LineageContext | None = None,
    checks: bool = False,
    **cost: Any,
) -> Any:
    """The end of a stage's run, or of its checks."""
    ended = RunEnded(run="run-1", status=Status.OK)
    found = events_of([run_started_event(), attempted_event(stage, **cost), *facts, ended], about)
    name = f"{SHOP}.{stage}{'.contract' if checks else ''}"
    [event] = [e for e in found if e["job"]["name"] == name and e["eventType"] != "START"]
    assert faults(event) == []
    return event


def names(datasets: Any) -> list[str]:
    return [dataset["name"] for dataset in datasets]


def test_a_transform_has_schema_lineage_version_and_statistics() -> None:
    event = told("clean", published("clean", "raw"), rows_in=30, bytes_in=600)
    [read], [made] = event["inputs"], event["outputs"]
    assert (read["namespace"], read["name"]) == ("ns", f"{SHOP}.raw")
    assert read["inputFacets"]["inputStatistics"]["rowCount"] == 30
    assert "facets" not in read
    assert names([made]) == [f"{SHOP}.clean"]
    assert made["facets"].keys() == {
        *("schema", "ownership", "datasetType", "storage", "version", "columnLineage"),
    }
    assert names(made["facets"]["schema"]["fields"]) == ["own", "x"]
    edges = made["facets"]["columnLineage"]
    assert [field["name"] for field in edges["dataset"]] == [f"{SHOP}.raw"]
    statistics = made["outputFacets"]["outputStatistics"]
    assert [statistics[name] for name in ("rowCount", "size", "fileCount")] == [24, 512, 1]


def unknown(event: Any) -> str:
    """Why nothing is known of the columns of what was written."""
    [made] = event["outputs"]
    reason: str = made["facets"].get("tidemill_unknownColumnLineage", {}).get("reason", "")
    return reason


def test_an_opaque_stage_has_no_column_lineage() -> None:
    event = told("opaque", published("opaque", "clean", "raw"))
    [made] = event["outputs"]
    assert names(event["inputs"]) == [f"{SHOP}.clean", f"{SHOP}.raw"]
    assert "columnLineage" not in made["facets"]
    assert unknown(event) == "its query isn't known"
    assert "schema" in made["facets"]


def test_what_another_recipe_computed_isnt_described_by_this_one() -> None:
    event = told("clean", published("clean", "before", recipe="older"))
    [made] = event["outputs"]
    assert names(event["inputs"]) == [f"{SHOP}.before"]
    assert unknown(event) == "its declaration isn't the one that computed it"
    assert made["facets"].keys() == {
        *("datasetType", "storage", "version", "tidemill_unknownColumnLineage"),
    }


def test_a_stage_that_published_nothing_reads_what_it_declares() -> None:
    for stage, read in (("clean", ["raw"]), ("scored", ["clean", "model"]), ("raw", [])):
        event = told(stage)
        assert names(event["inputs"]) == [f"{SHOP}.{name}" for name in read]
        [made] = event["outputs"]
        assert made["facets"].keys() == {"datasetType", "storage"}
        assert "outputFacets" not in made


def test_a_stage_that_is_no_longer_declared_is_known_by_its_records() -> None:
    gone = published("gone", "files", "raw", "(rulings)")
    event = told("gone", gone)
    assert names(event["inputs"]) == [f"{SHOP}.raw"]
    assert names(event["outputs"]) == [f"{SHOP}.gone"]
    assert event["job"]["facets"]["jobType"]["jobType"] == "STAGE"


def test_an_ingest_reads_its_source() -> None:
    event = told("raw", published("raw", "files", "(rulings)"), rows_in=9)
    [read], [made] = event["inputs"], event["outputs"]
    assert (read["namespace"], read["name"]) == ("file", "/srv/data")
    assert read["facets"]["storage"]["fileFormat"] == "csv"
    assert read["inputFacets"]["inputStatistics"]["rowCount"] == 9
    assert made["facets"]["columnLineage"]["fields"].keys() == {"own", "x"}


def test_a_query_is_told_and_its_columns_may_be_computed() -> None:
    text = "select * from a, b where k = 's3cret'"
    source: Query[Any] = Query(query=text, url="mysql://u:s3cret@db/shop")
    event = told("raw", published("raw", "files"), about=context(source=source), rows_in=9)
    assert names(event["inputs"]) == ["shop.a", "shop.b"]
    assert event["job"]["facets"]["sql"]["query"] == "select * from a, b where k = '***'"
    assert "columnLineage" not in event["outputs"][0]["facets"]
    assert unknown(event) == "its source is an SQL query, which may compute columns"
    assert all("inputFacets" not in dataset for dataset in event["inputs"])
    assert "s3cret" not in str(event)
    long: Query[Any] = Query(query=f"select '{'x' * 30_000}' from a", url="mysql://db/shop")
    event = told("raw", published("raw", "files"), about=context(source=long))
    assert "sql" not in event["job"]["facets"]


def test_a_function_doesnt_say_what_it_reads() -> None:
    pull: Pull[Any] = Pull(function=lambda state: (state, state))
    event = told("raw", published("raw", "files"), about=context(source=pull))
    assert event["inputs"] == []
    assert "columnLineage" not in event["outputs"][0]["facets"]
    assert unknown(event) == "its source doesn't say what it reads"


@pytest.mark.parametrize(("stage", "kind"), [("model", "MODEL"), ("scores", "SCORES")])
def test_models_and_scores(stage: str, kind: str) -> None:
    made = replace(product(), artifact=model_artifact("m7") if stage == "model" else None)
    event = told(stage, published(stage, "clean", product=made))
    [found] = event["outputs"]
    assert found["facets"]["datasetType"]["datasetType"] == kind
    assert found["facets"]["version"]["datasetVersion"] == ("m7" if stage == "model" else "one")
    assert "schema" not in found["facets"]
    assert unknown(event) == ""


def test_a_scored_delivery_has_the_key_of_its_input() -> None:
    keyed = replace(CLEAN, output=replace(CLEAN.output, key=("own",)) if CLEAN.output else None)
    sent = replace(FLOW["scored"])
    flow = replace(flow_of(RAW, keyed, FLOW["model"], sent), name=SHOP)
    event = told(
        "scored",
        published("scored", "clean", model="model"),
        effect("scored"),
        about=context(flow),
    )
    assert names(event["inputs"]) == [f"{SHOP}.clean", f"{SHOP}.model"]
    [made] = event["outputs"]
    assert (made["namespace"], made["name"]) == ("file", "/srv/out")
    assert names(made["facets"]["schema"]["fields"]) == ["own", "prediction", "model"]
    assert made["facets"]["columnLineage"]["fields"].keys() == {"own"}
    [also] = made["facets"]["symlinks"]["identifiers"]
    assert (also["namespace"], also["name"]) == ("ns", f"{SHOP}.scored")
    assert made["outputFacets"]["outputStatistics"]["fileCount"] == 1


def test_a_delivery_with_a_contract_casts_some_columns() -> None:
    columns = (
        Column(name="x", dtype=DType("Float64")),
        Column(name="own", dtype=DType("Datetime", ("us", None)), partition=None),
        Column(name="prediction", dtype=DType("Float64")),
    )
    spec = ContractSpec(name="S", version="1", columns=columns)
    flow = replace(
        flow_of(RAW, CLEAN, FLOW["model"], replace(FLOW["scored"], output=spec)), name=SHOP
    )
    event = told(
        "scored", published("scored", "clean", "model"), effect("scored"), about=context(flow)
    )
    facets = event["outputs"][0]["facets"]
    assert names(facets["schema"]["fields"]) == ["x", "own", "prediction"]
    assert facets["columnLineage"]["fields"].keys() == {"own"}


def test_a_delivery_of_rows_copies_all_columns() -> None:
    event = told("sent", published("sent", "clean"), effect("sent", "sqlite", "out.db"))
    [made] = event["outputs"]
    assert (made["namespace"], made["name"]) == ("sqlite:///srv/out.db", "t")
    assert made["facets"]["columnLineage"]["fields"].keys() == {"own", "x"}
    assert "fileCount" not in made["outputFacets"]["outputStatistics"]


def test_a_delivery_by_a_function_is_the_stages_own() -> None:
    event = told("sent", published("sent", "clean"), effect("sent", "call", "shop:send"))
    [made] = event["outputs"]
    assert (made["namespace"], made["name"]) == ("ns", f"{SHOP}.sent")
    assert "symlinks" not in made["facets"]


def test_a_delivery_whose_input_isnt_known_has_no_columns() -> None:
    lost = replace(flow_of(FLOW["scored"]), name=SHOP)
    event = told("scored", published("scored"), effect("scored"), about=context(lost))
    facets = event["outputs"][0]["facets"]
    assert facets["schema"]["fields"] == []
    assert "columnLineage" not in facets
    unread = told("sent", published("sent"), effect("sent"))
    assert "columnLineage" not in unread["outputs"][0]["facets"]


def test_a_stage_without_a_recipe_isnt_described() -> None:
    about = replace(context(), recipes={k: v for k, v in RECIPES.items() if k != "clean"})
    event = told("clean", published("clean", "raw"), about=about)
    assert "schema" not in event["outputs"][0]["facets"]


def test_checks_are_attached_to_what_is_read() -> None:
    event = told("clean", published("clean", "raw"), checks=True)
    [read] = event["inputs"]
    assert (names([read]), event["outputs"]) == ([f"{SHOP}.clean"], [])
    assert read["inputFacets"]["dataQualityMetrics"]["rowCount"] == 24
    checks = read["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [check["name"] for check in checks] == ["own.null", "x.null"]


def test_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_lineage, "MOST_INPUT_FIELDS", 1)
    monkeypatch.setattr(contract_checks, "MOST_CHECKS", 1)
    event = told("clean", published("clean", "raw"))
    assert event["run"]["facets"]["tidemill_leftOut"]["columnLineage"] == 2
    event = told("clean", published("clean", "raw"), checks=True)
    assert event["run"]["facets"]["tidemill_leftOut"]["dataQualityAssertions"] == 1
