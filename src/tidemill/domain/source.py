"""Where an ingest stage takes its rows from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar

C = TypeVar("C")
Format: TypeAlias = Literal["parquet", "csv", "ndjson", "arrow"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Generic[C]):
    """Files that a glob matches, relative to the project's folder; `format` is told by the suffix."""

    pattern: str
    format: Format | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file as it was last read: its content's digest, and the partitions that it feeds.

    `size` and `mtime_ns` are only hints that it needn't be hashed again. `reading` names how it was
    read and cut: under another reading its rows are counted anew.
    """

    path: str
    size: int
    mtime_ns: int
    digest: str
    rows: dict[str, int]
    reading: str = ""


def files(pattern: str, *, format: Format | None = None, **options: Any) -> Source[Any]:
    """The rows of all files that the glob `pattern` matches (Parquet, CSV, NDJSON, Arrow IPC).

    `format` overrides the suffix. `options` go to the Polars reader of that format, such as
    `separator`, `null_values` and `schema_overrides` for CSV.
    """
    return Source(pattern=pattern, format=format, options=options)
