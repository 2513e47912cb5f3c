"""Scan the sources of ingest stages for their current files; only those that look changed are opened."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from errno import EINVAL
from stat import S_ISDIR, S_ISREG
from typing import Any, TypeAlias

from tidemill.contracts.digests import reading_part
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import DeclarationError, Fault, SourceError, TidemillError
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import WHOLE
from tidemill.ports.runtime import Runtime
from tidemill.ports.sources import StoredFile
from tidemill.sources.io.file_root import FileSet, file_root, is_stored
from tidemill.sources.reader_digest import reader_digest, text_reading
from tidemill.sources.scan import FileRows, Scan
from tidemill.sources.text_files import may_read_text, text_contract
from tidemill.workflow.source import Files, Losable, Source, SourceFile
from tidemill.workflow.stage import Kind, Stage
from tidemill.workflow.user_errors import user_error

# The rows of files by partition, or errors, by path.
Counted: TypeAlias = Mapping[str, "FileRows | SourceError"]
# Counts the rows of sets of files. It needs Polars, so it is an argument.
RowCounter = Callable[[Sequence[FileSet]], Sequence[Counted]]
# Lists the files of a source, asks for the rows of those that are new, and returns the scan.
_Listing: TypeAlias = Generator[FileSet, Counted | None, Scan]

Known: TypeAlias = Mapping[str, SourceFile]
# Files by path in their current state, or why one can't be read.
Current: TypeAlias = "dict[str, SourceFile | SourceError]"

# Lists a source other than files, which needs Polars, too.
TableLister = Callable[
    [Source[Any], Stage, Runtime, Mapping[str, SourceFile]], Mapping[str, SourceFile]
]

# A file that changes twice within the file system's time resolution keeps its times, so times as recent as
# this aren't trusted.
_SETTLED_NS = 2_000_000_000
# Files of an object store that are fetched before their rows are counted.
_TOGETHER = 64


def call_ingest(stage: Stage) -> Source[Any]:
    """Call an ingest function and return its source.

    Raises SourceError if the function raises, DeclarationError if it returns anything else.
    """
    assert stage.function is not None
    try:
        source = stage.function()
    except DeclarationError as error:
        placed = [replace(fault, where=fault.where or stage.place) for fault in error.faults]
        raise DeclarationError("the workflow", placed) from error
    except (TidemillError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise SourceError(str(user_error(stage, WHOLE, error))) from error
    if not isinstance(source, Source):
        kind = type(source).__name__
        fault = Fault(
            message=f"ingest {stage.name!r} returned {kind}",
            where=stage.place,
            hint="return tm.files('data/*.parquet'), tm.sql(...), tm.output(...), tm.delta(...) or another",
        )
        raise DeclarationError("the workflow", [fault])
    return source


def ingest_contract(stage: Stage) -> ContractSpec:
    """Return the contract of a stage; of an ingest of text files, with the formats of their text."""
    assert stage.output is not None
    try:
        source = call_ingest(stage) if stage.kind is Kind.INGEST else None
    except TidemillError:
        return stage.output
    if not isinstance(source, Files) or not may_read_text(source):
        return stage.output
    # Cells of JSON may be all that those of CSV are.
    return text_contract(stage.output, source, "json")


def scan_sources(
    stages: Sequence[Stage],
    tools: Runtime,
    known: Mapping[str, Mapping[str, SourceFile]],
    count: RowCounter,
    look: TableLister,
    *,
    verify: bool = False,
) -> dict[str, Scan]:
    """Scan the sources of stages; `known` are their last known files. Errors are part of the results.

    An empty folder or table is an error: it is more likely a mistake than a wish to remove all rows.
    With `verify` every file is hashed, whether it looks changed or not.
    """
    scans: dict[str, Scan] = {}
    local: dict[str, _Listing] = {}
    stored: dict[str, _Listing] = {}
    tables: list[tuple[Stage, Source[Any]]] = []
    for stage in stages:
        try:
            source = call_ingest(stage)
        except SourceError as error:
            scans[stage.name] = _broken(stage, error)
            continue
        if isinstance(source, Files):
            own = known.get(stage.name, {})
            listing = _scan_files(stage, source, tools, own, verify)
            (stored if is_stored(source) else local)[stage.name] = listing
        else:
            tables.append((stage, source))
    scans |= _complete(local, count)
    # Listing others may start threads, after which no fork can count rows.
    for name, listing in stored.items():
        # By itself: there may be room for copies of the files of one source only.
        scans |= _complete({name: listing}, count)
    for stage, source in tables:
        scans[stage.name] = _scan_table(stage, source, tools, known.get(stage.name, {}), look)
    return {stage.name: scans[stage.name] for stage in stages}


def _broken(stage: Stage, error: SourceError) -> Scan:
    return Scan(files={}, broken={stage.name: str(error)})


def _complete(listings: Mapping[str, _Listing], count: RowCounter) -> dict[str, Scan]:
    """Complete listings; the files that several ask for at once are counted together."""
    scans: dict[str, Scan] = {}
    answers: dict[str, Counted | None] = dict.fromkeys(listings)
    while answers:
        asked: dict[str, FileSet] = {}
        for name, answer in answers.items():
            try:
                asked[name] = listings[name].send(answer)
            except StopIteration as done:
                scans[name] = done.value
        answers = dict(zip(asked, count([*asked.values()]), strict=True)) if asked else {}
    return scans


def _scan_files(
    stage: Stage, source: Files[Any], tools: Runtime, known: Known, verify: bool
) -> _Listing:
    try:
        return (yield from _list_files(stage, source, tools, known, verify))
    except SourceError as error:
        return _broken(stage, error)


def _scan_table(
    stage: Stage, source: Source[Any], tools: Runtime, known: Known, look: TableLister
) -> Scan:
    try:
        files = {path: _present(file) for path, file in look(source, stage, tools, known).items()}
    except SourceError as error:
        return _broken(stage, error)
    if not isinstance(source, Losable):
        return Scan(files=files, noun="rows", on_missing="remove")  # pulled rows are stored
    return Scan(
        files=files,
        noun="rows",
        on_missing=source.on_missing,
        max_missing=source.max_missing,
    )


def _list_files(
    stage: Stage, source: Files[Any], tools: Runtime, known: Known, verify: bool
) -> _Listing:
    files: dict[str, SourceFile] = {}
    broken: dict[str, str] = {}
    current = _stored_files if is_stored(source) else _local_files
    for some in current(source, tools, known, reading_id(source, stage), verify):
        broken |= {path: str(file) for path, file in some.items() if isinstance(file, SourceError)}
        files |= (
            found := {p: file for p, file in some.items() if not isinstance(file, SourceError)}
        )
        # New and changed files; an unchanged file without rows needn't be counted again.
        fresh = {p: file for p, file in found.items() if not file.rows and file is not known.get(p)}
        root = file_root(source, tools, fresh.values())
        counted = (yield FileSet(source, stage, root, [*fresh])) if fresh else None
        for path, rows in (counted or {}).items():
            if isinstance(rows, SourceError):
                broken[path] = str(rows)
                del files[path]
            else:
                files[path] = _with_rows(files[path], rows, known.get(path))
    if not files and not broken:
        place = "" if is_stored(source) else f" in {tools.root}"
        raise SourceError(f"no file matches {source.pattern!r}{place}; nothing was removed")
    # Partitions aren't built from some of their files: those that a broken file fed are kept.
    held = {key for path in broken if path in known for key in known[path].rows}
    return Scan(
        files=dict(sorted(files.items())),
        broken=broken,
        kept_partitions=frozenset(held),
        on_missing=source.on_missing,
        max_missing=source.max_missing,
    )


def _local_files(
    source: Files[Any], tools: Runtime, known: Known, reading: str, verify: bool
) -> Iterator[Current]:
    """The files in their current state, without row counts if they changed, all at once."""
    found: dict[str, SourceFile | SourceError] = {}
    now = tools.clock()
    root = "" if os.path.isabs(source.pattern) else os.path.join(tools.root, "")
    for path in sorted(glob.glob(source.pattern, root_dir=tools.root, recursive=True)):
        before = known.get(path)
        same = before if before and before.reading == reading else None
        try:
            file = _current_file(root, path, same, reading, now, verify)
        except OSError as error:
            found[path] = SourceError(f"{path} can't be read: {error.strerror}")
            continue
        if file is not None:
            found[path] = file
    yield found


def _stored_files(
    source: Files[Any], tools: Runtime, known: Known, reading: str, verify: bool
) -> Iterator[Current]:
    """The files of an object store, first those that are as they are known, then new ones in portions."""
    store = tools.external_sources.file_store(source.pattern)
    found: dict[str, SourceFile | SourceError] = {}
    changed: list[StoredFile] = []
    for listed in store.list_files(source.pattern):
        before = known.get(listed.path)
        if before is None or verify or not _seems_stored(before, listed):
            changed.append(listed)
        elif before.reading == reading:
            found[listed.path] = _present(before)
        else:
            changed.append(replace(listed, digest=before.digest))
    yield found
    for first in range(0, len(changed), _TOGETHER):
        fetched = store.fetch(changed[first : first + _TOGETHER])
        yield {
            path: file if isinstance(file, SourceError) else _fetched(file, known, reading)
            for path, file in fetched.items()
        }


def _fetched(file: StoredFile, known: Known, reading: str) -> SourceFile:
    before = known.get(file.path)
    is_same = before and (before.digest, before.reading) == (file.digest, reading)
    return SourceFile(
        path=file.path,
        size=file.size,
        mtime_ns=file.mtime_ns,
        digest=file.digest,
        rows=before.rows if before and is_same else {},
        reading=reading,
        parts=before.parts if before and is_same else {},
        tag=file.tag,
    )


def _seems_stored(file: SourceFile, listed: StoredFile) -> bool:
    """Whether an object store still has what was fetched; one without tags can't tell."""
    was = (file.size, file.mtime_ns, file.tag)
    return bool(listed.tag) and was == (listed.size, listed.mtime_ns, listed.tag)


