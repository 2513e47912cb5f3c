"""Which files an Iceberg table has in a snapshot, and the rows of each that weren't deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from tidemill.adapters.databases.urls import resolved, without_secrets
from tidemill.core.errors import SourceError
from tidemill.core.fingerprint import fingerprint
from tidemill.ports.sources import Lake, LakeFile
from tidemill.workflow.source import Iceberg

# What PyIceberg itself takes for the name of a catalog that wasn't named.
_CATALOG = "default"


def open_iceberg(source: Iceberg[Any], root: Path) -> Lake:
    """A table as it was in a snapshot, or is now; SourceError when it can't be read right."""
    try:
        # An extra: only who reads such a source needs it.
        import_module("pyiceberg.io.pyarrow")
    except ImportError as error:
        raise SourceError(
            f"{source.table} needs pyiceberg ({error}): pip install 'tidemill[iceberg]'"
        ) from error
    uri = resolved(source.uri)
    with _explained(source.table, uri):
        table = _named(source, uri, root) if source.catalog or uri else _at(source.table, root)
        scan = table.scan(snapshot_id=_known(source, table))
        current = scan.snapshot()
        return Lake(
            version=f"snapshot {current.snapshot_id}" if current else "any snapshot",
            columns={f.name: f"{f.field_id} {f.field_type}" for f in scan.projection().fields},
            files=tuple(sorted(_files(source, table, scan), key=lambda file: file.name)),
        )


def _at(path: str, root: Path) -> Any:
    """The table whose metadata is in a file."""
    static: Any = import_module("pyiceberg.table").StaticTable
    return static.from_metadata(path if "://" in path else str(root / path))


def _named(source: Iceberg[Any], uri: str, root: Path) -> Any:
    """The table that a catalog has under that name."""
    given = {"uri": uri} if uri else {}
    if uri.startswith("sqlite:///"):
        # Three slashes begin a relative path, four an absolute one.
        path = root / uri.removeprefix("sqlite:///")
        if not path.is_file():
            raise SourceError(f"the catalog of {source.table}: there is no file {path}")
        given["uri"] = f"sqlite:///{path}"
    # Nothing is written to what is somebody else's.
    given["init_catalog_tables"] = "false"
    load: Any = import_module("pyiceberg.catalog").load_catalog
    with load(source.catalog or _CATALOG, **given) as catalog:
        return catalog.load_table(source.table)


def _known(source: Iceberg[Any], table: Any) -> int | None:
    """The snapshot that was asked for, which is there."""
    asked = source.snapshot
    if asked is not None and table.metadata.snapshot_by_id(asked) is None:
        there = ", ".join(str(snapshot.snapshot_id) for snapshot in table.snapshots()[-5:])
        raise SourceError(
            f"{source.table} has no snapshot {asked}, or no longer: the last are {there or 'none'}"
        )
    return asked


def _files(source: Iceberg[Any], table: Any, scan: Any) -> Iterator[LakeFile]:
    # Of files that were written by others, it says which column is which.
    mapping = str(table.name_mapping())
    start = f"{table.location().rstrip('/')}/"
    for task in scan.plan_files():
        deletes = sorted(file.file_path for file in task.delete_files)
        yield LakeFile(
            name=task.file.file_path.removeprefix(start),
            size=task.file.file_size_in_bytes,
            # Rows that were deleted are named by files of their own, which never change either.
            digest=fingerprint("iceberg", mapping, deletes),
            read=partial(_rows, source.table, table, scan.projection(), task),
        )


def _rows(name: str, table: Any, schema: Any, task: Any, wanted: Sequence[str]) -> pl.DataFrame:
    """Some columns of a file's rows, as the table's schema has them now."""
    with _explained(f"{task.file.file_path} of {name}", ""):
        arrow: Any = import_module("pyiceberg.io.pyarrow")
        fields = [field for field in schema.fields if field.name in wanted]
        everything = import_module("pyiceberg.expressions").AlwaysTrue()
        chosen = type(schema)(*fields)
        found = arrow.ArrowScan(table.metadata, table.io, chosen, everything).to_table([task])
        frame = pl.from_arrow(found)
        assert isinstance(frame, pl.DataFrame)
        return frame.select(wanted)


@contextmanager
def _explained(what: str, uri: str) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    # PyIceberg's errors have no root, and those of Arrow, SQLAlchemy and HTTP come through.
    except Exception as error:
        said = str(error) or type(error).__name__
        said = without_secrets(said, uri) if uri else said
        raise SourceError(f"{what} can't be read as an Iceberg table: {said}") from error
