"""Ports: databases, lakes and other projects that sources read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tidemill.workflow.source import Delta, Engine, Iceberg

if TYPE_CHECKING:
    import polars as pl
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """Rows whose `column` is from `least` to `most`, both included, as the database gave them."""

    column: str
    least: Any
    most: Any


class Database(Protocol):
    """Tables of somebody else, that are only read; SourceError when they can't be, without passwords.

    Between `begin` and `end` everything is read as it was at one moment, where the database can do that
    without holding up those who write.
    """

    @property
    def place(self) -> str:
        """Where it is, without what lets one in."""

    def begin(self) -> None:
        """What is read from here on is as it is now."""

    def columns(self, query: str) -> Sequence[str]:
        """The columns that a query gives."""

    def rows(
        self,
        query: str,
        columns: Sequence[str],
        *,
        distinct: bool = False,
        within: Within | None = None,
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Some columns of what a query gives, in chunks; of the rows `within`, or of all."""

    def end(self) -> None:
        """Let go of the moment, and of the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeFile:
    """A file of a table; as long as its `digest` is the same, so are the rows that it gives.

    `read` gives some columns of the table, one or more, of these rows; SourceError when it can't.
    """

    name: str
    size: int
    digest: str
    read: Callable[[Sequence[str]], pl.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """The files that a table has at a version, and its columns, each with what tells it from another."""

    version: str
    columns: Mapping[str, str]
    files: tuple[LakeFile, ...]


class Outside(Protocol):
    """What sources reach for besides files: databases, and other projects."""

    @property
    def keeps(self) -> bool:
        """Whether a database is open, of which another process couldn't see the same moment."""

    def database(self, url: str, engine: Engine | None = None) -> Database:
        """The one that `url` names, read by an engine; the same one until `close`."""

    def project(self, path: str) -> tuple[Ledger, Artifacts]:
        """The ledger and the store of another project; SourceError when there is none."""

    def lake(self, source: Delta[Any] | Iceberg[Any]) -> Lake:
        """The files of a table at a version, or now; the same ones until `close`."""

    def close(self) -> None:
        """Let go of all of it; what is asked for afterwards is opened anew."""
