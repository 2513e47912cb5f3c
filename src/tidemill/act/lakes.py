"""Read a Delta table by its files, which never change: what is new between two versions are new files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.act.listing import reading_of
from tidemill.decide.cut import raw_keys
from tidemill.decide.schema import polars_type
from tidemill.domain.errors import SourceError, did_you_mean
from tidemill.domain.partition import UNPLACED, WHOLE
from tidemill.domain.source import Delta, SourceFile
from tidemill.domain.stage import Stage
from tidemill.ports import LakeFile, Outside


class LakeTable:
    """A table at one version; of files that are `known` no row is read to tell what they feed."""

    def __init__(
        self,
        source: Delta[Any],
        stage: Stage,
        outside: Outside,
        known: Mapping[str, SourceFile],
    ) -> None:
        assert stage.output is not None
        self._path = source.path
        self._contract = stage.output
        self._known = known
        self._reading = reading_of(source, stage)
        self._lake = outside.lake(source.path, source.version)
        self._files = {f"{source.path}/{file.name}": file for file in self._lake.files}

    def listed(self) -> dict[str, SourceFile]:
        """The files of the version, each with the partitions that it feeds."""
        for name in self._contract.required:
            if name not in self._lake.columns:
                raise SourceError(
                    f"{self._path} has no column {name!r} of contract {self._contract.name} "
                    f"({did_you_mean(name, self._lake.columns)})"
                )
        if not self._files:
            version = self._lake.version
            raise SourceError(f"{self._path} has no file in version {version}; nothing was removed")
        found: dict[str, SourceFile] = {}
        for path, file in self._files.items():
            before = self._known.get(path)
            same = before is not None and before.reading == self._reading
            found[path] = before if before and same else self._seen(path, file)
        return found

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        """The rows of a partition, of all files that feed it."""
        gone = [path for path in files if path not in self._files]
        if gone:
            raise SourceError(f"{self._path} changed while this run was at work; run again")
        frames = []
        for path in files:
            rows = self._rows(self._files[path])
            if set(files[path].rows) != {partition}:
                rows = rows.filter(self._keys(rows) == partition)
            frames.append(rows)
        return pl.concat(frames, how="diagonal_relaxed")

    def _seen(self, path: str, file: LakeFile) -> SourceFile:
        if self._contract.partitioning.is_whole:
            rows = {WHOLE: self._rows(file, []).height}
        else:
            keys = self._keys(self._rows(file, [self._contract.partitioning.column]))
            rows = dict(sorted(keys.value_counts().iter_rows()))
        # A file is written once under its name, which has an id of its own.
        return SourceFile(
            path=path, size=file.size, mtime_ns=0, digest=path, rows=rows, reading=self._reading
        )

    def _keys(self, frame: pl.DataFrame) -> pl.Series:
        cut = self._contract.partitioning
        dtype = polars_type(self._contract.column(cut.column).dtype)
        return raw_keys(frame[cut.column], dtype, cut).fill_null(UNPLACED)

    def _rows(self, file: LakeFile, columns: list[str] | None = None) -> pl.DataFrame:
        """A file's rows with the columns that the table keeps elsewhere, or didn't have then."""
        try:
            scan = pl.scan_parquet(file.path, glob=False, hive_partitioning=False)
            there = scan.collect_schema().names()
            scan = scan.drop([name for name in file.values if name in there])
            scan = scan.with_columns(pl.lit(value).alias(n) for n, value in file.values.items())
            absent = [n for n in self._lake.columns if n not in there and n not in file.values]
            scan = scan.with_columns(pl.lit(None).alias(name) for name in absent)
            if columns == []:
                return scan.collect()
            return scan.select(columns or list(self._lake.columns)).collect()
        except (PolarsError, OSError) as error:
            raise SourceError(f"{file.path} can't be read: {error}") from error
