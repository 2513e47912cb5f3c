"""Sinks: where the rows of a delivery go, and which column types each of them can store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from posixpath import normpath
from typing import Any, TypeAlias

from tidemill.contracts.dtype import DType
from tidemill.core.errors import DeclarationError, Fault
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import url_secrets
from tidemill.core.store_url import is_store_url, local_place, place_fault
from tidemill.core.url_syntax import ENCODING_ADVICE, url_ambiguity
from tidemill.workflow.source import Delta, Iceberg

# The formats whose place is a URL.
URL_SINKS = ("postgres", "iceberg")
# Those that are files in the project, or folders of files.
_FILES = ("parquet", "delta", "sqlite", "duckdb")
# Hosts of URLs that are this machine.
_HERE = ("localhost", "127.0.0.1", "[::1]")
# The column of a table that names the partition of each row.
PARTITION_COLUMN = "tidemill_partition"
# The table of a database that has the last delivery of each partition, and the one that rows are loaded into.
DELIVERIES, STAGING = "tidemill_deliveries", "tidemill_staging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A delivery that a function carries out: write `frame`, or remove the partition.

    `key` identifies the delivery: it is equal when a delivery is repeated after a crash. `frame` is None
    if `action` is "remove".
    """

    frame: Any
    key: str
    table: str
    partition: str
    action: str
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Where rows are delivered: a folder, a table of a database or catalog, or a function.

    `folder` is a folder, a file, a URL or a function's name, depending on the `format`.
    """

    # Not in the repr: a URL may contain a password, which is refused.
    folder: str = field(repr=False)
    format: str = "parquet"
    table: str = ""
    catalog: str = ""
    function: Callable[[Call], object] | None = field(default=None, compare=False)

    @property
    def identity(self) -> list[str]:
        """What a table's fingerprint depends on."""
        return [self.folder, self.format, *filter(None, (self.table, self.catalog))]

    @property
    def is_remote(self) -> bool:
        """Whether rows leave this machine: its place is a URL of another host, or not known yet."""
        if self.format not in URL_SINKS:
            return self.format == "parquet" and is_store_url(self.folder)
        _, is_url, rest = self.folder.partition("://")
        authority = rest.partition("/")[0].rpartition("@")[2]
        if is_url and not authority:
            return False  # a socket
        return authority.rpartition(":")[0] not in _HERE and authority not in _HERE


SinkOption: TypeAlias = "Sink | Delta[Any] | Iceberg[Any]"


def parquet(folder: str) -> Sink:
    """Deliver one Parquet file per partition to `folder`, relative to the project's folder.

    `folder` may be the URL of a place in an object store (`s3://bucket/path`, `gs://`, `az://`), whose
    credentials are in the environment; that needs the extra `objectstore`. A file is replaced atomically when
    its partition is delivered again.
    """
    place = local_place(folder)
    return Sink(folder=place.rstrip("/") if is_store_url(place) else place)


def sqlite(path: str, table: str) -> Sink:
    """Deliver to a table of the SQLite file `path`, relative to the project's folder.

    All partitions that a run delivers appear in one transaction. The table gets a column
    `tidemill_partition`.
    """
    return Sink(folder=path, format="sqlite", table=table)


def duckdb(path: str, table: str) -> Sink:
    """Deliver to a table of the DuckDB file `path`, relative to the project's folder.

    It needs the extra `duckdb`. All partitions that a run delivers appear in one transaction. The table gets
    a column `tidemill_partition`.
    """
    return Sink(folder=path, format="duckdb", table=table)


def postgres(url: str, table: str) -> Sink:
    """Deliver to a table of a PostgreSQL database; needs the extra `postgres`.

    `url` is `env:NAME` for the value of an environment variable, or a `postgresql://` URL without a
    password. `table` may begin with a schema: `marts.forecast`. All partitions that a run delivers appear
    in one transaction. The table gets a column `tidemill_partition`.
    """
    return Sink(folder=url, format="postgres", table=table)


def call(function: Callable[[Call], object]) -> Sink:
    """Deliver by calling `function(delivery)` for each partition, in production only.

    `delivery` has the `frame`, the `partition`, the `action` ("write" or "remove"), the `table` and a `key`.
    A call that was interrupted is repeated with the same key, by which the receiver recognises it.
    """
    given: object = function
    if not callable(given):
        hint = "pass a function of one argument, a delivery with frame, key, partition and action"
        fault = Fault(message=f"{function!r} is not a function", hint=hint)
        raise DeclarationError("tm.call", [fault])
    name = getattr(given, "__qualname__", None)
    if name is None:
        hint = "deliveries are known by it: write a function that calls the object"
        raise DeclarationError("tm.call", [Fault(message=f"{function!r} has no name", hint=hint)])
    return Sink(folder=f"{function.__module__}:{name}", format="call", function=function)


def sink_of(option: object) -> Sink | None:
    """The sink that an option names: `tm.delta` and `tm.iceberg` are places to read from and to write to."""
    if isinstance(option, Sink):
        return option
    if isinstance(option, Delta):
        return Sink(folder=option.path, format="delta")
    if isinstance(option, Iceberg):
        return Sink(folder=option.uri, format="iceberg", table=option.table, catalog=option.catalog)
    return None


