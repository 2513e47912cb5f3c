"""Deliver to a Delta table: the partitions of a run are replaced in one commit.

The commit has an application transaction per partition, whose version is the time at which the delivery was
queued. Delta accepts the same one twice, so it is read first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from tidemill.adapters.sinks.duckdb import missing_library
from tidemill.adapters.sinks.lake_rows import LakeRows, delta_frame, read_lake_rows, schema_change
from tidemill.adapters.sinks.table_transaction import (
    read_object,
    refuse_overtaken,
    row_difference,
)
from tidemill.adapters.sinks.value_limits import Limits
from tidemill.core.errors import StorageError
from tidemill.core.extras import install_command
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult
from tidemill.workflow.sink import PARTITION_COLUMN

# Versions of application transactions are integers.
_PER_SECOND = 1_000_000
_LONGEST_NAME = 255
_NULL = "__HIVE_DEFAULT_PARTITION__"


class DeltaTables:
    """Delivers to Delta tables in folders."""

    batch = 0

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        folder, library = root / effects[0].target, _library(effects[0].target)
        with _translated_errors(library, folder, "written"):
            table = _table(library, folder)
            due = [effect for effect in effects if not _is_done(table, effect)]
            if due:
                _commit(library, folder, table, due, artifacts)
        yield from ((effect, {"table": str(folder)}) for effect in effects)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        if missing := missing_library("delta", "deltalake"):
            return missing
        folder = root / effect.target
        there = next(path for path in (folder, *folder.parents) if path.exists())
        return "" if there.is_dir() else f"{there} is not a folder; choose another path"

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        folder, library = root / effect.target, _library(effect.target)
        expected = read_object(effect, artifacts)
        with _translated_errors(library, folder, "read"):
            if _table(library, folder) is None:
                return "" if expected is None else f"the Delta table {folder} is gone"
            found = pl.scan_delta(str(folder)).filter(pl.col(PARTITION_COLUMN) == effect.partition)
            names = [] if expected is None else delta_frame(expected).columns
            if missing := [name for name in names if name not in found.collect_schema()]:
                return f"the Delta table {folder} has no column {missing[0]!r} any more"
            rows = found.select(names or [PARTITION_COLUMN]).collect().rows()
        wanted = [] if expected is None else delta_frame(expected).rows()
        return row_difference(f"the Delta table {folder}", wanted, rows)


def _library(target: str) -> Any:
    try:
        # An optional dependency: only projects with such a sink need it.
        library: Any = import_module("deltalake")
        import_module("deltalake.exceptions")
    except ImportError as error:
        message = f"{target} needs deltalake: {install_command('deltalake')}"
        raise StorageError(message) from error
    return library


@contextmanager
def _translated_errors(library: Any, folder: Path, action: str) -> Iterator[None]:
    # Polars panics at a Parquet file that was cut off.
    broken = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
    known = (library.exceptions.DeltaError, *broken, OSError, ValueError)
    try:
        yield
    except known as error:
        message = str(error).partition("\n")[0]
        raise StorageError(f"the Delta table {folder} can't be {action}: {message}") from error


def _table(library: Any, folder: Path) -> Any:
    """The newest version of a table; None if there is none yet."""
    if not library.DeltaTable.is_deltatable(str(folder)):
        return None
    return library.DeltaTable(str(folder))


def _app_id(effect: Effect) -> str:
    return f"tidemill/{effect.stage}/{effect.partition}"


def _version(effect: Effect) -> int:
    return int(effect.at * _PER_SECOND)


def _is_done(table: Any, effect: Effect) -> bool:
    found = None if table is None else table.transaction_version(_app_id(effect))
    if found is None:
        return False
    refuse_overtaken(effect, found / _PER_SECOND if found > _version(effect) else 0.0)
    return bool(found == _version(effect)) and effect.at > 0


def _commit(
    library: Any, folder: Path, table: Any, effects: Sequence[Effect], artifacts: Artifacts
) -> None:
    """Replace partitions in one commit, so that readers see all of them or none."""
    for effect in effects:
        _require_folder(effect)
    # A first delivery may be of years: of many partitions, one is in memory at a time.
    rows = read_lake_rows(effects, artifacts, delta_frame, where=str(folder), limits=Limits())
    properties = library.CommitProperties(
        app_transactions=[
            library.Transaction(app_id=_app_id(each), version=_version(each)) for each in effects
        ]
    )
    partitions = ", ".join(_text(effect.partition) for effect in effects)
    predicate = f"{PARTITION_COLUMN} IN ({partitions})"
    if rows is None:
        if table is not None:
            table.delete(predicate, commit_properties=properties)
        return
    if table is not None:
        rows = _fitting(folder, table, rows)
    # A dependency of deltalake, which doesn't need PyArrow.
    arrow: Any = import_module("arro3.core")
    library.write_deltalake(
        str(folder) if table is None else table,
        rows.reader(arrow, arrow.Table.from_arrow),
        # A table that another process made meanwhile isn't replaced.
        mode="error" if table is None else "overwrite",
        predicate=None if table is None else predicate,
        partition_by=[PARTITION_COLUMN] if table is None else None,
        schema_mode=None if table is None else "merge",
        commit_properties=properties,
    )


def _require_folder(effect: Effect) -> None:
    """Refuse a partition whose folder would have a name that is too long, or one that means null."""
    if effect.partition == _NULL:
        raise StorageError(
            f"{effect.stage} {_NULL} can't be delivered to a Delta table, for which the name means null; "
            "deliver to another kind of sink"
        )
    size = len(f"{PARTITION_COLUMN}={quote(effect.partition, safe='')}")
    if size > _LONGEST_NAME and effect.action == "write":
        raise StorageError(
            f"{effect.stage} {effect.partition[:50]}... can't be delivered to a Delta table: its folder "
            f"would have a name of {size} bytes, {_LONGEST_NAME} are possible; deliver to another kind of "
            "sink, or shorten the values by which its contract is partitioned"
        )


def _fitting(folder: Path, table: Any, rows: LakeRows) -> LakeRows:
    """The rows in the types of the table; StorageError if it can't take them."""
    found = pl.scan_delta(table).collect_schema()
    if PARTITION_COLUMN not in found:
        raise StorageError(
            f"the Delta table {folder} has no column {PARTITION_COLUMN}, so it wasn't made by a "
            "delivery; name another folder"
        )
    if change := schema_change(found, rows.schema, may_widen=False):
        raise StorageError(f"the Delta table {folder} {change}")
    return rows.widened(found)


def _text(value: str) -> str:
    """A value as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"
