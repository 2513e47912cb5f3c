"""Sources of ingest stages: files, database queries, lake tables, other projects, and pull functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidemill.contracts.text_format import AS_STORED, TextFormat, words
from tidemill.core.errors import DeclarationError, Fault, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.store_url import local_place, place_fault
from tidemill.core.url_syntax import ENCODING_ADVICE, url_ambiguity
from tidemill.workflow.environment import PRODUCTION, check_environment_name

C = TypeVar("C")
Format: TypeAlias = Literal["parquet", "csv", "ndjson", "arrow"]
Engine: TypeAlias = Literal["adbc", "connectorx"]
OnMissing: TypeAlias = Literal["fail", "keep", "remove"]
Words: TypeAlias = "str | Sequence[str]"

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
# The URL schemes of databases, each with an example.
SCHEMES: Mapping[str, str] = {
    "sqlite": "write sqlite:///shop.db",
    "postgresql": "write postgresql://user@host:5432/shop",
    "duckdb": "write duckdb:///shop.db",
    "mysql": "write mysql://user@host:3306/shop",
    "env": "write env:DATABASE_URL",
}
ENGINES = get_args(Engine)
# The schemes that may be PostgreSQL, and the bytes of the longest name of a channel there.
_NOTIFYING, _LONGEST_CHANNEL = ("postgresql", "env"), 63
# The share of a table's rows, or of its partitions, that may be gone without being noticed.
MAX_MISSING = 0.2
_COMMENTS = r"(?s)--[^\n]*|/\*.*?\*/"
_READING = ("select", "with", "values", "table")


class Source(Generic[C]):
    """The source of an ingest stage: files, a database query, a lake table, or another project.

    Annotate an ingest function with the contract of its rows: `def orders() -> tm.Source[Orders]`.
    """

    __slots__ = ()
    is_pulled: ClassVar[bool] = False  # whether rows come from a function, and are stored

    def reader_parts(self) -> tuple[str, ...]:
        """What decides how rows are read, but for addresses and the options of files: here, the kind."""
        return (type(self).__name__.lower(),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Losable(Source[C]):
    """A source that can lose rows; `on_missing` says what happens then, `max_missing` how many may be lost.

    "fail" removes nothing until it is allowed, "keep" keeps the partitions for good, "remove" removes rows.
    """

    on_missing: OnMissing = "fail"
    max_missing: float = MAX_MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Files(Losable[C]):
    """Files that match a glob, relative to the project's folder; without `format` the suffix decides.

    The glob may be a URL of keys in an object store. `text` says how the text of CSV and NDJSON is read,
    `formats` those of times by the type of the column, `null_words` the words for missing values by the
    column's name in the files.
    """

    pattern: str
    format: Format | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    text: TextFormat = AS_STORED
    formats: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    null_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = place_fault(self.pattern, is_glob=True)
        faults = [Fault(message=found[0], hint=found[1])] if found else []
        if faults := [*faults, *_missing_faults(self)]:
            raise DeclarationError("tm.files", faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Losable[C]):
    """The result of a database query; `cursor` is a column whose value changes with every row update.

    The database notifies of changes on the channel `notify`, if there is one.
    """

    query: str
    # Not in the repr: it may contain a password.
    url: str = field(repr=False)
    cursor: str = ""
    engine: Engine | None = None
    notify: str = ""

    def __post_init__(self) -> None:
        faults = [*_query_faults(self.query), *_url_faults(self.url, self.engine)]
        if faults := [*faults, *_notify_faults(self), *_missing_faults(self)]:
            raise DeclarationError("tm.sql", faults)

    def reader_parts(self) -> tuple[str, ...]:
        return ("sql", self.query, self.cursor, *filter(None, [self.engine]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(Losable[C]):
    """The published output of a stage of another project, in one of its environments."""

    project: str
    stage: str
    env: str = PRODUCTION
    workflow: str = ""

    def __post_init__(self) -> None:
        faults = [
            Fault(message=f"{name} is empty", hint='write tm.output("../shop", "orders")')
            for name in ("project", "stage")
            if not getattr(self, name).strip()
        ]
        if faults := [*faults, *_missing_faults(self)]:
            raise DeclarationError("tm.output", faults)
        check_environment_name(self.env)

    def reader_parts(self) -> tuple[str, ...]:
        return ("output", self.project, self.stage, self.env, *filter(None, [self.workflow]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta(Losable[C]):
    """A Delta table in a folder, at `version` (None: the latest)."""

    path: str
    version: int | None = None

    def __post_init__(self) -> None:
        if faults := [*_missing_faults(self)]:
            raise DeclarationError("tm.delta", faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Iceberg(Losable[C]):
    """An Iceberg table of a catalog, or by its metadata file, at `snapshot` (None: the current one)."""

    table: str
    catalog: str = ""
    # Not in the repr: it may contain a password.
    uri: str = field(default="", repr=False)
    snapshot: int | None = None

    def __post_init__(self) -> None:
        faults = [*_table_faults(self.table, named=bool(self.catalog or self.uri))]
        if ambiguity := url_ambiguity(self.uri):
            faults.append(Fault(message=f"the URI has {ambiguity}", hint=ENCODING_ADVICE))
        if faults := [*faults, *_missing_faults(self)]:
            raise DeclarationError("tm.iceberg", faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull(Source[C]):
    """Rows that a function returns incrementally: it takes the last state, and returns rows and the next."""

    is_pulled: ClassVar[bool] = True
    # Not a part of digests: rows are stored, so a changed one only affects the next rows.
    function: Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file as it was last read: the digest of its content, and its rows by partition.

    For sources other than files, the rows of each partition count as one file.

    `parts` are digests of the rows of each partition, if there are several and they were read. `size` and
    `mtime_ns`, `ctime_ns` and `inode` only help to avoid hashing an unchanged file (0: unknown), as does the
    `tag` that an object store gives to what it has under a key ("": unknown). `reading` identifies how the
    file was read and partitioned; if that changes, its rows are counted again.
    `missing_since` has the partitions that are kept although the file doesn't feed them any more, with the
    time (Unix seconds).
    """

    path: str
    size: int
    mtime_ns: int
    digest: str
    rows: dict[str, int]
    reading: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    ctime_ns: int = 0
    inode: int = 0
    missing_since: dict[str, float] = field(default_factory=dict)
    tag: str = ""

    def content(self, partition: str) -> str:
        """The digest of what the file has of a partition; of the whole file if that isn't known."""
        return self.parts.get(partition, self.digest)


