"""List the files of a Delta table at a version, and read their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
from polars.exceptions import PolarsError

from tidemill.core.errors import SourceError
from tidemill.ports.sources import Lake, LakeFile

# Reader features that don't affect which rows are read.
_IGNORABLE_FEATURES = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})


def open_delta(folder: Path, version: int | None) -> Lake:
    """Open the table in a folder at a version, or the newest; SourceError if it can't be read correctly."""
    try:
        # An optional dependency: only projects with such a source need it.
        deltalake: Any = import_module("deltalake")
    except ImportError as error:
        raise SourceError(
            f"{folder} needs deltalake ({error}): pip install 'tidemill[delta]'"
        ) from error
    try:
        table = deltalake.DeltaTable(str(folder), version=version)
        _reject_unknown_features(folder, table)
        columns = {field.name: str(field.type) for field in table.schema().fields}
        files = _list_files(folder, table.get_add_actions(flatten=True), [*columns])
        return Lake(
            version=f"version {table.version()}",
            columns=columns,
            files=tuple(sorted(files, key=lambda file: file.name)),
        )
    # deltalake's errors have no common base class, and neither do Rust panics.
    except (OSError, ValueError, deltalake.exceptions.DeltaError) as error:
        raise SourceError(f"{folder} can't be read as a Delta table: {error}") from error


def _reject_unknown_features(folder: Path, table: Any) -> None:
    protocol, properties = table.protocol(), table.metadata().configuration
    features = set(protocol.reader_features or ()) - _IGNORABLE_FEATURES
    if properties.get("delta.columnMapping.mode", "none") != "none":
        features.add("columnMapping")
    if features:
        raise SourceError(
            f"{folder} is a Delta table with {', '.join(sorted(features))}, which isn't supported; "
            "write it without, or read it with tm.pull"
        )


def _list_files(folder: Path, actions: Any, columns: Sequence[str]) -> Iterator[LakeFile]:
    names = actions.column_names
    listed = {name: actions[name].to_pylist() for name in names}
    for index, path in enumerate(listed["path"]):
        if "://" in path:
            raise SourceError(f"{folder} has files outside the folder ({path}): not supported")
        values = {
            name.removeprefix("partition."): listed[name][index]
            for name in names
            if name.startswith("partition.")
        }
        yield LakeFile(
            name=path,
            size=listed["size_bytes"][index] or 0,
            # Files are immutable and their names are unique, so the name identifies the content.
            digest="",
            read=partial(_read_rows, folder / unquote(path), values, columns),
            path=str(folder / unquote(path)),
        )


def _read_rows(
    path: Path, values: Mapping[str, Any], columns: Sequence[str], wanted: Sequence[str]
) -> pl.DataFrame:
    """Read a file's rows, with partition columns and columns that were added to the table later."""
    try:
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        stored = scan.collect_schema().names()
        scan = scan.drop([name for name in values if name in stored])
        scan = scan.with_columns(pl.lit(value).alias(name) for name, value in values.items())
        absent = [name for name in columns if name not in stored and name not in values]
        scan = scan.with_columns(pl.lit(None).alias(name) for name in absent)
        return scan.select(wanted).collect()
    except (PolarsError, OSError) as error:
        raise SourceError(f"{path} can't be read: {error}") from error
