"""Which files a Delta table has at a version, and the rows of each."""

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

# What a reader needn't know of to read rows right.
_HARMLESS = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})


def open_delta(folder: Path, version: int | None) -> Lake:
    """A table in a folder as it was at a version, or is now; SourceError when it can't be read right."""
    try:
        # An extra: only who reads such a source needs it.
        deltalake: Any = import_module("deltalake")
    except ImportError as error:
        raise SourceError(
            f"{folder} needs deltalake ({error}): pip install 'tidemill[delta]'"
        ) from error
    try:
        table = deltalake.DeltaTable(str(folder), version=version)
        _refuse_unknown(folder, table)
        columns = {field.name: str(field.type) for field in table.schema().fields}
        files = _files(folder, table.get_add_actions(flatten=True), [*columns])
        return Lake(
            version=f"version {table.version()}",
            columns=columns,
            files=tuple(sorted(files, key=lambda file: file.name)),
        )
    # Its errors have no root of their own; so has what Rust panics with.
    except (OSError, ValueError, deltalake.exceptions.DeltaError) as error:
        raise SourceError(f"{folder} can't be read as a Delta table: {error}") from error


def _refuse_unknown(folder: Path, table: Any) -> None:
    protocol, said = table.protocol(), table.metadata().configuration
    features = set(protocol.reader_features or ()) - _HARMLESS
    if said.get("delta.columnMapping.mode", "none") != "none":
        features.add("columnMapping")
    if features:
        raise SourceError(
            f"{folder} is a Delta table with {', '.join(sorted(features))}, which isn't read; write it "
            "without, or hand its rows to tm.pull"
        )


def _files(folder: Path, actions: Any, columns: Sequence[str]) -> Iterator[LakeFile]:
    names = actions.column_names
    told = {name: actions[name].to_pylist() for name in names}
    for index, path in enumerate(told["path"]):
        if "://" in path:
            raise SourceError(f"{folder} has files elsewhere ({path}), which aren't read")
        values = {
            name.removeprefix("partition."): told[name][index]
            for name in names
            if name.startswith("partition.")
        }
        yield LakeFile(
            name=path,
            size=told["size_bytes"][index] or 0,
            # A file is written once under its name, which has an id of its own.
            digest="",
            read=partial(_rows, folder / unquote(path), values, columns),
        )


def _rows(
    path: Path, values: Mapping[str, Any], columns: Sequence[str], wanted: Sequence[str]
) -> pl.DataFrame:
    """A file's rows with the columns that the table keeps elsewhere, or didn't have then."""
    try:
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        there = scan.collect_schema().names()
        scan = scan.drop([name for name in values if name in there])
        scan = scan.with_columns(pl.lit(value).alias(name) for name, value in values.items())
        absent = [name for name in columns if name not in there and name not in values]
        scan = scan.with_columns(pl.lit(None).alias(name) for name in absent)
        return scan.select(wanted).collect()
    except (PolarsError, OSError) as error:
        raise SourceError(f"{path} can't be read: {error}") from error