def _query_faults(query: str) -> Iterator[Fault]:
    first = re.sub(_COMMENTS, " ", query).lstrip(" \t\r\n(").split(maxsplit=1)[:1]
    if not first or first[0].lower() not in _READING:
        yield Fault(
            message=f"the query begins with {first[0] if first else ''!r}",
            hint=f"a source only reads: begin with {' or '.join(_READING).upper()}",
        )


def _missing_faults(source: Losable[Any]) -> Iterator[Fault]:
    known = get_args(OnMissing)
    if source.on_missing not in known:
        yield Fault(
            message=f"on_missing={source.on_missing!r} is not one of {', '.join(known)}",
            hint=did_you_mean(str(source.on_missing), known),
        )
    yield from share_faults(source.max_missing)


def share_faults(max_missing: float) -> Iterator[Fault]:
    """Why a share of rows that may be gone isn't one."""
    if not 0 <= max_missing <= 1:
        yield Fault(
            message=f"max_missing={max_missing!r} is not a share between 0 and 1",
            hint="write max_missing=0.2",
        )


def _url_faults(url: str, engine: str | None) -> Iterator[Fault]:
    scheme, colon, rest = url.partition(":")
    if engine is not None and engine not in ENGINES:
        yield Fault(message=f"there is no engine {engine!r}", hint=did_you_mean(engine, ENGINES))
    if not colon or (scheme not in SCHEMES and engine is None):
        # The rest isn't shown: it may contain a password.
        advice = did_you_mean(scheme, SCHEMES) if colon else f"there is: {', '.join(SCHEMES)}"
        yield Fault(message="the URL doesn't begin with a known scheme", hint=advice)
    elif not rest.strip("/"):
        yield Fault(message=f"the URL {scheme}: names no database", hint=SCHEMES.get(scheme, ""))
    elif ambiguity := url_ambiguity(url):
        yield Fault(message=f"the URL {scheme}: has {ambiguity}", hint=ENCODING_ADVICE)


def _notify_faults(source: Query[Any]) -> Iterator[Fault]:
    if not source.notify:
        return
    if source.engine is not None or source.url.partition(":")[0] not in _NOTIFYING:
        hint = "leave out notify, or read a postgresql:// URL without engine"
        yield Fault(message="notify needs PostgreSQL", hint=hint)
    if len(source.notify.encode()) > _LONGEST_CHANNEL or not source.notify.isprintable():
        hint = 'write the channel of NOTIFY, such as notify="orders_changed"'
        yield Fault(message=f"notify={source.notify!r:.80} is not a channel", hint=hint)


