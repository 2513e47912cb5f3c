"""Sources: which files there are, and how they are read."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tidemill.contracts.text_format import TextFormat
from tidemill.core.errors import DeclarationError, UsageError
from tidemill.workflow.source import SUFFIXES, Files, delta, files, iceberg, output, pull, sql


def test_files() -> None:
    source = files("data/*.csv", separator=";", null_values=["-"], date_format="%d.%m.%Y")
    assert source == Files(
        pattern="data/*.csv",
        options={"separator": ";"},
        text=TextFormat(null_values=("-",)),
        formats={"Date": ("%d.%m.%Y",)},
    )
    by_column = files("data/*.csv", null_values={"a": "-"}, time_format="%H:%M:%S.%f")
    assert (by_column.null_words, by_column.text) == ({"a": ("-",)}, TextFormat())
    assert by_column.formats == {"Time": ("%H:%M:%S%.f",)}
    assert files("data/*", format="ndjson").format == "ndjson"


def test_suffixes() -> None:
    assert set(SUFFIXES.values()) == {"parquet", "csv", "ndjson", "arrow"}
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        " -- why\n/* and\nhow */ with a as (select 1) select * from a;",
        "(VALUES (1))",
        "table orders",
    ],
)
def test_a_query_only_reads(query: str) -> None:
    assert sql(query, "sqlite:///shop.db", cursor="at").query == query.strip().removesuffix(";")


@pytest.mark.parametrize(
    ("query", "url", "faults"),
    [
        ("", "sqlite:///a.db", ["the query begins with ''"]),
        ("-- SELECT", "sqlite:///a.db", ["the query begins with ''"]),
        ("DELETE FROM a", "sqlite:///a.db", ["the query begins with 'DELETE'"]),
        ("SELECT 1", "postgre://sesame@host/a", ["did you mean 'postgresql'?"]),
        ("SELECT 1", "sesame", ["there is: sqlite, postgresql, duckdb, mysql, env"]),
        ("SELECT 1", "env:", ["the URL env: names no database (write env:DATABASE_URL)"]),
        (
            "DROP",
            "sqlite:///",
            ["the query begins with 'DROP'", "the URL sqlite: names no database"],
        ),
    ],
)
def test_faults_of_a_query(query: str, url: str, faults: list[str]) -> None:
    with pytest.raises(DeclarationError) as caught:
        sql(query, url)
    assert len(caught.value.faults) == len(faults)
    assert all(word in str(caught.value) for word in faults)
    assert "sesame" not in str(caught.value)


def test_only_postgresql_notifies() -> None:
    for url in ("postgresql://host/a", "env:SHOP_URL"):
        assert sql("SELECT 1", url, notify="orders").notify == "orders"
    with pytest.raises(DeclarationError, match="notify needs PostgreSQL"):
        sql("SELECT 1", "sqlite:///a.db", notify="orders")
    with pytest.raises(DeclarationError, match="notify needs PostgreSQL"):
        sql("SELECT 1", "postgresql://host/a", engine="adbc", notify="orders")
    for channel in ("o" * 64, "a\0b"):
        with pytest.raises(DeclarationError, match="is not a channel"):
            sql("SELECT 1", "postgresql://host/a", notify=channel)


def test_an_engine_reads_urls_that_only_it_knows() -> None:
    assert sql("SELECT 1", "redshift://host/a", engine="connectorx").engine == "connectorx"
    with pytest.raises(DeclarationError, match="did you mean 'adbc'"):
        sql("SELECT 1", "redshift://host/a", engine="abdc")  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="the URL redshift: names no database"):
        sql("SELECT 1", "redshift://", engine="adbc")


def test_an_address_is_not_shown() -> None:
    assert "sesame" not in repr(sql("SELECT 1", "postgresql://me:sesame@host/a"))


def test_faults_of_an_output() -> None:
    assert output("../shop", "orders").env == "prod"
    with pytest.raises(DeclarationError) as caught:
        output(" ", "")
    assert [fault.message for fault in caught.value.faults] == [
        "project is empty",
        "stage is empty",
    ]
    with pytest.raises(UsageError):
        output("../shop", "orders", env="a b")


def test_what_is_pulled_by() -> None:
    with pytest.raises(DeclarationError, match="3 is not a function"):
        pull(3)  # type: ignore[arg-type]


def test_a_version_of_a_table() -> None:
    assert delta("lake").version is None
    assert delta("lake", version=3).version == 3


@pytest.mark.parametrize(
    ("table", "more", "fault"),
    [
        (" ", {}, "the table is empty"),
        ("raw", {"catalog": "prod"}, "the table 'raw' has no namespace"),
        ("raw.", {"uri": "https://me:sesame@catalog"}, "the table 'raw.' has no namespace"),
    ],
)
def test_faults_of_a_table(table: str, more: dict[str, str], fault: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        iceberg(table, **more)  # type: ignore[arg-type]
    assert [found.message for found in caught.value.faults] == [fault]


def test_an_address_of_a_catalog_is_not_shown() -> None:
    assert iceberg("lake/v1.metadata.json").snapshot is None
    assert "sesame" not in repr(iceberg("sea.raw", uri="https://me:sesame@catalog"))


@pytest.mark.parametrize(
    "source",
    [
        partial(files, "a.csv"),
        partial(sql, "SELECT 1", "sqlite:///a.db"),
        partial(output, "../shop", "orders"),
        partial(delta, "lake"),
        partial(iceberg, "table"),
    ],
)
def test_what_happens_when_rows_are_gone(source: partial[Any]) -> None:
    assert (source().on_missing, source().max_missing) == ("fail", 0.2)
    assert source(on_missing="keep").on_missing == "keep"
    with pytest.raises(DeclarationError, match="on_missing='kep' is not one of fail, keep, remove"):
        source(on_missing="kep")
    if source.func is not files:
        assert source(max_missing=0).max_missing == 0
        with pytest.raises(DeclarationError, match="max_missing=20 is not a share"):
            source(max_missing=20)
