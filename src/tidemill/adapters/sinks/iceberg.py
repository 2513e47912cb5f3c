"""Deliver to an Iceberg table: the partitions of a run are replaced in one commit.

Properties of the table say which delivery each partition is of. They change in the same commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import polars as pl

from tidemill.adapters.databases.urls import driver_message, resolve_url
from tidemill.adapters.sinks.duckdb import missing_library
from tidemill.adapters.sinks.lake_rows import LakeRows, iceberg_frame, read_lake_rows, schema_change
from tidemill.adapters.sinks.table_transaction import (
    read_object,
    refuse_overtaken,
    row_difference,
)
from tidemill.adapters.sinks.value_limits import Limits
from tidemill.core.errors import SourceError, StorageError
from tidemill.core.extras import install_command
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult
from tidemill.workflow.sink import PARTITION_COLUMN

# PyIceberg's own default for the name of a catalog.
_DEFAULT_CATALOG = "default"
_PROPERTY = "tidemill.delivery."
# PyIceberg writes a null list of structs as an empty list.
_LIMITS = Limits(null_struct_lists=False)


class IcebergTables:
    """Delivers to tables of Iceberg catalogs, which have their namespaces."""

    batch = 0

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        with _open_catalog(effects[0], root, "written") as catalog:
            _replace_partitions(catalog, effects, artifacts)
        yield from ((effect, {"table": effect.table}) for effect in effects)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        if missing := missing_library("iceberg", "pyiceberg", "pyarrow"):
            return missing
        try:
            uri = resolve_url(effect.target)
        except SourceError as error:
            return str(error)
        path = root / uri.removeprefix("sqlite:///")
        if uri.startswith("sqlite:///") and not path.is_file():
            return f"there is no catalog {path}; create it, with a namespace"
        return ""

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        expected, where = read_object(effect, artifacts), f"the Iceberg table {effect.table}"
        with _open_catalog(effect, root, "read") as catalog:
            if not catalog.table_exists(effect.table):
                return "" if expected is None else f"{where} is gone"
            chosen = _equal(effect.partition)
            found = pl.DataFrame(
                catalog.load_table(effect.table).scan(row_filter=chosen).to_arrow()
            )
        wanted = None if expected is None else iceberg_frame(expected)
        names = [PARTITION_COLUMN] if wanted is None else wanted.columns
        if missing := [name for name in names if name not in found.columns]:
            return f"{where} has no column {missing[0]!r} any more"
        rows = found.select(names).rows()
        return row_difference(where, [] if wanted is None else wanted.rows(), rows)


@contextmanager
def _open_catalog(effect: Effect, root: Path, action: str) -> Iterator[Any]:
    try:
        # An optional dependency: only projects with such a sink need it.
        load: Any = import_module("pyiceberg.catalog").load_catalog
        import_module("pyiceberg.io.pyarrow")
    except ImportError as error:
        message = f"{effect.table} needs pyiceberg: {install_command('pyiceberg')}"
        raise StorageError(message) from error
    uri = ""
    try:
        uri = resolve_url(effect.target)
        properties = {"uri": uri} if uri else {}
        if uri.startswith("sqlite:///"):
            # Three slashes start a relative path, four an absolute one.
            properties["uri"] = f"sqlite:///{root / uri.removeprefix('sqlite:///')}"
        # Its tables are made by whoever makes the catalog.
        properties["init_catalog_tables"] = "false"
        with load(effect.catalog or _DEFAULT_CATALOG, **properties) as catalog:
            yield catalog
    except StorageError:
        raise
    # Catalogs raise errors of their own libraries.
    except Exception as error:  # noqa: BLE001
        message = driver_message(error, uri).partition("\n")[0]
        raise StorageError(
            f"the Iceberg table {effect.table} can't be {action}: {message}"
        ) from None


def _equal(partition: str) -> Any:
    return import_module("pyiceberg.expressions").EqualTo(PARTITION_COLUMN, partition)


def _replace_partitions(catalog: Any, effects: Sequence[Effect], artifacts: Artifacts) -> None:
    name = effects[0].table
    table = catalog.load_table(name) if catalog.table_exists(name) else None
    due = [effect for effect in effects if table is None or not _is_done(table, effect)]
    # A first delivery may be of years: of many partitions, one is in memory at a time.
    rows = read_lake_rows(due, artifacts, iceberg_frame, where=name, limits=_LIMITS)
    if not due or (table is None and rows is None):
        return
    if table is None:
        assert rows is not None
        table = _create_table(catalog, name, rows)
    elif rows is not None:
        rows = _fitting(name, table, rows)
    expressions: Any = import_module("pyiceberg.expressions")
    chosen = expressions.In(PARTITION_COLUMN, [effect.partition for effect in due])
    with table.transaction() as change:
        if rows is not None and not _columns(table).items() >= rows.schema.items():
            with change.update_schema() as evolution:
                evolution.union_by_name(_arrow(rows.empty()).schema)
        if table.current_snapshot() is not None:
            with catch_warnings():
                # It warns of partitions that the table doesn't have yet.
                simplefilter("ignore", UserWarning)
                change.delete(chosen)
        if rows is not None and rows.count:
            change.append(_stream(table, rows))
        change.set_properties({_property(effect): _mark(effect) for effect in due})


def _stream(table: Any, rows: LakeRows) -> Any:
    """The rows as a stream, which PyIceberg can't divide among the partitions of a table."""
    stream = rows.reader(import_module("pyarrow"), _arrow)
    return stream if table.spec().is_unpartitioned() else stream.read_all()


