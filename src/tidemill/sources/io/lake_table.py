"""Read a Delta or Iceberg table by its data files, which never change: new versions add new files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from tidemill.contracts.checks.partition_column import raw_partition_keys
from tidemill.contracts.checks.schema import polars_type
from tidemill.core.errors import SourceError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ports.sources import ExternalSources, LakeFile
from tidemill.sources.io.file_listing import reading_id
from tidemill.sources.io.first_look import Request, find_deadly_files
from tidemill.workflow.source import Delta, Iceberg, SourceFile
from tidemill.workflow.stage import Stage


class LakeTable:
    """A lake table at one version; the partitions of `known` files aren't computed again."""

    def __init__(
        self,
        source: Delta[Any] | Iceberg[Any],
        stage: Stage,
        outside: ExternalSources,
        known: Mapping[str, SourceFile],
    ) -> None:
        assert stage.output is not None
        self._name = source.path if isinstance(source, Delta) else source.table
        self._contract = stage.output
        self._known = known
        self._reading = reading_id(source, stage)
        self._lake = outside.lake(source)
        self._files = {f"{self._name}/{file.name}": file for file in self._lake.files}
        # A file gives other rows if a column was added or changed.
        self._columns = {
            name: kind
            for name, kind in self._lake.columns.items()
            if name in stage.output.names or stage.output.unknown_columns != "drop"
        }

    def list_files(self) -> dict[str, SourceFile]:
        for name in self._contract.required_columns:
            if name not in self._columns:
                raise SourceError(
                    f"{self._name} has no column {name!r} of contract {self._contract.name} "
                    f"({did_you_mean(name, [*self._lake.columns])})"
                )
        if not self._files:
            version = self._lake.version
            raise SourceError(f"{self._name} has no file in {version}; nothing was removed")
        found: dict[str, SourceFile] = {}
        fresh: dict[str, LakeFile] = {}
        for path, file in self._files.items():
            before = self._known.get(path)
            same = before is not None and before.reading == self._reading
            if before is not None and same and before.digest == self._digest(file):
                found[path] = before
            else:
                fresh[path] = file
        self._refuse_deadly_files(fresh)
        found |= {path: self._scan_file(path, file) for path, file in fresh.items()}
        return {path: found[path] for path in self._files}

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        frames = []
        for path, planned in files.items():
            file = self._files.get(path)
            if file is None or self._digest(file) != planned.digest:
                raise SourceError(f"{self._name} changed during this run; run again")
            rows = file.read([*self._columns])
            if set(planned.rows) != {partition}:
                rows = rows.filter(self._keys(rows) == partition)
            frames.append(rows)
        return pl.concat(frames, how="diagonal_relaxed")

    def _refuse_deadly_files(self, fresh: Mapping[str, LakeFile]) -> None:
        """Raise SourceError for the first new file that would crash this process."""
        requests: dict[str, Request] = {
            path: (file.parser, file.path, {}) for path, file in fresh.items() if file.path
        }
        for error in find_deadly_files(requests).values():
            raise error

    def _digest(self, file: LakeFile) -> str:
        return fingerprint("lake", self._name, file.name, file.digest, self._columns)

    def _scan_file(self, path: str, file: LakeFile) -> SourceFile:
        if self._contract.partitioning.is_whole:
            rows = {WHOLE: file.read([*self._lake.columns][:1]).height}
        else:
            keys = self._keys(file.read([self._contract.partitioning.column]))
            rows = dict(sorted(keys.value_counts().iter_rows()))
        return SourceFile(
            path=path,
            size=file.size,
            mtime_ns=0,
            digest=self._digest(file),
            rows=rows,
            reading=self._reading,
        )

    def _keys(self, frame: pl.DataFrame) -> pl.Series:
        cut = self._contract.partitioning
        dtype = polars_type(self._contract.column(cut.column).dtype)
        return raw_partition_keys(frame[cut.column], dtype, cut).fill_null(UNPLACED)
