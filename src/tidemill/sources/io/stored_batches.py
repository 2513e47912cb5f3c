"""Batches of pulled or loaded rows: each is an object, which is read like a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.hashing.column_hash import FrameHasher
from tidemill.contracts.checks.partition_column import raw_partition_keys, sort_by_partition
from tidemill.contracts.checks.schema import polars_type
from tidemill.core.errors import ContractError, SourceError, did_you_mean
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ports.artifacts import Artifacts
from tidemill.sources.io.file_listing import reading_id
from tidemill.store.frames import PARQUET, encode
from tidemill.workflow.source import Source, SourceFile
from tidemill.workflow.stage import Stage


class StoredBatches:
    """Stores, counts and reads the batches of a stage; messages call their rows `noun`."""

    def __init__(self, source: Source[Any], stage: Stage, artifacts: Artifacts, noun: str) -> None:
        assert stage.output is not None
        self._contract = stage.output
        self._artifacts = artifacts
        self._noun = noun
        self._reading = reading_id(source, stage)
        # The batches that were read last, and the places of partitions in them: a load often feeds many.
        self._last: tuple[tuple[str, ...], pl.DataFrame, dict[str, tuple[int, int]]] | None = None

    def recount(self, file: SourceFile) -> SourceFile:
        """Recount the rows of a batch if the contract's partitioning changed since."""
        if file.reading == self._reading:
            return file
        frame = self.frame(file)
        counted = replace(file, rows=self._count(frame), reading=self._reading)
        return replace(counted, parts=self._part_digests(frame)) if file.parts else counted

    def store(
        self, frame: pl.DataFrame, path: str, *, missing_hint: str = "", by_partition: bool = False
    ) -> SourceFile:
        """Store rows as a batch; `by_partition` it can lose rows without changing other partitions.

        SourceError for rows without a column of the contract, which `missing_hint` explains.
        """
        missing = [name for name in self._contract.required_columns if name not in frame.columns]
        if missing:
            raise SourceError(
                f"the {self._noun} have no column {missing[0]!r} of contract {self._contract.name} "
                f"({did_you_mean(missing[0], frame.columns)}){missing_hint.format(missing[0])}"
            )
        try:
            payload = encode(frame)
        except PolarsError as error:
            raise SourceError(f"the {self._noun} can't be stored: {error}") from error
        return SourceFile(
            path=path,
            size=len(payload),
            mtime_ns=0,
            digest=self._artifacts.put_all([(payload, PARQUET)])[0],
            rows=self._count(frame),
            reading=self._reading,
            parts=self._part_digests(frame) if by_partition else {},
        )

    def frame(self, file: SourceFile) -> pl.DataFrame:
        """All rows of a batch."""
        return self._read(file.digest)

    def _read(self, digest: str) -> pl.DataFrame:
        return pl.read_parquet(self._artifacts.get(digest))

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        """The rows of a partition in all its batches, in their order."""
        digests = tuple(files[path].digest for path in sorted(files))
        if (last := self._last) is None or last[0] != digests:
            rows = pl.concat([*map(self._read, digests)], how="diagonal_relaxed")
            keys = self._keys(rows)
            places = {WHOLE: (0, rows.height)}
            rows, places = (rows, places) if keys is None else sort_by_partition(rows, keys)
            self._last = last = digests, rows, places
        return last[1].slice(*last[2].get(partition, (0, 0)))

    def _count(self, frame: pl.DataFrame) -> dict[str, int]:
        keys = self._keys(frame)
        if keys is None:
            return {WHOLE: frame.height}
        return dict(sorted(keys.value_counts().iter_rows()))

    def _part_digests(self, frame: pl.DataFrame) -> dict[str, str]:
        """The digests of the rows of each partition; none if types have no stable bytes."""
        keys = self._keys(frame)
        if keys is None:
            return {}
        ordered, places = sort_by_partition(frame, keys)
        try:
            hasher = FrameHasher(ordered.schema)
            found = hasher.digests(ordered, [length for _, length in places.values()])
        except ContractError:
            return {}
        return dict(zip(places, found, strict=True))

    def _keys(self, frame: pl.DataFrame) -> pl.Series | None:
        """Return the partition of each row; None if the contract isn't partitioned."""
        cut = self._contract.partitioning
        if cut.is_whole:
            return None
        dtype = polars_type(self._contract.column(cut.column).dtype)
        return raw_partition_keys(frame[cut.column], dtype, cut).fill_null(UNPLACED)
