"""Where an ingest stage takes its rows from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args

from tidemill.core.errors import DeclarationError, Fault, did_you_mean
from tidemill.workflow.environment import PRODUCTION, environment_of

C = TypeVar("C")
Format: TypeAlias = Literal["parquet", "csv", "ndjson", "arrow"]
Engine: TypeAlias = Literal["adbc", "connectorx"]

SUFFIXES: Mapping[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
}
# How urls of databases begin, and what one looks like.
SCHEMES: Mapping[str, str] = {
    "sqlite": "write sqlite:///shop.db",
    "postgresql": "write postgresql://user@host:5432/shop",
    "duckdb": "write duckdb:///shop.db",
    "mysql": "write mysql://user@host:3306/shop",
    "env": "write env:DATABASE_URL",
}
ENGINES = get_args(Engine)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_READING = ("select", "with", "values", "table")


class Source(Generic[C]):
    """Where an ingest stage takes its rows from: files, a query of a database, another project."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Files(Source[C]):
    """Files that a glob matches, relative to the project's folder; `format` is told by the suffix."""

    pattern: str
    format: Format | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Source[C]):
    """What a query of a database gives; `cursor` is a column that is another after every change of a row."""

    query: str
    # Hidden from whatever prints a source: there may be a password in it.
    url: str = field(repr=False)
    cursor: str = ""
    engine: Engine | None = None

    def __post_init__(self) -> None:
        if faults := [*_query_faults(self.query), *_url_faults(self.url, self.engine)]:
            raise DeclarationError("tm.sql", faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(Source[C]):
    """What a stage of another project has published in one of its environments."""

    project: str
    stage: str
    env: str = PRODUCTION

    def __post_init__(self) -> None:
        faults = [
            Fault(message=f"{name} is empty", hint='say tm.output("../shop", "orders")')
            for name in ("project", "stage")
            if not getattr(self, name).strip()
        ]
        if faults:
            raise DeclarationError("tm.output", faults)
        environment_of(self.env)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta(Source[C]):
    """A Delta table in a folder, at a version; None is the newest."""

    path: str
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Iceberg(Source[C]):
    """An Iceberg table of a catalog, or by its metadata file, in a snapshot; None is the current one."""

    table: str
    catalog: str = ""
    # Hidden from whatever prints a source: there may be a password in it.
    uri: str = field(default="", repr=False)
    snapshot: int | None = None

    def __post_init__(self) -> None:
        if faults := [*_table_faults(self.table, named=bool(self.catalog or self.uri))]:
            raise DeclarationError("tm.iceberg", faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull(Source[C]):
    """What a function gives from where it left off: it is handed its last state, and gives the next."""

    function: Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file as it was last read: its content's digest, and the partitions that it feeds.

    Of what isn't in files, the rows of each partition count as a file.

    `size` and `mtime_ns` are only hints that it needn't be hashed again. `reading` names how it was
    read and cut: under another reading its rows are counted anew.
    """

    path: str
    size: int
    mtime_ns: int
    digest: str
    rows: dict[str, int]
    reading: str = ""


def _query_faults(query: str) -> Iterator[Fault]:
    first = _COMMENTS.sub(" ", query).lstrip(" \t\r\n(").split(maxsplit=1)[:1]
    if not first or first[0].lower() not in _READING:
        yield Fault(
            message=f"the query begins with {first[0] if first else ''!r}",
            hint=f"it only reads: begin with {' or '.join(_READING).upper()}",
        )


def _url_faults(url: str, engine: str | None) -> Iterator[Fault]:
    scheme, colon, rest = url.partition(":")
    if engine is not None and engine not in ENGINES:
        yield Fault(message=f"there is no engine {engine!r}", hint=did_you_mean(engine, ENGINES))
    if not colon or (scheme not in SCHEMES and engine is None):
        # What isn't understood may be a password, and isn't shown.
        advice = did_you_mean(scheme, SCHEMES) if colon else f"there is: {', '.join(SCHEMES)}"
        yield Fault(message="the url tells no kind of database", hint=advice)
    elif not rest.strip("/"):
        yield Fault(message=f"the url {scheme}: names nothing", hint=SCHEMES.get(scheme, ""))


def _table_faults(table: str, *, named: bool) -> Iterator[Fault]:
    if not table.strip():
        yield Fault(
            message="the table is empty", hint='say tm.iceberg("shop.orders", catalog="prod")'
        )
    elif named and "." not in table.strip("."):
        yield Fault(
            message=f"the table {table!r} has no namespace", hint="name it as namespace.table"
        )


def files(pattern: str, *, format: Format | None = None, **options: Any) -> Files[Any]:
    """The rows of all files that the glob `pattern` matches (Parquet, CSV, NDJSON, Arrow IPC).

    `format` overrides the suffix. `options` go to the Polars reader of that format, such as
    `separator`, `null_values` and `schema_overrides` for CSV.
    """
    return Files(pattern=pattern, format=format, options=options)


def sql(query: str, url: str, *, cursor: str = "", engine: Engine | None = None) -> Query[Any]:
    """The rows that a query of a database gives, a partition at a time.

    `url` is `sqlite:///shop.db` (relative to the project's folder, four slashes: absolute),
    `postgresql://user@host/shop`, `duckdb:///shop.db`, `mysql://user@host/shop`, or `env:NAME`: what that
    environment variable says. Passwords are never recorded, nor shown. `engine` reads any other url as
    Polars does: by the ADBC driver of that name, or by ConnectorX.

    `cursor` is a column of the query that is another after every change of a row, such as the moment
    of its last change or a version. Then only partitions are read of which a row came, changed or went;
    of the others only the columns `cursor`, the partition's and the key's are. Without it everything is
    read to tell what changed.
    Raises DeclarationError for a query that isn't one, and a url that can't be understood.
    """
    return Query(query=query.strip().rstrip(";").rstrip(), url=url, cursor=cursor, engine=engine)


def output(project: str, stage: str, *, env: str = PRODUCTION) -> Output[Any]:
    """What a stage of the project in the folder `project` has published, partition by partition.

    The contract may have fewer columns than that stage has, and is cut as it is or not at all.
    A partition is read again when one of these columns has other values.
    """
    return Output(project=project, stage=stage, env=env)


def delta(path: str, *, version: int | None = None) -> Delta[Any]:
    """The rows of the Delta table in the folder `path`, relative to the project's; needs the extra `delta`.

    Without a `version` it is the newest one. Only files that came or went between the last version that
    was read and this one are looked into, and only partitions that they feed are read.
    """
    return Delta(path=path, version=version)


def iceberg(
    table: str, *, catalog: str = "", uri: str = "", snapshot: int | None = None
) -> Iceberg[Any]:
    """The rows of an Iceberg table in its current snapshot, or in that one; needs the extra `iceberg`.

    `table` is `namespace.table` in a catalog: in the one that PyIceberg's configuration calls `catalog`,
    or that is at `uri` (`sqlite:///catalog.db`, `https://catalog`, or `env:NAME`: what that environment
    variable says) under the name `catalog`, else `default`. Without both it is the path of a metadata
    file, or of a folder with a `version-hint.text`, relative to the project's.

    Only files that came, went or lost rows since the last snapshot that was read are looked into, and
    only partitions that they feed are read. Raises DeclarationError for a name that isn't one.
    """
    return Iceberg(table=table, catalog=catalog, uri=uri, snapshot=snapshot)


def pull(function: Callable[[Any], tuple[Any, Any]]) -> Pull[Any]:
    """The rows that `function(state)` gives, each exactly once: it returns `(rows, state)`.

    `state` is None at first, then what the call before returned: anything that JSON has. `rows` are a
    frame, a list of dicts, or an iterator of such. They are kept; of rows with one key in a partition
    the last one counts. Rows and state are recorded together, when a run begins to publish: what fails
    or crashes before is pulled again from the same state. Plans call the function, too.
    """
    given: object = function
    if not callable(given):
        fault = Fault(
            message=f"{function!r} is no function",
            hint="hand one of state that returns (rows, state)",
        )
        raise DeclarationError("tm.pull", [fault])
    return Pull(function=function)