def _table_faults(table: str, *, named: bool) -> Iterator[Fault]:
    if not table.strip():
        yield Fault(
            message="the table is empty", hint='write tm.iceberg("shop.orders", catalog="prod")'
        )
    elif named and "." not in table.strip("."):
        yield Fault(
            message=f"the table {table!r} has no namespace", hint="name it as namespace.table"
        )


def files(  # noqa: PLR0913 - what may be declared about text, each by its name
    pattern: str,
    *,
    format: Format | None = None,
    on_missing: OnMissing = "fail",
    null_values: Words | Mapping[str, Words] | None = None,
    true_values: Words | None = None,
    false_values: Words | None = None,
    decimal_comma: bool | None = None,
    thousands: str | None = None,
    date_format: Words | None = None,
    datetime_format: Words | None = None,
    time_format: Words | None = None,
    time_zone: str | None = None,
    **options: Any,
) -> Files[Any]:
    """Read all files that match the glob `pattern`: Parquet, CSV, NDJSON or Arrow IPC.

    `pattern` is relative to the project's folder (`"data/orders/*.parquet"`), or the URL of an object store
    (`"s3://bucket/orders/*.parquet"`, `gs://`, `az://`; needs the extra `objectstore`), whose credentials are
    in the environment. The suffix of a file decides its format unless `format` is given.

    CSV and NDJSON are read as text, and each cell becomes a value of the type that the contract declares;
    a row with a cell that isn't one is quarantined as it came. The other named arguments say how text is
    read, for all columns that don't declare it themselves: words for missing, true and false values
    (`null_values` may be a dict by column), decimal commas and separators of thousands, formats of dates,
    timestamps and times as in `strptime`, and the zone of local times.

    `options` are passed to the Polars reader of the format, such as `separator` and `skip_rows` for CSV.
    Those that make it guess types or skip what it can't read (`schema_overrides`, `try_parse_dates`,
    `ignore_errors`) have no effect on text.
    Only new and changed files are opened.

    `on_missing` says what happens when a file is gone. With "fail" nothing that it fed is removed, and
    runs exit with 3, until `run --allow-removals` allows it; "keep" keeps the partitions that it fed as
    they are; "remove" removes its rows. Raises DeclarationError for an argument that contradicts itself.
    """
    per_column = null_values if isinstance(null_values, Mapping) else {}
    try:
        times = {
            "Date": words(date_format, "date_format"),
            "Datetime": words(datetime_format, "datetime_format"),
            "Time": words(time_format, "time_format"),
        }
        formats = {
            name: tuple(form.replace(".%f", "%.f") for form in given)
            for name, given in times.items()
            if given
        }
        null_words = {name: words(each, "null_values") or () for name, each in per_column.items()}
        text = TextFormat(
            time_zone=_zone(time_zone),
            decimal_comma=decimal_comma,
            thousands=thousands,
            true_values=words(true_values, "true_values"),
            false_values=words(false_values, "false_values"),
            null_values=None if per_column else words(null_values, "null_values"),
        )
    except TypeError as error:
        hint = 'such as null_values=["NA", "-"] or date_format="%d.%m.%Y"'
        raise DeclarationError("tm.files", [Fault(message=str(error), hint=hint)]) from None
    return Files(
        pattern=local_place(pattern),
        format=format,
        options=options,
        on_missing=on_missing,
        text=text,
        formats=formats,
        null_words=null_words,
    )


def _zone(name: str | None) -> str | None:
    """Return the name of a time zone; TypeError if there is none of that name."""
    if name is None:
        return None
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise TypeError(f"time_zone={name!r} is no time zone, such as 'Europe/Berlin'") from None


