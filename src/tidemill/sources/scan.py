"""The result of scanning an ingest stage's source: its current files, and those that can't be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.workflow.source import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The current files of an ingest stage, and those that can't be read.

    `broken` maps unreadable files to the error, `held` are the partitions that they fed when they were
    last read. `called` is the word for files in messages: "rows" for a database.
    """

    files: Mapping[str, SourceFile]
    noun: str = "files"
    broken: Mapping[str, str] = field(default_factory=dict)
    kept_partitions: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def feeds_only(partition: str, files: Mapping[str, SourceFile]) -> bool:
    """Whether files have rows of this partition only."""
    return all(set(file.rows) == {partition} for file in files.values())
