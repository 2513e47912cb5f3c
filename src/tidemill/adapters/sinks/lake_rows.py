"""Rows in the types that lake tables have: no unsigned numbers, categories or milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from tidemill.adapters.sinks.nested_types import holds, replace_types
from tidemill.adapters.sinks.table_transaction import merged_schema, read_object
from tidemill.adapters.sinks.value_limits import Limits, refuse_values
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.workflow.sink import PARTITION_COLUMN

_DELTA: Mapping[type[pl.DataType], pl.DataType] = {
    pl.UInt8: pl.Int16(),
    pl.UInt16: pl.Int32(),
    pl.UInt32: pl.Int64(),
}
# Iceberg's smallest numbers have 32 bits.
_ICEBERG: Mapping[type[pl.DataType], pl.DataType] = {
    **_DELTA,
    pl.UInt8: pl.Int32(),
    pl.Int8: pl.Int32(),
    pl.Int16: pl.Int32(),
}


def delta_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with values of types that Delta tables have; none of them is changed."""
    return replace_types(frame, lambda dtype: _lake_type(dtype, _DELTA))


def iceberg_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with values of types that Iceberg tables have; none of them is changed."""
    return replace_types(frame, lambda dtype: _lake_type(dtype, _ICEBERG))


def _lake_type(dtype: pl.DataType, wider: Mapping[type[pl.DataType], pl.DataType]) -> pl.DataType:
    if isinstance(dtype, (pl.Enum, pl.Categorical)):
        return pl.String()
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime("us", None if dtype.time_zone is None else "UTC")
    return wider.get(type(dtype), dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeRows:
    """Rows of some partitions for a lake table, which are read one partition at a time.

    `schema` has the columns of all of them, `count` is how many rows there are. `convert` returns a frame
    in the types that the table has.
    """

    effects: Sequence[Effect]
    artifacts: Artifacts
    convert: Callable[[pl.DataFrame], pl.DataFrame]
    schema: pl.Schema
    count: int

    def widened(self, found: pl.Schema) -> LakeRows:
        """The rows in the types of a table, where these are wider."""
        wider = {n: found[n] for n, t in self.schema.items() if n in found and holds(found[n], t)}
        return replace(self, schema=pl.Schema({**self.schema, **wider}))

    def empty(self) -> pl.DataFrame:
        """A frame of no rows with all columns."""
        return pl.DataFrame(schema=self.schema)

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows of each partition; columns that a partition lacks are null."""
        for effect in self.effects:
            if (read := read_object(effect, self.artifacts)) is not None:
                rows = _placed(self.convert(read), effect)
                yield rows.select(
                    pl.col(name).cast(dtype)
                    if name in rows.columns
                    else pl.lit(None, dtype).alias(name)
                    for name, dtype in self.schema.items()
                )

    def reader(self, library: Any, as_table: Callable[[pl.DataFrame], Any]) -> Any:
        """A stream of Arrow record batches of a `library`; `as_table` makes one of its tables of a frame."""
        batches = (batch for frame in self.frames() for batch in as_table(frame).to_batches())
        return library.RecordBatchReader.from_batches(as_table(self.empty()).schema, batches)


def read_lake_rows(
    effects: Sequence[Effect],
    artifacts: Artifacts,
    convert: Callable[[pl.DataFrame], pl.DataFrame],
    *,
    where: str,
    limits: Limits,
) -> LakeRows | None:
    """Check the rows of effects, one partition at a time; None if all of them remove theirs.

    StorageError for values that can't be stored, and for types that contradict each other.
    """
    schemas: list[pl.Schema] = []
    count = 0
    for effect in effects:
        if (rows := read_object(effect, artifacts)) is not None:
            refuse_values(rows, effect, where, limits)
            schemas.append(_placed(convert(rows.clear()), effect).schema)
            count += rows.height
    if not schemas:
        return None
    schema = pl.Schema(merged_schema(schemas))
    return LakeRows(
        effects=effects, artifacts=artifacts, convert=convert, schema=schema, count=count
    )


def _placed(frame: pl.DataFrame, effect: Effect) -> pl.DataFrame:
    return frame.with_columns(pl.lit(effect.partition).alias(PARTITION_COLUMN))


def schema_change(found: pl.Schema, rows: pl.Schema, *, may_widen: bool) -> str:
    """Why a table can't take rows: the first column whose type differs; empty if it can.

    `may_widen`: whether the table's columns can get wider types.
    """
    for name, dtype in rows.items():
        if name not in found or holds(found[name], dtype):
            continue
        if not (may_widen and holds(dtype, found[name])):
            return (
                f"has a column {name!r} of type {found[name]}, but it is delivered as {dtype}; "
                "change the type of one of them, or deliver to another table"
            )
    return ""