def _with_rows(file: SourceFile, found: FileRows, known: SourceFile | None) -> SourceFile:
    # A file without digests of its parts keeps them off until it changes, so that no partition is read again.
    same = known is not None and known.digest == file.digest and len(known.rows) > 1
    parts = {} if same and known and not known.parts else found.parts
    return replace(file, rows=found.rows, parts=parts)


def reading_id(source: Source[Any], stage: Stage) -> str:
    """Return a digest of how rows are read and assigned to partitions, apart from the files' content."""
    assert stage.output is not None
    cut = stage.output.partitioning
    column = stage.output.column(cut.column) if cut.column else None
    dtype = str(column.dtype) if column else ""
    # The version of `value_key`, which decides the keys of texts.
    keys = [2] if cut.column and not cut.is_time else []
    found = [text_reading(source), reading_part(column) if column else None]
    more = [part for part in found if part]
    return fingerprint("reading", reader_digest(source, stage), str(cut), dtype, *keys, *more)[:12]


def _present(file: SourceFile) -> SourceFile:
    """The record of a file that exists; the same object if it wasn't missing before."""
    return replace(file, missing_since={}) if file.missing_since else file


def _current_file(
    root: str, path: str, known: SourceFile | None, reading: str, now: float, verify: bool
) -> SourceFile | None:
    """Return a file in its current state, without row counts if it changed; None for a folder."""
    stat = os.stat(root + path)
    if S_ISDIR(stat.st_mode):
        return None
    if not S_ISREG(stat.st_mode):
        # Reading a pipe would wait for whoever writes it.
        raise OSError(EINVAL, "it is not a regular file")
    if known and not verify and seems_unchanged(known, stat):
        return _present(known)
    with open(root + path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    same = known if known and known.digest == digest else None
    settled = max(stat.st_mtime_ns, stat.st_ctime_ns) < now * 1e9 - _SETTLED_NS
    return SourceFile(
        path=path,
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns if settled else 0,
        digest=digest,
        rows=same.rows if same else {},
        reading=reading,
        parts=same.parts if same else {},
        ctime_ns=stat.st_ctime_ns,
        inode=stat.st_ino,
    )


def seems_unchanged(file: SourceFile, stat: os.stat_result) -> bool:
    """Whether a file needn't be hashed: nothing says that it was written, or replaced by another one.

    Copies can keep the size and the modification time, but not the time at which the inode changed.
    """
    was = (file.size, file.mtime_ns, file.ctime_ns, file.inode)
    return was == (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
