"""Load a dlt resource: store what each load returned as a batch, and merge it into those before.

Rows and dlt's state are recorded in the ledger together, as files that a run has seen. Before that the
load counts as not done; afterwards nothing is loaded again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.core.errors import SourceError
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.sources import DltLoad, ExternalSources
from tidemill.sources.io.stored_batches import StoredBatches
from tidemill.sources.load_merge import latest_rows, without_replaced
from tidemill.sources.scan import total_rows
from tidemill.workflow.loaders import Dlt
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Stage

STATE = "dlt state"
_TYPE_HINT = (
    "; dlt has no column that was null in all rows: declare its type, such as "
    'columns={{"{}": {{"data_type": "text"}}}}'
)


class DltTable:
    """The rows of a dlt resource; `known` are the batches recorded in the ledger, and the last state."""

    def __init__(
        self,
        source: Dlt[Any],
        stage: Stage,
        outside: ExternalSources,
        artifacts: Artifacts,
        known: Mapping[str, SourceFile],
    ) -> None:
        assert stage.output is not None
        self._source = source
        self._outside = outside
        self._contract = stage.output
        self._known = known
        self._batches = StoredBatches(source, stage, artifacts, "loaded rows")

    def list_files(self) -> dict[str, SourceFile]:
        """Load what is new, and list all batches: those before without the rows that it replaced."""
        before = self._known.get(STATE)
        state = before.digest if before else None
        # A contract that drops unknown columns does without nested tables, too.
        nested = self._contract.unknown_columns == "drop"
        load = self._outside.load(self._source, state, nested=nested)
        self._refuse_unknown(load)
        name = f"dlt {load.resource}"
        # Another resource replaces the one that was read before.
        batches = [file for path, file in self._known.items() if path.rpartition(" ")[0] == name]
        try:
            found = {file.path: file for file in self._merged(load, batches, name)}
        except PolarsError as error:
            message = f"the rows of {load.resource} don't fit those before: {error}"
            raise SourceError(message) from error
        self._refuse_loss(load, found)
        # A state is small, and is its own digest.
        after = SourceFile(path=STATE, size=0, mtime_ns=0, digest=load.state, rows={})
        return {**found, STATE: before if before and state == load.state else after}

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        return self._batches.read(partition, files)

    def _merged(self, load: DltLoad, batches: list[SourceFile], name: str) -> Iterator[SourceFile]:
        rows, number = load.rows, 0
        if load.disposition == "merge" and rows.height:
            rows = latest_rows(rows, load.primary_key, load.deleted)
        if load.disposition != "replace":
            number = 1 + max((int(file.path.rpartition(" ")[2]) for file in batches), default=-1)
            keys = (load.primary_key, load.merge_key) if load.disposition == "merge" else ()
            for file in map(self._batches.recount, batches):
                yield from self._kept(file, load, keys)
        if rows.height:
            yield self._store(rows, f"{name} {number:08}")

    def _kept(
        self, file: SourceFile, load: DltLoad, keys: tuple[tuple[str, ...], ...]
    ) -> Iterator[SourceFile]:
        """A batch without the rows that a load replaces; nothing if none is left."""
        if not load.rows.height or not any(keys):
            yield file
            return
        stored = self._batches.frame(file)
        kept = without_replaced(stored, load.rows, keys)
        if kept.height == stored.height:
            yield file
        elif kept.height:
            yield self._store(kept, file.path)

    def _store(self, rows: pl.DataFrame, path: str) -> SourceFile:
        return self._batches.store(rows, path, missing_hint=_TYPE_HINT, by_partition=True)

    def _refuse_unknown(self, load: DltLoad) -> None:
        """Raise SourceError for a new column, which stored rows would keep for good."""
        own = self._contract
        unknown = [column for column in load.rows.columns if column not in own.names]
        if unknown and own.unknown_columns == "fail":
            raise SourceError(
                f"the rows of {load.resource} have a column {unknown[0]!r}, which contract {own.name} "
                "doesn't have: declare it (optional=True, nullable=True if rows before lack it), leave it "
                'out in the resource, or declare unknown_columns="drop"'
            )

    def _refuse_loss(self, load: DltLoad, found: Mapping[str, SourceFile]) -> None:
        """Raise SourceError if a load would remove more than the share of the rows that may be gone."""
        before, now = total_rows(self._known), total_rows(found)
        if now >= before - self._source.max_missing * before:
            return
        raise SourceError(
            f"{before - now:,} of {before:,} rows are gone in {load.resource}, more than max_missing="
            f"{self._source.max_missing}; nothing was removed. Load it again, or declare max_missing=1.0"
        )
