"""Read the rows of ingest steps: each file once, small files ahead of their steps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import polars as pl

from tidemill.contracts.checks.checker import checker_of
from tidemill.contracts.checks.partition_column import sort_by_partition
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import SourceError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ports.runtime import Runtime
from tidemill.sources.io.file_listing import seems_unchanged
from tidemill.sources.io.file_readers import (
    READ_ERRORS,
    collect_files,
    contract_of_files,
    format_of,
    load_file,
    parquet_schema,
)
from tidemill.sources.io.file_root import FileRoot, file_root, is_stored
from tidemill.sources.scan import feeds_only
from tidemill.steps.io.invocation import call_stage
from tidemill.workflow.source import Files, Source, SourceFile
from tidemill.workflow.stage import Stage

if TYPE_CHECKING:
    from tidemill.sources.io.tables import Table

# One query over many small files costs a third of one query per file.
_TOGETHER = 32
_TOGETHER_BYTES = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRows:
    """The rows of a partition, and the columns that were left out because the contract drops them.

    `contract` says how their text is read. The rows are `original` if they have all of their columns, and
    text as it is written: those of a quarantine must be.
    """

    rows: pl.DataFrame
    contract: ContractSpec
    dropped: tuple[str, ...] = ()
    original: bool = True


class IngestReader:
    """Reads the sources of one run.

    `upcoming` are the files that are a partition each, by stage and in the order of their steps.
    """

    def __init__(self, tools: Runtime, upcoming: Mapping[str, Mapping[str, SourceFile]]) -> None:
        self._tools = tools
        self._tables: dict[str, Table] = {}
        self._coming = {stage: tuple(files.values()) for stage, files in upcoming.items()}
        self._places = {
            s: {path: n for n, path in enumerate(files)} for s, files in upcoming.items()
        }
        # How many of the coming files were read, or skipped.
        self._passed: dict[str, int] = {}
        self._sources: dict[str, Source[Any]] = {}
        # Files that were hashed again, with their times since.
        self._steady: dict[str, SourceFile] = {}
        # Files with several partitions, their rows, and where the rows of each partition are.
        self._split: dict[
            str, tuple[tuple[tuple[str, str], ...], pl.DataFrame, dict[str, tuple[int, int]]]
        ] = {}
        # Rows that were read ahead of their step.
        self._ahead: dict[tuple[str, str], SourceRows] = {}

    def read_all_columns(
        self, stage: Stage, partition: str, files: Mapping[str, SourceFile]
    ) -> SourceRows:
        """Read the rows of a partition as they are in the source, with all of their columns.

        SourceError when a file can't be read, or changed since this run was planned.
        """
        assert stage.output is not None
        source, paths = self._source(stage, partition), tuple(files)
        if not isinstance(source, Files):
            rows = self._table(stage, source).read(partition, files)
            return SourceRows(rows=rows, contract=stage.output)
        if feeds_only(partition, files):
            found = self._read(stage, source, self._root(source, files), paths)
        else:
            rows = self._part(stage, source, partition, files)
            contract = contract_of_files(source, stage.output, paths)
            found = SourceRows(rows=rows, contract=contract)
        self._require_unchanged(source, files)
        return found

    def read_contract_columns(
        self, stage: Stage, partition: str, files: Mapping[str, SourceFile]
    ) -> SourceRows:
        """Read the rows of a partition in the quickest way; they may not be original."""
        source, paths = self._source(stage, partition), tuple(files)
        if not isinstance(source, Files) or not feeds_only(partition, files):
            return _without_dropped(stage, self.read_all_columns(stage, partition, files))
        found = None
        if len(paths) == 1:
            if (stage.name, paths[0]) not in self._ahead:
                self._read_ahead(stage, source, paths[0])
            found = self._ahead.pop((stage.name, paths[0]), None)
        found = found or self._read_quickly(stage, source, self._root(source, files), paths)
        self._require_unchanged(source, files)
        return found

    def reads_files(self, stage: Stage, partition: str) -> bool:
        """Return whether a stage reads files, which can be read one by one."""
        return isinstance(self._source(stage, partition), Files)

    def put_back(self, stage: Stage, files: Mapping[str, SourceFile], kept: SourceRows) -> None:
        """Keep rows that `read_contract_columns` returned for the next call with the same file.

        Rows of a file with several partitions are kept until another file is read.
        """
        if len(files) == 1 and all(len(file.rows) == 1 for file in files.values()):
            self._ahead[stage.name, next(iter(files))] = kept

    def _table(self, stage: Stage, source: Source[Any]) -> Table:
        if stage.name not in self._tables:
            # Only sources other than files need what opens them.
            open_table = import_module("tidemill.sources.io.tables").open_table
            coming = self._coming.get(stage.name, ())
            self._tables[stage.name] = open_table(source, stage, self._tools, upcoming=coming)
        return self._tables[stage.name]

    def _source(self, stage: Stage, partition: str) -> Source[Any]:
        if stage.name not in self._sources:
            self._sources[stage.name] = call_stage(stage, partition, {})
        return self._sources[stage.name]

    def _root(self, source: Files[Any], files: Mapping[str, SourceFile]) -> FileRoot:
        return file_root(source, self._tools, files.values())

    def _read(
        self, stage: Stage, source: Files[Any], root: FileRoot, paths: Sequence[str]
    ) -> SourceRows:
        """Read the rows of some files as they are."""
        assert stage.output is not None
        parts = [load_file(source, stage.output, root, path, parse=False).rows for path in paths]
        contract = contract_of_files(source, stage.output, paths)
        return SourceRows(rows=collect_files(parts, paths), contract=contract)

    def _read_quickly(
        self, stage: Stage, source: Files[Any], root: FileRoot, paths: Sequence[str]
    ) -> SourceRows:
        """Read some files without the columns that the contract drops; numbers in text are parsed."""
        assert stage.output is not None
        files = [load_file(source, stage.output, root, path, parse=True) for path in paths]
        found = {file.text for file in files}
        if "text" in found and len(found) > 1:
            # Of numbers beside text, how they were written would be lost.
            return self._read(stage, source, root, paths)
        parts, dropped = [file.rows for file in files], dict[str, None]()
        if stage.output.unknown_columns == "drop" and "text" not in found:
            given = [part.collect_schema().names() for part in parts]
            known = frozenset(stage.output.names)
            dropped = dict.fromkeys(name for names in given for name in names if name not in known)
            parts = [
                part.select(name for name in names if name in known)
                for part, names in zip(parts, given, strict=True)
            ]
        return SourceRows(
            rows=collect_files(parts, paths),
            contract=contract_of_files(source, stage.output, paths),
            dropped=tuple(dropped),
            original=not dropped and "parsed" not in found,
        )

    def _read_ahead(self, stage: Stage, source: Files[Any], path: str) -> None:
        """Read a file together with those of later steps, if they are alike and unchanged."""
        assert stage.output is not None
        # What is left from before was put off, or isn't needed.
        self._ahead = {key: rows for key, rows in self._ahead.items() if key[0] != stage.name}
        root, batch = self._batch(stage, source, path)
        if len(batch) < 2:
            return
        dropped: tuple[str, ...] = ()
        scan = pl.scan_parquet(
            [root / file.path for file in batch], glob=False, hive_partitioning=False
        )
        try:
            if stage.output.unknown_columns == "drop":
                given = list(parquet_schema(root / path))
                dropped = tuple(name for name in given if name not in stage.output.names)
                scan = scan.select([name for name in given if name not in dropped])
            rows = scan.collect()
        except READ_ERRORS:
            return  # reading one by one shows which file it is
        counts = [sum(file.rows.values()) for file in batch]
        if rows.height != sum(counts):
            return
        start = 0
        for file, count in zip(batch, counts, strict=True):
            self._ahead[stage.name, file.path] = SourceRows(
                rows=rows.slice(start, count),
                contract=stage.output,
                dropped=dropped,
                original=not dropped,
            )
            start += count

    def _batch(
        self, stage: Stage, source: Files[Any], path: str
    ) -> tuple[FileRoot, Sequence[SourceFile]]:
        """A file and those after it, as long as they have the same columns and types; and where they are."""
        nothing = self._tools.root, ()
        start = self._places.get(stage.name, {}).get(path, -1)
        # After a step that was put off, the files behind it were read already.
        assert stage.output is not None
        renamed = any(column.source for column in stage.output.columns)
        if start < self._passed.get(stage.name, 0) or source.options or renamed:
            return nothing
        self._passed[stage.name] = start
        coming = self._coming[stage.name][start : start + _TOGETHER]
        sizes = accumulate(file.size for file in coming)
        small = [file for file, size in zip(coming, sizes, strict=True) if size <= _TOGETHER_BYTES]
        alike, schema = list[SourceFile](), None
        try:
            root = file_root(source, self._tools, small)
        except SourceError:
            return nothing  # reading one by one shows which file it is
        for file in small:
            if format_of(source, file.path) != "parquet":
                break
            try:
                found = parquet_schema(root / file.path)
            except READ_ERRORS:
                break
            if list((schema or found).items()) != list(found.items()):
                break
            schema = found
            alike.append(file)
        self._passed[stage.name] += len(alike)
        return root, alike

    def _part(
        self, stage: Stage, source: Files[Any], partition: str, files: Mapping[str, SourceFile]
    ) -> pl.DataFrame:
        """Read a partition; files that feed several partitions are read once for all of them."""
        assert stage.output is not None
        contents = tuple((path, file.digest) for path, file in files.items())
        if stage.name not in self._split or self._split[stage.name][0] != contents:
            found = self._read(stage, source, self._root(source, files), tuple(files))
            keys = checker_of(found.contract).partition_keys()
            self._split[stage.name] = (contents, *sort_by_partition(found.rows, keys))
        _, frame, places = self._split[stage.name]
        return frame.slice(*places.get(partition, (0, 0)))

    def _require_unchanged(self, source: Files[Any], files: Mapping[str, SourceFile]) -> None:
        """Raise SourceError when a file changed since the plan: its rows would get the old digest."""
        if is_stored(source):
            return  # a copy never changes
        for path, file in files.items():
            try:
                changed = self._changed(path, file)
            except OSError as error:
                raise SourceError(f"{path} can't be read: {error.strerror}; run again") from error
            if changed:
                raise SourceError(f"{path} changed while this run was at work; run again")

    def _changed(self, path: str, file: SourceFile) -> bool:
        place = self._tools.root / path
        stat = place.stat()
        if any(seems_unchanged(known, stat) for known in (file, self._steady.get(path, file))):
            return False
        with place.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != file.digest:
            return True
        self._steady[path] = replace(
            file, mtime_ns=stat.st_mtime_ns, ctime_ns=stat.st_ctime_ns, inode=stat.st_ino
        )
        return False


def _without_dropped(stage: Stage, found: SourceRows) -> SourceRows:
    """Remove the columns that the contract drops."""
    assert stage.output is not None
    unknown = tuple(name for name in found.rows.columns if name not in stage.output.names)
    if not unknown or stage.output.unknown_columns != "drop":
        return found
    return replace(found, rows=found.rows.drop(unknown), dropped=unknown, original=False)
