"""Names of datasets: those that OpenLineage's conventions give them, and no secrets."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.ledger.delivery import Effect
from tidemill.lineage.openlineage.dataset_names import Dataset, Places
from tidemill.workflow.loaders import Dbt, dbt
from tidemill.workflow.source import Delta, Files, Iceberg, Output, Pull, Query, Source

VALUES = {"env:SHOP": "postgresql://ana:s3cret@db.shop:6000/shop?sslmode=require"}


def table_of(source: Dbt[Any]) -> tuple[str, ...]:
    return ("shop", "main", "orders") if source.model == "orders" else ()


PLACES = Places(
    namespace="ns",
    root="/srv/shop",
    resolve=lambda url: VALUES.get(url, "" if url.startswith("env:") else url),
    workflow_of=lambda source: source.workflow,
    table_of=table_of,
)


def query(url: str, text: str = "select * from orders") -> Query[Any]:
    return Query(query=text, url=url, engine="adbc")


def names_of(source: Source[Any]) -> list[tuple[str, str]]:
    return [(found.namespace, found.name) for found in PLACES.sources(source)]


@pytest.mark.parametrize(
    ("source", "namespace", "name"),
    [
        (Files(pattern="data/orders/*.parquet"), "file", "/srv/shop/data/orders"),
        (Files(pattern="data/orders.csv"), "file", "/srv/shop/data/orders.csv"),
        (Files(pattern="../in/[ab]/x?.csv"), "file", "/srv/in"),
        (Files(pattern="*.csv"), "file", "/srv/shop"),
        (Files(pattern="/*/a.csv"), "file", "/"),
        (Files(pattern="file:///srv/a.csv"), "file", "/srv/a.csv"),
        (Files(pattern="s3://bucket/in/*.csv"), "s3://bucket", "in"),
        (Files(pattern="gs://bucket/*.csv"), "gs://bucket", "/"),
        (Delta(path="lake/orders"), "file", "/srv/shop/lake/orders"),
        (Delta(path="abfss://c@acc.dfs.core.windows.net/t"), "abfss://acc.dfs.core.windows.net", "t"),
        (Iceberg(table="shop.orders", catalog="prod"), "iceberg://prod", "shop.orders"),
        (Iceberg(table="shop.orders", uri="https://u:p@cat.shop/api"), "https://cat.shop", "shop.orders"),
        (Iceberg(table="shop.orders", uri="sqlite:///cat.db"), "sqlite:///srv/shop/cat.db", "shop.orders"),
        (Iceberg(table="lake/orders/metadata.json"), "file", "/srv/shop/lake/orders/metadata.json"),
        (query("postgresql://ana:x@db/shop"), "postgres://db:5432", "shop.public.orders"),
        (query("postgresql://db:7/shop", "select * from a.b"), "postgres://db:7", "shop.a.b"),
        (query("postgresql:///shop", "select * from x.a.b"), "postgres://localhost:5432", "x.a.b"),
        (query("postgresql://db/shop", "select * from f(1)"), "postgres://db:5432", "shop"),
        (query("mysql://u@db:3307/shop"), "mysql://db:3307", "shop.orders"),
        (query("mssql+pyodbc://db/shop"), "mssql://db:1433", "shop.dbo.orders"),
        (query("snowflake://u:p@acc/shop/raw"), "snowflake://acc", "shop.raw.orders"),
        (query("bigquery://proj/set"), "bigquery", "proj.set.orders"),
        (query("bigquery://proj", "select * from `p.s.t`"), "bigquery", "p.s.t"),
        (query("bigquery://proj", "select * from f(1)"), "bigquery", "proj"),
        (query("sqlite:///shop.db"), "sqlite:///srv/shop/shop.db", "orders"),
        (query("duckdb:////srv/s.db", "select 1 from f(1)"), "duckdb:///srv/s.db", "main"),
        (query("env:SHOP"), "postgres://db.shop:6000", "shop.public.orders"),
        (query("env:NONE"), "env:NONE", "orders"),
        (query("env:NONE", "select * from f(1)"), "env:NONE", "(query)"),
        (query("odd:place"), "unknown", "orders"),
        (dbt("dbt", "orders", "duckdb:///s.db"), "duckdb:///srv/shop/s.db", "shop.main.orders"),
        (dbt("dbt", "orders", "postgresql://db/shop"), "postgres://db:5432", "shop.main.orders"),
        (dbt("dbt", "other", "duckdb:///s.db"), "duckdb:///srv/shop/s.db", "other"),
        (Output(project="../web", stage="visits", workflow="web.eu"), "ns", "web.eu.visits"),
        (Output(project="../web", stage="visits", workflow="web", env="dev"), "ns/dev", "web.visits"),
        (Output(project="../web", stage="visits"), "file", "/srv/web/visits"),
    ],
)  # fmt: skip
def test_sources(source: Source[Any], namespace: str, name: str) -> None:
    assert names_of(source) == [(namespace, name)]


def test_a_query_reads_each_of_its_tables_and_a_function_none() -> None:
    both = query("postgresql://db/shop", "select * from a join b using (k)")
    assert [name for _, name in names_of(both)] == ["shop.public.a", "shop.public.b"]
    assert names_of(Pull(function=lambda state: (state, state))) == []


@pytest.mark.parametrize(
    ("pattern", "format"),
    [("a/*.csv", "csv"), ("a/*.JSONL", "ndjson"), ("a/*", ""), ("a/*.pq", "parquet")],
)
def test_the_format_of_files_is_known_by_their_suffix(pattern: str, format: str) -> None:
    assert PLACES.sources(Files(pattern=pattern))[0].format == format
    assert PLACES.sources(Files(pattern=pattern, format="arrow"))[0].format == "arrow"


def effect(format: str, target: str, table: str = "", catalog: str = "") -> Effect:
    return Effect(
        key="k", stage="s", partition="p", action="write",
        format=format, target=target, table=table, catalog=catalog,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (effect("parquet", "out/f@dev"), ("file", "/srv/shop/out/f@dev", "file", "parquet")),
        (effect("parquet", "s3://b/out@dev"), ("s3://b", "out@dev", "file", "parquet")),
        (effect("delta", "s3://b/out"), ("s3://b", "out", "delta", "parquet")),
        (effect("iceberg", "", "m.f", "prod"), ("iceberg://prod", "m.f", "iceberg", "parquet")),
        (effect("sqlite", "out.db", "f"), ("sqlite:///srv/shop/out.db", "f", "sqlite", "")),
        (effect("duckdb", "/srv/o.db", "f"), ("duckdb:///srv/o.db", "f", "duckdb", "")),
        (
            effect("postgres", "env:SHOP", "marts.f"),
            ("postgres://db.shop:6000", "shop.marts.f", "postgres", ""),
        ),
    ],
)
def test_sinks(given: Effect, wanted: tuple[str, str, str, str]) -> None:
    namespace, name, layer, format = wanted
    assert PLACES.sink(given) == Dataset(namespace=namespace, name=name, layer=layer, format=format)


def test_a_function_doesnt_say_where_it_delivers() -> None:
    assert PLACES.sink(effect("call", "shop:send")) is None


def test_stages_are_in_the_namespace_of_their_environment() -> None:
    found = PLACES.stage("prod", "my shop", "orders")
    assert (found.namespace, found.name, found.layer) == ("ns", "my shop.orders", "tidemill")
    assert PLACES.stage("dev-ana", "w", "s").namespace == "ns/dev-ana"


def test_a_model_whose_table_nobody_knows_is_named_by_itself() -> None:
    places = Places(namespace="ns", root="/srv", resolve=str, workflow_of=lambda source: "")
    found = places.sources(dbt("dbt", "orders", "postgresql://db/shop"))
    assert [item.name for item in found] == ["shop.public.orders"]