def sink_faults(option: object) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a sink by itself, and what to do."""
    sink = sink_of(option)
    if sink is None:
        yield f"sink={option!r} is not a sink", 'write sink=tm.parquet("out/forecast")'
        return
    if isinstance(option, Delta) and option.version is not None:
        yield "its sink has version=, which is for reading", "leave version out"
    if isinstance(option, Iceberg) and option.snapshot is not None:
        yield "its sink has snapshot=, which is for reading", "leave snapshot out"
    if sink.format == "iceberg" and not (sink.folder or sink.catalog):
        yield "an Iceberg sink needs a catalog", 'write tm.iceberg("shop.scored", catalog="prod")'
    if sink.format == "postgres":
        yield from _url_faults(sink.folder)
    if sink.format == "iceberg" and url_secrets(sink.folder):
        yield "the URI of its sink has a password, which would be recorded", "write uri='env:NAME'"
    if sink.format != "iceberg":
        yield from _path_faults(sink)
    if sink.format in _TABLES:
        yield from _table_faults(sink)


def _path_faults(sink: Sink) -> Iterator[tuple[str, str]]:
    if not sink.folder.strip():
        yield "its sink has an empty path", "name a folder, a file or a URL"
    elif sink.format in _FILES and normpath(sink.folder).split("/")[0] == ".tidemill":
        yield f"its sink {sink.folder!r} is in Tidemill's own folder", "choose another path"
    elif sink.format == "parquet" and (fault := place_fault(sink.folder)):
        yield fault


def _url_faults(url: str) -> Iterator[tuple[str, str]]:
    write = "write tm.postgres('env:WAREHOUSE_URL', 'forecast')"
    if url.startswith("env:"):
        if not url.removeprefix("env:"):
            yield "env: names no environment variable", write
    elif not url.startswith(("postgresql://", "postgres://")):
        yield "the URL of its sink is no postgresql:// URL", write
    elif ambiguity := url_ambiguity(url):
        yield f"the URL of its sink has {ambiguity}", ENCODING_ADVICE
    elif url_secrets(url):
        yield "the URL of its sink has a password, which would be recorded", write


# The formats with a table, and the bytes that its name may have.
_TABLES: Mapping[str, int] = {"sqlite": 200, "duckdb": 200, "postgres": 50}


def _table_faults(sink: Sink) -> Iterator[tuple[str, str]]:
    for name in table_parts(sink.format, sink.table):
        if not name.strip():
            yield f"its table {sink.table!r} is empty", "name a table"
        elif "\0" in name:
            yield f"its table {sink.table!r} has a NUL character", "choose another name"
        elif len(name.encode()) > _TABLES[sink.format]:
            yield f"its table {sink.table!r} is too long", f"{_TABLES[sink.format]} bytes at most"
        elif name.lower() in (DELIVERIES, STAGING):
            yield (
                f"its table {sink.table!r} is used by deliveries themselves",
                "choose another name",
            )
    if sink.table.lower().startswith("sqlite_") and sink.format == "sqlite":
        yield f"its table {sink.table!r} is reserved by SQLite", "choose another name"


def table_parts(format: str, table: str) -> tuple[str, ...]:
    """The schema, if it has one, and the name of a table."""
    if format == "postgres" and "." in table:
        schema, _, name = table.partition(".")
        return schema, name
    return (table,)


_INTS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32")
_COMMON = frozenset(
    (*_INTS, "Float32", "Float64", "Boolean", "String", "Enum", "Categorical", "Binary", "Date")
)
_TIMES = frozenset(("Datetime", "Decimal"))
# The types that each format stores without loss; inner types of lists and structs count as well.
_STORED: Mapping[str, frozenset[str]] = {
    "sqlite": _COMMON | _TIMES | {"Time"},
    "duckdb": _COMMON | _TIMES | {"Time", "UInt64", "Duration", "List", "Struct", "Array"},
    "postgres": _COMMON | _TIMES | {"Time", "UInt64", "Duration", "List"},
    "delta": _COMMON | _TIMES | {"List", "Struct"},
    "iceberg": _COMMON | _TIMES | {"Time", "List", "Struct"},
}
_HINTS: Mapping[str, str] = {
    "Duration": "cast it to a number of seconds in a transform",
    "Time": "cast it to text in a transform",
    "Array": "cast it to a List in a transform",
    "Struct": "unnest it in a transform, or deliver to tm.parquet",
    "List": "join it to text in a transform, or deliver to tm.parquet",
}


def unstorable(format: str, dtype: DType, *, nullable: bool = True) -> tuple[str, str] | None:
    """Why a sink can't store a type without loss, and what to do; None if it can.

    `nullable`: whether the column may have nulls.
    """
    stored = _STORED.get(format)
    if stored is None:
        return None
    if format == "iceberg" and _has_null_struct_lists(dtype, nullable=nullable):
        hint = "declare its lists not nullable, join them to text in a transform, or use tm.delta"
        return f"{dtype}: PyIceberg writes a null list of structs as an empty list", hint
    for found in _nested(dtype):
        if found.name not in stored:
            return f"{found}", _HINTS.get(found.name, "cast it in a transform")
        if format == "postgres" and found.name == "List" and _inner(found).name == "List":
            return f"{found}", "flatten it in a transform, or deliver to tm.parquet"
        if found.name in ("Datetime", "Duration") and found.args[0] == "ns":
            return f"{found}", f'it keeps microseconds: declare tm.{found.name}("us")'
    return None


def _has_null_struct_lists(dtype: DType, *, nullable: bool) -> bool:
    """Whether a list of structs in a type can be null; only lists of the column itself can be declared."""
    if dtype.name == "List" and nullable and _inner(dtype).name == "Struct":
        return True
    inner = (arg for arg in dtype.args if isinstance(arg, DType))
    return any(_has_null_struct_lists(each, nullable=True) for each in inner)


def _inner(dtype: DType) -> DType:
    inner = dtype.args[0]
    assert isinstance(inner, DType)
    return inner


def _nested(dtype: DType) -> Iterator[DType]:
    yield dtype
    for arg in dtype.args:
        if isinstance(arg, DType):
            yield from _nested(arg)
