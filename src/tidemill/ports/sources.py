"""Ports: databases, lake tables and other projects that sources read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tidemill.core.errors import SourceError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import Ledger
from tidemill.workflow.source import Delta, Engine, Iceberg

if TYPE_CHECKING:
    import polars as pl

    from tidemill.ports.tracking import TrackingServer
    from tidemill.workflow.loaders import Dlt


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRange:
    """A filter for rows with `minimum <= column <= maximum`; bounds are values as the database gave them."""

    column: str
    minimum: Any
    maximum: Any


class Database(Protocol):
    """A read-only connection to an external database; raises SourceError, without passwords in the text.

    Reads between `begin` and `end` see one snapshot, if the database supports that without blocking
    writers.
    """

    @property
    def place(self) -> str:
        """The database's URL without credentials."""

    def begin(self) -> None:
        """Start a snapshot: all following reads see the database as it is now."""

    def columns(self, query: str) -> Sequence[str]:
        """Return the names of the columns of a query."""

    def rows(
        self,
        query: str,
        columns: Sequence[str],
        *,
        distinct: bool = False,
        within: ColumnRange | None = None,
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows of a query in chunks: some columns, of all rows or those `within` bounds.

        With `distinct=True` equal rows come only once.
        """

    def end(self) -> None:
        """End the snapshot and close the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeFile:
    """A data file of a lake table; files with equal `digest` have the same rows.

    `read` takes the names of one or more columns and returns these rows; it raises SourceError if it
    can't. `path` is that of a local Parquet file, which `parser` reads.
    """

    name: str
    size: int
    digest: str
    read: Callable[[Sequence[str]], pl.DataFrame]
    path: str = ""
    parser: Literal["parquet", "pyarrow"] = "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """The files of a lake table at a version; `columns` maps each column to text that identifies it."""

    version: str
    columns: Mapping[str, str]
    files: tuple[LakeFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of an object store by its URL, as a listing has it.

    As long as `size`, `mtime_ns` and a `tag` other than "" are the same, so is the content. `digest` is its
    SHA-256; "" if that isn't known.
    """

    path: str
    size: int
    mtime_ns: int
    tag: str
    digest: str = ""


class FileStore(Protocol):
    """Files of an object store, which are read from copies on this machine; raises SourceError."""

    def list_files(self, pattern: str) -> Sequence[StoredFile]:
        """Return the files that match the URL `pattern`, in order; an object named like a folder is one."""

    def fetch(self, files: Sequence[StoredFile]) -> Mapping[str, StoredFile | SourceError]:
        """Copy files, and return them by path with their digests, or why one can't be fetched.

        What has a digest is only fetched if there is no copy. What is no file but a folder is left out. A
        file that changed since it was listed is the new one, and has no tag.
        """

    def copies(self, digests: Mapping[str, str], *, folders: bool) -> Mapping[str, Path]:
        """Return verified copies of files with these digests by path, which are fetched if need be.

        With `folders` the paths of copies end in the folders of the form `NAME=VALUE` of the files.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class DltLoad:
    """What a `resource` of dlt returned: its rows in order, and the state after them.

    Rows of the same primary or merge key replace stored ones if the disposition is "merge". Of new rows with
    the same primary key the last one counts, and none if it is among the `deleted` (a mask over the rows).
    """

    resource: str
    rows: pl.DataFrame
    state: str
    disposition: Literal["append", "merge", "replace"] = "append"
    primary_key: tuple[str, ...] = ()
    merge_key: tuple[str, ...] = ()
    deleted: pl.Series | None = None


class ExternalSources(Protocol):
    """Opens external sources: databases, lakes, object stores, other projects; each is opened once."""

    @property
    def has_snapshot(self) -> bool:
        """Whether a database snapshot is open, which other processes couldn't share."""

    def learn_secrets(self, url: str) -> None:
        """Mask the credentials of a database's URL from now on."""

    def database(self, url: str, engine: Engine | None = None) -> Database:
        """Return the database at `url`, read by an engine; the same connection until `close`."""

    def file_store(self, url: str) -> FileStore:
        """Return the object store that a URL names; the same one until `close`."""

    def project(self, path: str) -> tuple[Ledger, Artifacts]:
        """Return the ledger and the store of another project; SourceError if there is none."""

    def tracking_server(self, url: str) -> TrackingServer:
        """Return the tracking server at `url` ("": that of the settings); the same one until `close`."""

    def lake(self, source: Delta[Any] | Iceberg[Any]) -> Lake:
        """Return the files of a lake table at its version or the latest; the same ones until `close`."""

    def load(self, source: Dlt[Any], state: str | None, *, nested: bool) -> DltLoad:
        """Load what a dlt resource returns after a state; without `nested` tables in it there may be none."""

    def close(self) -> None:
        """Close all connections; a later use opens them again."""
