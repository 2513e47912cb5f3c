"""Which files an ingest stage has now; only those that seem changed are opened."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from tidemill.core.errors import DeclarationError, Fault, SourceError, TidemillError
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import WHOLE
from tidemill.ports.runtime import Tools
from tidemill.sources.reader_digest import reading_digest
from tidemill.sources.scan import Scan
from tidemill.workflow.source import Files, Source, SourceFile
from tidemill.workflow.stage import Stage
from tidemill.workflow.user_errors import failed

# Opens files and counts the rows of each by partition, or says why that can't be; it needs Polars, so
# it is handed in by who has it.
Count = Callable[
    [Files[Any], Stage, Path, Sequence[str]], Mapping[str, "dict[str, int] | SourceError"]
]

# Finds what a source has that isn't files, which needs Polars too.
Look = Callable[[Source[Any], Stage, Tools, Mapping[str, SourceFile]], Mapping[str, SourceFile]]

# A file that changes twice within the clock's grain keeps its modification time: a hint as young as
# this isn't trusted.
_SETTLED_NS = 2_000_000_000


def source_of(stage: Stage) -> Source[Any]:
    """What an ingest function returns; DeclarationError or SourceError when it isn't a source."""
    assert stage.function is not None
    try:
        source = stage.function()
    except DeclarationError as error:
        placed = [replace(fault, where=fault.where or stage.place) for fault in error.faults]
        raise DeclarationError("the workflow", placed) from error
    except (TidemillError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise SourceError(str(failed(stage, WHOLE, error))) from error
    if not isinstance(source, Source):
        kind = type(source).__name__
        fault = Fault(
            message=f"ingest {stage.name!r} returned {kind}",
            where=stage.place,
            hint="return tm.files('data/*.parquet'), tm.sql(...), tm.output(...), tm.delta(...) or another",
        )
        raise DeclarationError("the workflow", [fault])
    return source


def scan(
    stage: Stage,
    tools: Tools,
    known: Mapping[str, Mapping[str, SourceFile]],
    count: Count,
    look: Look,
) -> Scan:
    """What a stage's source has now, of which `known` is known; when it can't be read at all, why."""
    try:
        return list_source(stage, tools, known.get(stage.name, {}), count, look)
    except SourceError as error:
        return Scan(files={}, broken={stage.name: str(error)})


def list_source(
    stage: Stage, tools: Tools, known: Mapping[str, SourceFile], count: Count, look: Look
) -> Scan:
    """What a stage's source has now, and what of it can't be read with what is wrong.

    Raises SourceError when it has nothing: an empty folder, or table, is more likely a mistake than a
    wish to remove everything.
    """
    source = source_of(stage)
    if isinstance(source, Files):
        return _list_files(stage, source, tools, known, count)
    return Scan(files=look(source, stage, tools, known), called="rows")


def _list_files(
    stage: Stage,
    source: Files[Any],
    tools: Tools,
    known: Mapping[str, SourceFile],
    count: Count,
) -> Scan:
    root, now = tools.root, tools.clock()
    paths = sorted(glob.glob(source.pattern, root_dir=root, recursive=True))
    reading = reading_of(source, stage)
    files: dict[str, SourceFile] = {}
    broken: dict[str, str] = {}
    for path in paths:
        try:
            before = known.get(path)
            same = before if before and before.reading == reading else None
            file = _seen(root, path, same, reading, now)
            if file is not None:
                files[path] = file
        except OSError as error:
            broken[path] = f"{path} can't be read: {error.strerror}"
    # Nothing is known of the rows of these; that of an empty file is counted for nothing.
    fresh = [path for path, file in files.items() if not file.rows and file is not known.get(path)]
    for path, rows in count(source, stage, root, fresh).items() if fresh else ():
        if isinstance(rows, SourceError):
            broken[path] = str(rows)
            del files[path]
        else:
            files[path] = replace(files[path], rows=rows)
    if not files and not broken:
        raise SourceError(f"no file matches {source.pattern!r} in {root}; nothing was removed")
    # A partition isn't built from half its files: what a broken one fed when it was read stays.
    held = {key for path in broken if path in known for key in known[path].rows}
    return Scan(files=files, broken=broken, held=frozenset(held))


def reading_of(source: Source[Any], stage: Stage) -> str:
    """Names all that decides which partition a row of a file belongs to, besides the file."""
    assert stage.output is not None
    cut = stage.output.partitioning
    dtype = str(stage.output.column(cut.column).dtype) if cut.column else ""
    return fingerprint("reading", reading_digest(source, stage), str(cut), dtype)[:12]


def _seen(
    root: Path, path: str, known: SourceFile | None, reading: str, now: float
) -> SourceFile | None:
    """A file as it is now, without its rows if it changed; None for a folder."""
    stat = os.stat(os.path.join(root, path))
    if S_ISDIR(stat.st_mode):
        return None
    if known and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return known
    with (root / path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    settled = stat.st_mtime_ns < now * 1e9 - _SETTLED_NS
    return SourceFile(
        path=path,
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns if settled else 0,
        digest=digest,
        rows=known.rows if known and known.digest == digest else {},
        reading=reading,
    )
