"""The result of scanning an ingest stage's source: its current files, and those that can't be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED
from tidemill.workflow.source import MAX_MISSING, OnMissing, SourceFile

# No partition has this key.
OTHERS = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The current files of an ingest stage, and those that can't be read.

    `broken` maps unreadable files to the error, `kept_partitions` are the partitions that they fed when they
    were last read. `noun` is the word for files in messages: "rows" for a database.
    `on_missing` and `max_missing` are what the source declares about rows that it doesn't have any more.
    """

    files: Mapping[str, SourceFile]
    noun: str = "files"
    broken: Mapping[str, str] = field(default_factory=dict)
    kept_partitions: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    on_missing: OnMissing = "fail"
    max_missing: float = MAX_MISSING


def mostly_unplaced(files: Mapping[str, SourceFile], max_bad: float) -> tuple[str, int, int] | None:
    """A file of which more than the share `max_bad` of the rows have no partition.

    The path, the number of these rows, and of all rows of the file.
    """
    for path, file in files.items():
        unplaced, rows = file.rows.get(UNPLACED, 0), sum(file.rows.values())
        if unplaced > max_bad * rows:
            return path, unplaced, rows
    return None


def partitions_with_changed_files(
    known: Mapping[str, SourceFile], files: Mapping[str, SourceFile]
) -> frozenset[str]:
    """The partitions of which a file has other rows, or another number of them, than the known one."""
    if known == files:
        return frozenset()
    found: set[str] = set()
    for path in {*known, *files} if known.keys() != files.keys() else files:
        before, now = known.get(path), files.get(path)
        if before is now:
            continue
        if before is None or now is None:
            found.update(before.rows if before else (), now.rows if now else ())
            continue
        if (before.digest, before.rows, before.parts) == (now.digest, now.rows, now.parts):
            continue
        found.update(
            key
            for key in {**before.rows, **now.rows}
            if before.rows.get(key) != now.rows.get(key) or before.content(key) != now.content(key)
        )
    return frozenset(found)


def total_rows(files: Mapping[str, SourceFile]) -> int:
    """The rows of files in all partitions."""
    return sum(sum(file.rows.values()) for file in files.values())


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

    A file may feed thousands of partitions, and each has a step. The step of rows without a partition needs
    the whole file, of which it judges their share.
    """
    if len(file.rows) < 2 or partition == UNPLACED:
        return file
    own = {partition: file.rows[partition]} if partition in file.rows else {}
    return replace(file, rows={**own, OTHERS: 1}, parts={})
