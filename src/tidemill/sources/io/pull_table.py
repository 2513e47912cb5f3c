"""What a function gave, call by call: each batch is an object of the store, which is read like a file.

A batch and the state after it become known to the ledger at once, as files that a run saw. Until then
nothing happened, and afterwards nothing has to be pulled again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.contracts.checks.partition_column import raw_keys
from tidemill.contracts.checks.schema import polars_type
from tidemill.core.errors import SourceError, did_you_mean
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ports.artifacts import Artifacts
from tidemill.sources.io.listing import reading_of
from tidemill.store.frames import PARQUET, encode
from tidemill.workflow.source import Pull, SourceFile
from tidemill.workflow.stage import Stage
from tidemill.workflow.user_errors import failed

STATE = "state"


class PullTable:
    """The batches of a function; `known` are those that the ledger knows, and its last state."""

    def __init__(
        self,
        source: Pull[Any],
        stage: Stage,
        artifacts: Artifacts,
        known: Mapping[str, SourceFile],
    ) -> None:
        assert stage.output is not None
        self._function = source.function
        self._stage = stage
        self._contract = stage.output
        self._artifacts = artifacts
        self._known = known
        self._reading = reading_of(source, stage)

    def listed(self) -> dict[str, SourceFile]:
        """All batches, with the one that the function gives now, which is stored."""
        known = {path: self._recut(file) for path, file in self._known.items()}
        before = known.get(STATE)
        frames, state = self._called(json.loads(before.digest) if before else None)
        if frames:
            batch = self._batch(pl.concat(frames, how="diagonal_relaxed"), len(known))
            known[batch.path] = batch
        # A state is small, and is its own digest.
        if before is None or before.digest != state:
            known[STATE] = SourceFile(path=STATE, size=0, mtime_ns=0, digest=state, rows={})
        return known

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        """The rows of a partition, of each key the last one."""
        frames = [
            pl.read_parquet(self._artifacts.get(files[path].digest)) for path in sorted(files)
        ]
        rows = pl.concat(frames, how="diagonal_relaxed")
        keys = self._keys(rows)
        if keys is not None:
            rows = rows.filter(keys == partition)
        if not self._contract.key:
            return rows
        return rows.unique(self._contract.key, keep="last", maintain_order=True)

    def _recut(self, file: SourceFile) -> SourceFile:
        """A batch by the partitions that the contract has now."""
        if file.path == STATE or file.reading == self._reading:
            return file
        keys = self._keys(pl.read_parquet(self._artifacts.get(file.digest)))
        rows = {WHOLE: sum(file.rows.values())} if keys is None else _counted(keys)
        return replace(file, rows=rows, reading=self._reading)

    def _called(self, state: Any) -> tuple[list[pl.DataFrame], str]:
        """What the function gives after a state: frames that have rows, and the next state as text."""
        try:
            given = self._function(state)
            rows, after = given
            frames = [frame for frame in _frames(rows) if frame.height]
            text = json.dumps(after, sort_keys=True, allow_nan=False)
        # Whatever the user's code raises is a source that can't be read now.
        except (Exception, SystemExit) as error:
            raise SourceError(str(failed(self._stage, WHOLE, error))) from error
        if json.loads(text) != after:
            raise SourceError(
                f"{self._stage.name}: the state {after!r} is another when it is read back; hand text, "
                "numbers, lists and dicts with text as keys"
            )
        return frames, text

    def _batch(self, frame: pl.DataFrame, number: int) -> SourceFile:
        missing = [name for name in self._contract.required if name not in frame.columns]
        if missing:
            raise SourceError(
                f"what was pulled has no column {missing[0]!r} of contract {self._contract.name} "
                f"({did_you_mean(missing[0], frame.columns)})"
            )
        try:
            payload = encode(frame)
        except PolarsError as error:
            raise SourceError(f"what was pulled can't be stored: {error}") from error
        keys = self._keys(frame)
        return SourceFile(
            path=f"batch {number:08}",
            size=len(payload),
            mtime_ns=0,
            digest=self._artifacts.put(payload, PARQUET),
            rows={WHOLE: frame.height} if keys is None else _counted(keys),
            reading=self._reading,
        )

    def _keys(self, frame: pl.DataFrame) -> pl.Series | None:
        """The partition of each row; None where there is only one."""
        cut = self._contract.partitioning
        if cut.is_whole:
            return None
        dtype = polars_type(self._contract.column(cut.column).dtype)
        return raw_keys(frame[cut.column], dtype, cut).fill_null(UNPLACED)


def _counted(keys: pl.Series) -> dict[str, int]:
    return dict(sorted(keys.value_counts().iter_rows()))


def _frames(rows: Any) -> Iterator[pl.DataFrame]:
    """Rows as frames, however they are given."""
    if isinstance(rows, pl.LazyFrame):
        yield rows.collect()
    elif isinstance(rows, pl.DataFrame):
        yield rows
    elif isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows):
        yield pl.DataFrame(rows, infer_schema_length=None)
    elif isinstance(rows, Iterable) and not isinstance(rows, (str, bytes, Mapping)):
        for part in rows:
            yield from _frames(part)
    else:
        kind = type(rows).__name__
        raise TypeError(f"rows are a frame, a list of dicts, or an iterator of these, not {kind}")
