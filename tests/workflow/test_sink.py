"""Sinks: what they say about themselves, and what each can store."""

from __future__ import annotations

from functools import partial

import pytest

from tidemill.contracts.dtype import DType
from tidemill.core.errors import DeclarationError
from tidemill.workflow.sink import (
    Sink,
    call,
    duckdb,
    parquet,
    postgres,
    sink_faults,
    sink_of,
    sqlite,
    table_parts,
    unstorable,
)
from tidemill.workflow.source import delta, iceberg


def send(delivery: object) -> None:
    """Do nothing."""


def test_what_identifies_a_table() -> None:
    # The first is part of fingerprints that were recorded before there were other sinks.
    assert parquet("out").identity == ["out", "parquet"]
    assert sqlite("a.db", "t").identity == ["a.db", "sqlite", "t"]
    assert duckdb("a.db", "t").identity == ["a.db", "duckdb", "t"]
    assert postgres("env:DB", "s.t").identity == ["env:DB", "postgres", "s.t"]
    assert call(send).identity == ["tests.workflow.test_sink:send", "call"]


def test_places_to_read_from_are_places_to_write_to() -> None:
    assert sink_of(delta("out")) == Sink(folder="out", format="delta")
    assert sink_of(iceberg("a.b", catalog="prod", uri="env:URI")) == Sink(
        folder="env:URI", format="iceberg", table="a.b", catalog="prod"
    )
    assert sink_of("out") is None


GOOD = [
    parquet("out"), sqlite("a.db", 'any "table" ? %s'), duckdb("a.db", "t"), call(send),
    postgres("env:DB", "t"), postgres("postgresql://me@host/db", "marts.t"), delta("out"),
    iceberg("a.b", catalog="prod"), iceberg("a.b", uri="sqlite:///catalog.db"),
]  # fmt: skip


@pytest.mark.parametrize("option", GOOD, ids=repr)
def test_a_good_sink_has_no_faults(option: object) -> None:
    assert [*sink_faults(option)] == []


BAD: list[tuple[object, str]] = [
    ("out", "sink='out' is not a sink"),
    (None, "sink=None is not a sink"),
    (parquet(" "), "its sink has an empty path"),
    (sqlite("", "t"), "its sink has an empty path"),
    (
        sqlite("./.tidemill/ledger.db", "t"),
        "its sink './.tidemill/ledger.db' is in Tidemill's own folder",
    ),
    (parquet(".tidemill"), "its sink '.tidemill' is in Tidemill's own folder"),
    (sqlite("a.db", " "), "its table ' ' is empty"),
    (sqlite("a.db", "a\0b"), "its table 'a\\x00b' has a NUL character"),
    (sqlite("a.db", "Tidemill_Staging"), "its table 'Tidemill_Staging' is used by deliveries"),
    (postgres("env:A", "s.tidemill_deliveries"), "its table 's.tidemill_deliveries' is used by"),
    (sqlite("a.db", "sqlite_a"), "its table 'sqlite_a' is reserved by SQLite"),
    (postgres("env:DB", "x" * 51), f"its table {'x' * 51!r} is too long"),
    (postgres("env:DB", ".t"), "its table '.t' is empty"),
    (postgres("env:", "t"), "env: names no environment variable"),
    (postgres("mysql://host/db", "t"), "the URL of its sink is no postgresql:// URL"),
    (postgres("postgresql://me:s3cret@h/db", "t"), "the URL of its sink has a password"),
    (postgres("postgresql://me:a@b:c@h/db", "t"), "the URL of its sink has"),
    (delta("out", version=1), "its sink has version=, which is for reading"),
    (iceberg("a.b", catalog="x", snapshot=1), "its sink has snapshot=, which is for reading"),
    (iceberg("folder/metadata"), "an Iceberg sink needs a catalog"),
    (iceberg("a.b", uri="https://me:s3cret@host"), "the URI of its sink has a password"),
]