def _arrow(rows: pl.DataFrame) -> Any:
    """The rows as Arrow; Iceberg has times of microseconds only."""
    table: Any = rows.to_arrow()
    arrow: Any = import_module("pyarrow")
    kinds = [field.with_type(_in_microseconds(arrow, field.type)) for field in table.schema]
    return table.cast(arrow.schema(kinds))


def _in_microseconds(arrow: Any, kind: Any) -> Any:
    if arrow.types.is_large_list(kind):
        return arrow.large_list(_in_microseconds(arrow, kind.value_type))
    if arrow.types.is_struct(kind):
        fields = (kind.field(place) for place in range(kind.num_fields))
        return arrow.struct([f.with_type(_in_microseconds(arrow, f.type)) for f in fields])
    return arrow.time64("us") if kind == arrow.time64("ns") else kind


def _create_table(catalog: Any, name: str, rows: LakeRows) -> Any:
    """Create a table where the catalog wants it, or else beside the file of the catalog."""
    schema, uri = _arrow(rows.empty()).schema, str(catalog.properties.get("uri", ""))
    known = {"location", "warehouse"} & {
        *catalog.properties,
        *catalog.load_namespace_properties(name.rpartition(".")[0]),
    }
    if known or not uri.startswith("sqlite:///"):
        return catalog.create_table(name, schema)
    folder = Path(uri.removeprefix("sqlite:///")).parent
    return catalog.create_table(
        name, schema, location=f"file://{folder.joinpath(*name.split('.'))}"
    )


def _columns(table: Any) -> pl.Schema:
    return pl.DataFrame(table.schema().as_arrow().empty_table()).schema


def _fitting(name: str, table: Any, rows: LakeRows) -> LakeRows:
    """The rows in the types of the table where these are wider; StorageError if it can't take them."""
    found = _columns(table)
    if PARTITION_COLUMN not in found:
        raise StorageError(
            f"the Iceberg table {name} has no column {PARTITION_COLUMN}, so it wasn't made by a "
            "delivery; name another table"
        )
    if change := schema_change(found, rows.schema, may_widen=True):
        raise StorageError(f"the Iceberg table {name} {change}")
    return rows.widened(found)


def _property(effect: Effect) -> str:
    return f"{_PROPERTY}{effect.partition}"


def _mark(effect: Effect) -> str:
    return f"{effect.key} {effect.at!r}"


def _is_done(table: Any, effect: Effect) -> bool:
    key, _, at = str(table.properties.get(_property(effect), "")).rpartition(" ")
    if key == effect.key:
        return True
    if key:
        refuse_overtaken(effect, float(at), key)
    return False
