"""Decide what a run records of the files that it finds: new, changed, missing and gone ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tidemill.planning.plan import Plan
from tidemill.workflow.source import SourceFile

Known = Mapping[str, SourceFile]


def source_changes(
    plan: Plan, stage: str, known: Known, now: float
) -> tuple[tuple[SourceFile, ...], tuple[str, ...]] | None:
    """Return the files of an ingest to record again, and those to forget; None if nothing changed.

    What feeds a held partition stays known as it was: the next plan would otherwise take the rows that are
    left for all that there ever were. It is marked as missing from `now` (Unix seconds) on.
    """
    files, held = plan.sources[stage], plan.held(stage)
    if files == known and not held:
        return None
    fresh = {file.path: file for file in _changed_files(files, known, held)}
    broken = plan.broken.get(stage, {})
    gone = tuple(
        path
        for path, file in known.items()
        if path not in files and path not in broken and held.isdisjoint(file.rows)
    )
    if held:
        fresh |= _missing_files(plan, stage, {**known, **fresh}, held, now)
    # Without any file the whole source is broken, and its files don't count as gone.
    return (tuple(fresh.values()), gone) if fresh or (gone and files) else None


def _changed_files(files: Known, known: Known, held: frozenset[str]) -> Iterator[SourceFile]:
    """The records of new and changed files."""
    for path, file in files.items():
        before = known.get(path)
        # A file that seems unchanged is the same object as the known record: `is` is faster than `!=`.
        if before is file or before == file:
            continue
        if not held or _is_harmless(before, file, held):
            yield file
        elif (part := _without_held(before, file, held)) != before and part.rows:
            yield part


def _is_harmless(before: SourceFile | None, file: SourceFile, held: frozenset[str]) -> bool:
    """Whether a new record of a file hides nothing that held partitions lost."""
    if before is not None and (before.digest, before.rows) == (file.digest, file.rows):
        return True
    return held.isdisjoint(file.rows) and (before is None or held.isdisjoint(before.rows))


def _without_held(before: SourceFile | None, file: SourceFile, held: frozenset[str]) -> SourceFile:
    """The record of a file in which held partitions have what they had before.

    It has no digest, so that the next plan reads the file again.
    """
    known = before.rows if before is not None else {}
    return replace(
        file,
        digest="",
        mtime_ns=0,
        rows={key: rows for key, rows in known.items() if key in held}
        | {key: rows for key, rows in file.rows.items() if key not in held},
        parts={},
        missing_since=before.missing_since if before is not None else {},
    )


def _missing_files(
    plan: Plan, stage: str, known: Known, held: frozenset[str], now: float
) -> dict[str, SourceFile]:
    """The known files that feed held partitions no more, with the time at which that was noticed first."""
    found = {}
    paths = {p for item in plan.missing if item.stage == stage for p in item.missing.paths}
    for path in sorted(paths):
        file = known[path]
        since = {key: file.missing_since.get(key, now) for key in file.rows if key in held}
        if since != file.missing_since:
            found[path] = replace(file, missing_since=since)
    return found
