"""Pull rows from a function: store each batch as an object, which is then read like a file.

A batch and the state after it are recorded in the ledger together, as files that a run has seen. Before
that the pull counts as not done; afterwards nothing is pulled again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from tidemill.core.errors import SourceError
from tidemill.core.other_frames import describe_other_frame, is_other_frame
from tidemill.core.partition import WHOLE
from tidemill.ports.artifacts import Artifacts
from tidemill.sources.io.stored_batches import StoredBatches
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
        self._key = stage.output.key
        self._known = known
        self._batches = StoredBatches(source, stage, artifacts, "pulled rows")

    def list_files(self) -> dict[str, SourceFile]:
        """Call the function, store its batch, and list all batches."""
        known = {
            path: file if path == STATE else self._batches.recount(file)
            for path, file in self._known.items()
        }
        before = known.get(STATE)
        frames, state = self._call(json.loads(before.digest) if before else None)
        if frames:
            rows = pl.concat(frames, how="diagonal_relaxed")
            batch = self._batches.store(rows, f"batch {len(known):08}")
            known[batch.path] = batch
        # A state is small, and is its own digest.
        if before is None or before.digest != state:
            known[STATE] = SourceFile(path=STATE, size=0, mtime_ns=0, digest=state, rows={})
        return known

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        """Read the rows of a partition; of rows with the same key, the last one."""
        rows = self._batches.read(partition, files)
        return rows.unique(self._key, keep="last", maintain_order=True) if self._key else rows

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
