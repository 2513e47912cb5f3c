"""List the files of an Iceberg table in a snapshot, and read their rows without deleted ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from tidemill.adapters.databases.urls import driver_message, resolve_url
from tidemill.core.errors import SourceError
from tidemill.core.fingerprint import fingerprint
from tidemill.ports.sources import Lake, LakeFile
from tidemill.workflow.source import Iceberg

# PyIceberg's own default for the name of a catalog.
_DEFAULT_CATALOG = "default"


def open_iceberg(source: Iceberg[Any], root: Path) -> Lake:
    """Open a table at a snapshot, or the newest; SourceError if it can't be read correctly."""
    try:
        # An optional dependency: only projects with such a source need it.
        import_module("pyiceberg.io.pyarrow")
    except ImportError as error:
        raise SourceError(
            f"{source.table} needs pyiceberg ({error}): pip install 'tidemill[iceberg]'"
        ) from error
    uri = resolve_url(source.uri)
    with _translate_errors(source.table, uri):
        table = (
            _load_from_catalog(source, uri, root)
            if source.catalog or uri
            else _load_from_metadata(source.table, root)
        )
        scan = table.scan(snapshot_id=_snapshot_id(source, table))
        current = scan.snapshot()
        return Lake(
            version=f"snapshot {current.snapshot_id}" if current else "any snapshot",
            columns={f.name: f"{f.field_id} {f.field_type}" for f in scan.projection().fields},
            files=tuple(sorted(_list_files(source, table, scan), key=lambda file: file.name)),
        )


def _load_from_metadata(path: str, root: Path) -> Any:
    """Load the table from a metadata file."""
    static: Any = import_module("pyiceberg.table").StaticTable
    return static.from_metadata(path if "://" in path else str(root / path))


def _load_from_catalog(source: Iceberg[Any], uri: str, root: Path) -> Any:
    """Load the table of that name from a catalog."""
    properties = {"uri": uri} if uri else {}
    if uri.startswith("sqlite:///"):
        # Three slashes start a relative path, four an absolute one.
        path = root / uri.removeprefix("sqlite:///")
        if not path.is_file():
            raise SourceError(f"the catalog of {source.table}: there is no file {path}")
        properties["uri"] = f"sqlite:///{path}"
    # The catalog isn't ours: never write to it.
    properties["init_catalog_tables"] = "false"
    load: Any = import_module("pyiceberg.catalog").load_catalog
    with load(source.catalog or _DEFAULT_CATALOG, **properties) as catalog:
        return catalog.load_table(source.table)


def _snapshot_id(source: Iceberg[Any], table: Any) -> int | None:
    """The requested snapshot, or None for the newest; SourceError if it doesn't exist."""
    wanted = source.snapshot
    if wanted is not None and table.metadata.snapshot_by_id(wanted) is None:
        newest = ", ".join(str(snapshot.snapshot_id) for snapshot in table.snapshots()[-5:])
        raise SourceError(
            f"{source.table} has no snapshot {wanted}; it may have expired. The newest are: "
            f"{newest or 'none'}"
        )
    return wanted


def _list_files(source: Iceberg[Any], table: Any, scan: Any) -> Iterator[LakeFile]:
    # Maps columns to field ids in files that other programs wrote.
    mapping = str(table.name_mapping())
    start = f"{table.location().rstrip('/')}/"
    for task in scan.plan_files():
        deletes = sorted(file.file_path for file in task.delete_files)
        yield LakeFile(
            name=task.file.file_path.removeprefix(start),
            size=task.file.file_size_in_bytes,
            # Deleted rows are listed in separate files, which are immutable as well.
            digest=fingerprint("iceberg", mapping, deletes),
            read=partial(_read_rows, source.table, table, scan.projection(), task),
            path=_local_path(task.file.file_path),
            parser="pyarrow",
        )


def _local_path(location: str) -> str:
    """The path of a file on this machine; empty for one elsewhere."""
    path = location.removeprefix("file://")
    return "" if "://" in path else path


def _read_rows(
    name: str, table: Any, schema: Any, task: Any, wanted: Sequence[str]
) -> pl.DataFrame:
    """Read the columns `wanted` of a file's rows, in the table's current schema."""
    with _translate_errors(f"{task.file.file_path} of {name}", ""):
        arrow: Any = import_module("pyiceberg.io.pyarrow")
        fields = [field for field in schema.fields if field.name in wanted]
        everything = import_module("pyiceberg.expressions").AlwaysTrue()
        chosen = type(schema)(*fields)
        found = arrow.ArrowScan(table.metadata, table.io, chosen, everything).to_table([task])
        frame = pl.from_arrow(found)
        assert isinstance(frame, pl.DataFrame)
        return frame.select(wanted)


@contextmanager
def _translate_errors(what: str, uri: str) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    # PyIceberg's errors have no common base class, and Arrow, SQLAlchemy and HTTP raise their own.
    except Exception as error:  # noqa: BLE001
        # Without their tracebacks, whose messages may hold a password.
        message = driver_message(error, uri)
        raise SourceError(f"{what} can't be read as an Iceberg table: {message}") from None
