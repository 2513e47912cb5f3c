"""The Python client of OpenLineage knows every event, every facet and every name as its own."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from tests.behaviour.test_models import WINDOW
from tests.support.openlineage.projects import LineageSea
from tests.support.tides import LENIENT
from tidemill.lineage.openlineage.dataset_names import Places
from tidemill.workflow.source import Delta, Files, Query, Source

WHY = "openlineage-python isn't installed: it is a tool of contributors"
attr = pytest.importorskip("attr", reason=WHY)
client = pytest.importorskip("openlineage.client", reason=WHY)
event_v2 = pytest.importorskip("openlineage.client.event_v2", reason=WHY)
facet_v2 = pytest.importorskip("openlineage.client.facet_v2", reason=WHY)
naming = pytest.importorskip("openlineage.client.naming.dataset", reason=WHY)
serde = pytest.importorskip("openlineage.client.serde", reason=WHY)


def facet_kinds() -> dict[str, Any]:
    """The client's classes of facets, by the URL of their schema."""
    modules = [m for m in vars(facet_v2).values() if isinstance(m, types.ModuleType)]
    kinds = [
        k for m in modules for k in vars(m).values() if attr.has(k) and hasattr(k, "_get_schema")
    ]
    return {kind._get_schema(): kind for kind in kinds}


def built(kind: Any, value: Any) -> Any:
    """A value as an object of the client; TypeError for fields that it doesn't know or that are missing."""
    arguments = [each for each in get_args(kind) if each is not type(None)]
    if get_origin(kind) in (Union, types.UnionType):
        return built(arguments[0], value)
    if get_origin(kind) is list:
        return [built(arguments[0], each) for each in value]
    if get_origin(kind) is dict:
        return {key: built(arguments[1], each) for key, each in value.items()}
    if not attr.has(kind):
        assert isinstance(value, kind), (kind, value)
        return value
    hints = get_type_hints(kind)
    given = {k: v for k, v in value.items() if k not in ("_schemaURL", "_producer")}
    producer = {"producer": value["_producer"]} if "_producer" in value else {}
    return kind(**{k: built(hints[k], v) for k, v in given.items()}, **producer)


def facets_of(event: Any) -> Iterator[tuple[str, Any]]:
    yield from event["run"]["facets"].items()
    yield from event["job"]["facets"].items()
    for dataset in (*event["inputs"], *event["outputs"]):
        for kind in ("facets", "inputFacets", "outputFacets"):
            yield from dataset.get(kind, {}).items()


def filled(value: Any) -> Any:
    """A value without what is empty, which the client adds."""
    if isinstance(value, Mapping):
        return {k: filled(v) for k, v in value.items() if v not in ({}, [], None)}
    return [filled(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(params=["models", "rows"])
def events(request: pytest.FixtureRequest, tmp_path: Path) -> list[Any]:
    if request.param == "rows":
        rows = LineageSea(tmp_path, LENIENT)
        rows.send(0, (5000.0, 1.0))
        rows.edit("value * 2", "value.cum_sum()")
        rows.run()
        return rows.take()
    sea = LineageSea(tmp_path)
    for number in range(WINDOW):
        sea.flood(number)
    sea.run()
    return sea.take()


def test_every_facet_is_one_of_the_client(events: list[Any]) -> None:
    kinds, seen = facet_kinds(), set()
    for event in events:
        for name, facet in facets_of(event):
            found = built(kinds[facet["_schemaURL"]], facet)
            assert filled(serde.Serde.to_dict(found)) == filled(facet)
            seen.add(name)
    assert len(seen) > 10


def test_every_event_is_one_of_the_client(events: list[Any]) -> None:
    for event in events:
        found = event_v2.RunEvent(
            eventType=event_v2.RunState[event["eventType"]],
            eventTime=event["eventTime"],
            producer=event["producer"],
            run=event_v2.Run(runId=event["run"]["runId"]),
            job=event_v2.Job(namespace=event["job"]["namespace"], name=event["job"]["name"]),
        )
        bare = {
            **event,
            "run": {"runId": event["run"]["runId"]},
            "job": {key: event["job"][key] for key in ("namespace", "name")},
        }
        for name in ("inputs", "outputs"):
            del bare[name]
        assert filled(serde.Serde.to_dict(found)) == bare


PLACES = Places(
    namespace="ns", root="/srv", resolve=str, workflow_of=lambda source: source.workflow
)


def query(url: str, table: str) -> Query[Any]:
    return Query(query=f"select * from {table}", url=url, engine="adbc")


@pytest.mark.parametrize(
    ("source", "kind", "given"),
    [
        (query("postgresql://h:5432/d", "s.t"), "Postgres",
         {"host": "h", "port": "5432", "database": "d", "schema": "s", "table": "t"}),
        (query("mysql://h:3306/d", "t"), "MySQL",
         {"host": "h", "port": "3306", "database": "d", "table": "t"}),
        (query("bigquery://p/s", "t"), "BigQuery",
         {"project_id": "p", "dataset_name": "s", "table_name": "t"}),
        (query("trino://h:8080/c/s", "t"), "Trino",
         {"host": "h", "port": "8080", "catalog": "c", "schema": "s", "table": "t"}),
        (query("snowflake://o-a/d/s", "t"), "Snowflake",
         {"organization_name": "o", "account_name": "a", "database": "d", "schema": "s", "table": "t"}),
        (Delta(path="s3://b/k/t"), "S3", {"bucket_name": "b", "object_key": "k/t"}),
        (Delta(path="gs://b/k/t"), "GCS", {"bucket_name": "b", "object_key": "k/t"}),
        (Files(pattern="data/*.csv"), "LocalFileSystem", {"path": "/srv/data"}),
    ],
)  # fmt: skip
def test_names_are_those_of_the_client(
    source: Source[Any], kind: str, given: dict[str, str]
) -> None:
    wanted = getattr(naming, kind)(**given)
    [found] = PLACES.sources(source)
    assert (found.namespace, found.name) == (wanted.get_namespace(), wanted.get_name())
