"""Deliver partitions to a table of a database, all of a run in one transaction.

A table `tidemill_deliveries` beside it has the last delivery of each partition. It is written in the same
transaction, so that a delivery that is repeated after a crash changes nothing, and one of a run that was
overtaken by another is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Protocol

import polars as pl

from tidemill.adapters.sinks.nested_types import holds
from tidemill.adapters.sinks.value_limits import Limits, refuse_values
from tidemill.core.errors import OvertakenError, StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult
from tidemill.workflow.sink import PARTITION_COLUMN, STAGING


class TableDatabase(Protocol):
    """An open database in a transaction, as far as deliveries use it.

    `mark` is how a statement takes a value, `limits` which values can't be stored. Tables are given as
    they are written in statements.
    """

    mark: str
    limits: Limits

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        """Execute a statement, and return its rows."""

    def columns(self, table: str) -> Mapping[str, str]:
        """The types of a table's columns; empty if there is no such table."""

    def sql_type(self, dtype: pl.DataType) -> str:
        """The type in which values of a column are stored."""

    def stored(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with values as the database stores them."""

    def load(self, columns: Sequence[str], frame: pl.DataFrame) -> None:
        """Add rows to the staging table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlace:
    """A table as statements name it: its database's name for people, the table, and that of deliveries."""

    label: str
    table: str
    deliveries: str
    name: str


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def deliver_to_table(
    opened: AbstractContextManager[TableDatabase],
    place: TablePlace,
    effects: Sequence[Effect],
    artifacts: Artifacts,
) -> Iterator[tuple[Effect, EffectResult]]:
    """Carry out effects in one transaction; the first that can't be ends it, and all have failed."""
    with opened as database:
        _create_deliveries(database, place)
        due = [effect for effect in effects if not _is_done(database, place, effect)]
        if due:
            _replace_partitions(database, place, due, artifacts)
    where = f"{place.label} {place.name}"
    yield from ((effect, {"table": where}) for effect in effects)


def _create_deliveries(database: TableDatabase, place: TablePlace) -> None:
    database.execute(
        f"CREATE TABLE IF NOT EXISTS {place.deliveries} (table_name TEXT NOT NULL, "
        "partition TEXT NOT NULL, delivery_key TEXT NOT NULL, queued_at DOUBLE PRECISION NOT NULL, "
        "row_count BIGINT NOT NULL, PRIMARY KEY (table_name, partition))"
    )


def _is_done(database: TableDatabase, place: TablePlace, effect: Effect) -> bool:
    mark = database.mark
    found = database.execute(
        f"SELECT delivery_key, queued_at FROM {place.deliveries} "
        f"WHERE table_name = {mark} AND partition = {mark}",
        (place.name, effect.partition),
    )
    if not found:
        return False
    ((key, at),) = found
    if key == effect.key:
        return True
    refuse_overtaken(effect, float(at), str(key))
    return False


def refuse_overtaken(effect: Effect, at: float, key: str = "") -> None:
    """Raise OvertakenError for an effect that was queued before the one that a sink carried out last.

    That one was queued `at` a time, with this `key` if the sink keeps keys.
    """
    if effect.at and at > effect.at:
        newer = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        raise OvertakenError(
            f"{effect.stage} {effect.partition} was delivered by a newer run meanwhile ({newer}), so the "
            "older rows of this one weren't",
            key=key,
            at=at,
        )


def _replace_partitions(
    database: TableDatabase, place: TablePlace, effects: Sequence[Effect], artifacts: Artifacts
) -> None:
    counts: dict[str, int] = {}
    schemas: list[pl.Schema] = []
    # A first delivery may be of years: of many partitions, one is in memory at a time.
    for effect in effects:
        if (rows := read_object(effect, artifacts)) is not None:
            refuse_values(rows, effect, place.label, database.limits)
            counts[effect.key] = rows.height
            schemas.append(database.stored(rows.clear()).schema)
    schema = merged_schema(schemas)
    if schema:
        _create_staging(database, schema)
        for effect in effects:
            if counts.get(effect.key):
                _stage_rows(database, effect, artifacts)
        _fit_table(database, place, schema)
    mark, exists = database.mark, bool(database.columns(place.table))
    for effect in effects:
        if exists:
            database.execute(
                f"DELETE FROM {place.table} WHERE {quoted(PARTITION_COLUMN)} = {mark}",
                (effect.partition,),
            )
        database.execute(
            f"INSERT INTO {place.deliveries} (table_name, partition, delivery_key, queued_at, row_count) "
            f"VALUES ({', '.join([mark] * 5)}) ON CONFLICT (table_name, partition) DO UPDATE SET "
            "delivery_key = excluded.delivery_key, queued_at = excluded.queued_at, "
            "row_count = excluded.row_count",
            (
                place.name,
                effect.partition,
                effect.key,
                effect.at,
                counts.get(effect.key, 0),
            ),
        )
    if schema:
        columns = ", ".join(map(quoted, (*schema, PARTITION_COLUMN)))
        database.execute(f"INSERT INTO {place.table} ({columns}) SELECT {columns} FROM {STAGING}")
        database.execute(f"DROP TABLE {STAGING}")


def read_object(effect: Effect, artifacts: Artifacts) -> pl.DataFrame | None:
    """The rows that an effect writes; None if it removes its partition."""
    if effect.action == "remove":
        return None
    return pl.read_parquet(BytesIO(artifacts.get(effect.object)))


def merged_schema(schemas: Iterable[pl.Schema]) -> dict[str, pl.DataType]:
    """The columns of some partitions together, with the widest of their types.

    StorageError when types contradict each other.
    """
    schema: dict[str, pl.DataType] = {}
    for each in schemas:
        for name, dtype in each.items():
            known = schema.setdefault(name, dtype)
            if holds(dtype, known):
                schema[name] = dtype
            elif not holds(known, dtype):
                raise StorageError(
                    f"its column {name!r} is {known} in some partitions and {dtype} in others; deliver "
                    "all of them again: `tidemill run TABLE --again`"
                )
    return schema


def _create_staging(database: TableDatabase, schema: Mapping[str, pl.DataType]) -> None:
    kinds = [f"{quoted(name)} {database.sql_type(dtype)}" for name, dtype in schema.items()]
    database.execute(
        f"CREATE TEMPORARY TABLE {STAGING} ({', '.join([*kinds, f'{quoted(PARTITION_COLUMN)} TEXT'])})"
    )
    known = database.columns(STAGING)
    if cut := [name for name in schema if name not in known]:
        raise StorageError(f"the name of its column {cut[0]!r} is too long for the database")


def _stage_rows(database: TableDatabase, effect: Effect, artifacts: Artifacts) -> None:
    rows = read_object(effect, artifacts)
    assert rows is not None
    named = database.stored(rows).with_columns(pl.lit(effect.partition).alias(PARTITION_COLUMN))
    database.load(named.columns, named)


def _fit_table(
    database: TableDatabase, place: TablePlace, schema: Mapping[str, pl.DataType]
) -> None:
    """Create the table, or add and widen columns; StorageError when it can't take the rows."""
    found, wanted = database.columns(place.table), database.columns(STAGING)
    where = f"the table {place.name} of {place.label}"
    if not found:
        kinds = [f"{quoted(name)} {database.sql_type(dtype)}" for name, dtype in schema.items()]
        kinds.append(f"{quoted(PARTITION_COLUMN)} TEXT NOT NULL")
        database.execute(f"CREATE TABLE {place.table} ({', '.join(kinds)})")
        return
    if PARTITION_COLUMN not in found:
        raise StorageError(
            f"{where} has no column {PARTITION_COLUMN}, so it wasn't made by a delivery; name another "
            f"table, or add the column if its rows may be replaced"
        )
    for name, dtype in schema.items():
        if name not in found:
            database.execute(
                f"ALTER TABLE {place.table} ADD COLUMN {quoted(name)} {database.sql_type(dtype)}"
            )
        elif _holds(wanted[name], found[name]):
            if found[name] != wanted[name]:
                database.execute(
                    f"ALTER TABLE {place.table} ALTER COLUMN {quoted(name)} TYPE {wanted[name]}"
                )
        elif not _holds(found[name], wanted[name]):
            raise StorageError(
                f"{where} has a column {name!r} of type {found[name]}, but it is delivered as "
                f"{wanted[name]}; change the type of one of them, or deliver to another table"
            )


# The numbers of databases that have all values of another one.
_WIDER: Mapping[str, tuple[str, ...]] = {
    "tinyint": ("smallint", "integer", "bigint"),
    "smallint": ("integer", "bigint"),
    "integer": ("bigint",),
    "utinyint": ("usmallint", "uinteger", "ubigint", "smallint", "integer", "bigint"),
    "usmallint": ("uinteger", "ubigint", "integer", "bigint"),
    "uinteger": ("ubigint", "bigint"),
    "real": ("double precision",),
    "float": ("double",),
}
_DECIMAL = re.compile(r"(?:numeric|decimal)\((\d+), ?(\d+)\)")


def _holds(wide: str, kind: str) -> bool:
    """Whether a type of a database has all values of another one."""
    wide, kind = wide.lower(), kind.lower()
    if (one := _DECIMAL.fullmatch(wide)) and (other := _DECIMAL.fullmatch(kind)):
        (digits, scale), (narrow, part) = map(int, one.groups()), map(int, other.groups())
        return scale >= part and digits - scale >= narrow - part
    return wide == kind or wide in _WIDER.get(kind, ())


def table_fault(
    opened: AbstractContextManager[TableDatabase],
    place: TablePlace,
    effect: Effect,
    artifacts: Artifacts,
) -> str:
    """How the rows of a partition in a table differ from those that were delivered; empty if they don't."""
    expected = read_object(effect, artifacts)
    where = f"{place.label} {place.name}"
    with opened as database:
        found = database.columns(place.table)
        if not found:
            return "" if effect.action == "remove" else f"the table {where} is gone"
        names = list(expected.columns) if expected is not None else [PARTITION_COLUMN]
        if missing := [name for name in names if name not in found]:
            return f"the table {where} has no column {missing[0]!r} any more"
        rows = database.execute(
            f"SELECT {', '.join(map(quoted, names))} FROM {place.table} "
            f"WHERE {quoted(PARTITION_COLUMN)} = {database.mark}",
            (effect.partition,),
        )
        wanted = [] if expected is None else database.stored(expected).rows()
    return row_difference(where, wanted, rows)


def row_difference(
    where: str, wanted: Sequence[tuple[Any, ...]], found: Sequence[tuple[Any, ...]]
) -> str:
    """How rows differ, in any order; empty if they don't."""
    if len(wanted) != len(found):
        return f"{where} has {len(found):,} rows, {len(wanted):,} were delivered"
    left = Counter(map(_plain, wanted))
    left.subtract(map(_plain, found))
    changed = sum(count for count in left.values() if count > 0)
    return f"{changed:,} of {len(wanted):,} rows in {where} were changed" if changed else ""


def _plain(value: Any) -> Any:
    """A value that compares by content: times in UTC, lists as tuples, NaN equal to itself."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    if isinstance(value, dict):
        return tuple((name, _plain(each)) for name, each in value.items())
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value
