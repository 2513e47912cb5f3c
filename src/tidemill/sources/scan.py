"""The files of an ingest stage as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.workflow.source import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The files of an ingest stage as they are now, those that can't be read, and what to know of them.

    `held` are the partitions that a file fed when it could still be read. `called` is what the files
    are to people: of a database they are rows.
    """

    files: Mapping[str, SourceFile]
    called: str = "files"
    broken: Mapping[str, str] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def is_apart(partition: str, files: Mapping[str, SourceFile]) -> bool:
    """Whether files feed this partition and no other."""
    return all(set(file.rows) == {partition} for file in files.values())
