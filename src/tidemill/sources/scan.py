"""The result of scanning an ingest stage's source: its current files, and those that can't be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidemill.workflow.source import SourceFile

# No partition has this key.
OTHERS = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The current files of an ingest stage, and those that can't be read.

    `broken` maps unreadable files to the error, `kept_partitions` are the partitions that they fed when they
    were last read. `noun` is the word for files in messages: "rows" for a database.
    """

    files: Mapping[str, SourceFile]
    noun: str = "files"
    broken: Mapping[str, str] = field(default_factory=dict)
    kept_partitions: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRows:
    """The number of rows of a file by partition; `parts` are digests of the rows, if there are several."""

    rows: dict[str, int]
    parts: dict[str, str] = field(default_factory=dict)


def feeds_only(partition: str, files: Mapping[str, SourceFile]) -> bool:
    """Whether files have rows of this partition only."""
    return all(len(file.rows) == 1 and partition in file.rows for file in files.values())


def cut_to_partition(file: SourceFile, partition: str) -> SourceFile:
    """Return a file as the step of one partition needs it; the rows of all others are under `OTHERS`.

    A file may feed thousands of partitions, and each has a step.
    """
    if len(file.rows) < 2:
        return file
    own = {partition: file.rows[partition]} if partition in file.rows else {}
    return replace(file, rows={**own, OTHERS: 1}, parts={})
