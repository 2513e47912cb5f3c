"""Pull rows from a function: store each batch as an object, which is then read like a file.

A batch and the state after it are recorded in the ledger together, as files that a run has seen. Before
that the pull counts as not done; afterwards nothing is pulled again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.contracts.checks.partition_column import raw_partition_keys
from tidemill.contracts.checks.schema import polars_type
from tidemill.core.errors import SourceError, did_you_mean
from tidemill.core.other_frames import describe_other_frame, is_other_frame
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ports.artifacts import Artifacts
from tidemill.sources.io.file_listing import reading_id
from tidemill.store.frames import PARQUET, encode
from tidemill.workflow.source import Pull, SourceFile
from tidemill.workflow.stage import Stage
from tidemill.workflow.user_errors import user_error

STATE = "state"


class PullTable:
    """The batches of a pull function; `known` are those recorded in the ledger, and the last state."""

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
        self._reading = reading_id(source, stage)

    def list_files(self) -> dict[str, SourceFile]:
        """Call the function, store its batch, and list all batches."""
        known = {path: self._recount(file) for path, file in self._known.items()}
        before = known.get(STATE)
        frames, state = self._call(json.loads(before.digest) if before else None)
        if frames:
            batch = self._store_batch(pl.concat(frames, how="diagonal_relaxed"), len(known))
            known[batch.path] = batch
        # A state is small, and is its own digest.
        if before is None or before.digest != state:
            known[STATE] = SourceFile(path=STATE, size=0, mtime_ns=0, digest=state, rows={})
        return known

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        """Read the rows of a partition; of rows with the same key, the last one."""
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

    def _recount(self, file: SourceFile) -> SourceFile:
        """Recount the rows of a batch if the contract's partitioning changed since."""
        if file.path == STATE or file.reading == self._reading:
            return file
        keys = self._keys(pl.read_parquet(self._artifacts.get(file.digest)))
        rows = {WHOLE: sum(file.rows.values())} if keys is None else _count_keys(keys)
        return replace(file, rows=rows, reading=self._reading)

    def _call(self, state: Any) -> tuple[list[pl.DataFrame], str]:
        """Call the function with a state; return its non-empty frames and the next state as JSON."""
        try:
            given = self._function(state)
            rows, after = given
            frames = [frame for frame in _frames(rows) if frame.height]
            text = json.dumps(after, sort_keys=True, allow_nan=False)
        # Any exception of user code means that the source can't be read now.
        except (Exception, SystemExit) as error:
            raise SourceError(str(user_error(self._stage, WHOLE, error))) from error
        if json.loads(text) != after:
            raise SourceError(
                f"{self._stage.name}: the state {after!r} changes when it is stored as JSON; use text, "
                "numbers, lists, and dicts with text as keys"
            )
        return frames, text

    def _store_batch(self, frame: pl.DataFrame, number: int) -> SourceFile:
        missing = [name for name in self._contract.required_columns if name not in frame.columns]
        if missing:
            raise SourceError(
                f"the pulled rows have no column {missing[0]!r} of contract {self._contract.name} "
                f"({did_you_mean(missing[0], frame.columns)})"
            )
        try:
            payload = encode(frame)
        except PolarsError as error:
            raise SourceError(f"the pulled rows can't be stored: {error}") from error
        keys = self._keys(frame)
        return SourceFile(
            path=f"batch {number:08}",
            size=len(payload),
            mtime_ns=0,
            digest=self._artifacts.put_all([(payload, PARQUET)])[0],
            rows={WHOLE: frame.height} if keys is None else _count_keys(keys),
            reading=self._reading,
        )

    def _keys(self, frame: pl.DataFrame) -> pl.Series | None:
        """Return the partition of each row; None if the contract isn't partitioned."""
        cut = self._contract.partitioning
        if cut.is_whole:
            return None
        dtype = polars_type(self._contract.column(cut.column).dtype)
        return raw_partition_keys(frame[cut.column], dtype, cut).fill_null(UNPLACED)


def _count_keys(keys: pl.Series) -> dict[str, int]:
    return dict(sorted(keys.value_counts().iter_rows()))


def _is_no_iterator(rows: object) -> bool:
    """Whether the parts of an iterable aren't rows: those of a text, a dict or a frame of pandas."""
    return isinstance(rows, (str, bytes, Mapping)) or is_other_frame(rows)


def _frames(rows: Any) -> Iterator[pl.DataFrame]:
    """Yield the rows as frames: from a frame, a list of dicts, or an iterator of these."""
    if isinstance(rows, pl.LazyFrame):
        yield rows.collect()
    elif isinstance(rows, pl.DataFrame):
        yield rows
    elif isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows):
        yield pl.DataFrame(rows, infer_schema_length=None)
    elif isinstance(rows, Iterable) and not _is_no_iterator(rows):
        for part in rows:
            yield from _frames(part)
    else:
        kind = describe_other_frame(rows)
        raise TypeError(
            f"rows must be a Polars frame, a list of dicts, or an iterator of these, not {kind}"
        )