@pytest.mark.parametrize(("option", "says"), BAD, ids=[bad[1][:40] for bad in BAD])
def test_a_bad_sink_says_what_is_wrong(option: object, says: str) -> None:
    faults = [*sink_faults(option)]
    assert any(message.startswith(says) for message, _ in faults), faults
    assert all(hint for _, hint in faults)
    assert "s3cret" not in repr((option, faults))


def test_what_is_called_is_a_function() -> None:
    with pytest.raises(DeclarationError, match="5 is not a function"):
        call(5)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match=r"has no name \(deliveries are known by it"):
        call(partial(print))


@pytest.mark.parametrize(
    ("format", "table", "parts"),
    [
        ("postgres", "marts.t", ("marts", "t")),
        ("postgres", "t", ("t",)),
        ("postgres", "a.b.c", ("a", "b.c")),
        ("sqlite", "a.b", ("a.b",)),
    ],
)
def test_the_parts_of_a_table(format: str, table: str, parts: tuple[str, ...]) -> None:
    assert table_parts(format, table) == parts


STRUCT = DType("Struct", ("a", DType("Int64")))
STORED: list[tuple[DType, str]] = [
    (DType("Int64"), "sqlite duckdb postgres delta iceberg"),
    (DType("UInt64"), "duckdb postgres"),
    (DType("Int128"), ""),
    (DType("Float16"), ""),
    (DType("Null"), ""),
    (DType("Enum", ("a", "b")), "sqlite duckdb postgres delta iceberg"),
    (DType("Decimal", (10, 2)), "sqlite duckdb postgres delta iceberg"),
    (DType("Datetime", ("us", "Europe/Berlin")), "sqlite duckdb postgres delta iceberg"),
    (DType("Datetime", ("ns", None)), ""),
    (DType("Time"), "sqlite duckdb postgres iceberg"),
    (DType("Duration", ("us",)), "duckdb postgres"),
    (DType("Duration", ("ns",)), ""),
    (DType("List", (DType("Int64"),)), "duckdb postgres delta iceberg"),
    (DType("List", (DType("Datetime", ("ns", None)),)), ""),
    (DType("List", (STRUCT,)), "duckdb delta"),
    (DType("Struct", ("a", DType("List", (STRUCT,)))), "duckdb delta"),
    (DType("List", (DType("List", (STRUCT,)),)), "duckdb delta"),
    (DType("List", (DType("List", (DType("Int64"),)),)), "duckdb delta iceberg"),
    (STRUCT, "duckdb delta iceberg"),
    (DType("Array", (DType("Int64"), 2)), "duckdb"),
]


@pytest.mark.parametrize(("dtype", "formats"), STORED, ids=str)
def test_which_sinks_store_a_type(dtype: DType, formats: str) -> None:
    known = ("sqlite", "duckdb", "postgres", "delta", "iceberg")
    assert " ".join(each for each in known if unstorable(each, dtype) is None) == formats
    # Files and functions get whatever there is.
    assert unstorable("parquet", dtype) is unstorable("call", dtype) is None
    for each in known:
        found = unstorable(each, dtype)
        assert found is None or all(found)


def test_a_list_of_structs_that_is_never_null_fits_into_iceberg() -> None:
    structs = DType("List", (STRUCT,))
    assert unstorable("iceberg", structs, nullable=False) is None
    # Only the column itself can be declared not nullable.
    for outer in (DType("List", (structs,)), DType("Struct", ("a", structs))):
        assert unstorable("iceberg", outer, nullable=False) is not None


@pytest.mark.parametrize(
    ("folder", "format", "is_remote"),
    [
        ("out", "parquet", False),
        ("postgresql://db.example:5432/shop", "postgres", True),
        ("postgresql://me@db.example/shop", "postgres", True),
        ("env:WAREHOUSE_URL", "postgres", True),
        ("postgresql://me@localhost:5432/shop", "postgres", False),
        ("postgresql://127.0.0.1/shop", "postgres", False),
        ("postgresql://[::1]:5432/shop", "postgres", False),
        ("postgresql:///shop", "postgres", False),
    ],
)
def test_rows_leave_this_machine_or_not(folder: str, format: str, is_remote: bool) -> None:
    assert Sink(folder=folder, format=format).is_remote is is_remote