def sql(
    query: str,
    url: str,
    *,
    cursor: str = "",
    engine: Engine | None = None,
    notify: str = "",
    on_missing: OnMissing = "fail",
    max_missing: float = MAX_MISSING,
) -> Query[Any]:
    """Read the result of a database query, partition by partition.

    `url` is `sqlite:///shop.db` (relative to the project's folder; absolute with four slashes),
    `postgresql://user@host/shop`, `duckdb:///shop.db`, `mysql://user@host/shop`, or `env:NAME` for the
    value of an environment variable. Passwords are never recorded or shown. With `engine` any other URL
    is read through Polars: by the ADBC driver for its scheme, or by ConnectorX. Special characters in
    the user, the password and parameters must be percent-encoded.

    `cursor` is a column of the query whose value changes whenever a row changes, such as `updated_at` or
    a version. With it, every run reads only the key, partition and cursor columns, and reads all columns
    of just those partitions in which a row was added, changed or deleted. Without it, every run reads all
    rows to detect changes.

    With `notify`, `tidemill up` listens to this channel of a PostgreSQL database and runs when something
    notifies on it, such as a trigger; otherwise it asks now and then.

    When more than the share `max_missing` of the rows or of the partitions is gone, nothing is removed until
    it is allowed; see `on_missing` of `tm.files`.
    Raises DeclarationError for a statement that isn't a query, or an unknown URL.
    """
    return Query(
        query=query.strip().rstrip(";").rstrip(),
        url=url,
        cursor=cursor,
        engine=engine,
        notify=notify,
        on_missing=on_missing,
        max_missing=max_missing,
    )


def output(
    project: str,
    stage: str,
    *,
    env: str = PRODUCTION,
    workflow: str = "",
    on_missing: OnMissing = "fail",
    max_missing: float = MAX_MISSING,
) -> Output[Any]:
    """Read the published output of a stage in another project, partition by partition.

    `project` is the folder of the other project, `env` the environment there. The contract may have fewer
    columns than the stage's output. It must be partitioned like it, or not at all. A partition is read
    again only when the values of one of the contract's columns change. `workflow` is the name of the
    workflow there, which is needed if several of them have a stage of that name.

    When more than the share `max_missing` of the rows or of the partitions is gone, nothing is removed until
    it is allowed; see `on_missing` of `tm.files`.
    """
    return Output(
        project=project,
        stage=stage,
        env=env,
        workflow=workflow,
        on_missing=on_missing,
        max_missing=max_missing,
    )


def delta(
    path: str,
    *,
    version: int | None = None,
    on_missing: OnMissing = "fail",
    max_missing: float = MAX_MISSING,
) -> Delta[Any]:
    """Read the Delta table in the folder `path`, relative to the project's; needs the extra `delta`.

    `version` pins a version; by default the latest is read. Only files that were added or removed since
    the version that was read last are opened, and only the partitions with rows in them are read again.

    When more than the share `max_missing` of the rows or of the partitions is gone, nothing is removed until
    it is allowed; see `on_missing` of `tm.files`.
    """
    return Delta(path=path, version=version, on_missing=on_missing, max_missing=max_missing)


def iceberg(
    table: str,
    *,
    catalog: str = "",
    uri: str = "",
    snapshot: int | None = None,
    on_missing: OnMissing = "fail",
    max_missing: float = MAX_MISSING,
) -> Iceberg[Any]:
    """Read an Iceberg table at its current snapshot, or at `snapshot`; needs the extra `iceberg`.

    With `catalog` or `uri`, `table` is `namespace.table`. `catalog` names a catalog of PyIceberg's
    configuration. `uri` gives the catalog's address instead (`sqlite:///catalog.db`, `https://catalog`,
    or `env:NAME` for the value of an environment variable); `catalog` is then the catalog's name (by
    default `default`). With neither, `table` is the path of a metadata file, or of a table's folder with
    a `version-hint.text`, relative to the project's folder.

    Only files that were added, were removed or lost rows since the snapshot that was read last are
    opened, and only the partitions with rows in them are read again.

    When more than the share `max_missing` of the rows or of the partitions is gone, nothing is removed until
    it is allowed; see `on_missing` of `tm.files`.
    Raises DeclarationError for an invalid table name.
    """
    return Iceberg(
        table=table,
        catalog=catalog,
        uri=uri,
        snapshot=snapshot,
        on_missing=on_missing,
        max_missing=max_missing,
    )


def pull(function: Callable[[Any], tuple[Any, Any]]) -> Pull[Any]:
    """Pull rows incrementally from an API: call `function(state)`, which returns `(rows, next_state)`.

    `state` is None in the first call, then what the previous call returned: any JSON value. `rows` are a
    frame, a list of dicts, or an iterator of these. All rows are stored; of rows with the same key in a
    partition, the last one counts. Rows and state are recorded together when the run begins to publish,
    so each row is taken exactly once: after a failure or crash before that, the next run pulls again
    from the same state. Making a plan calls the function, too.
    """
    given: object = function
    if not callable(given):
        fault = Fault(
            message=f"{function!r} is not a function",
            hint="pass a function of the state that returns (rows, next_state)",
        )
        raise DeclarationError("tm.pull", [fault])
    return Pull(function=function)
