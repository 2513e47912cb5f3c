"""Which files a Delta table has at a version; they are read by who asked."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tidemill.domain.errors import SourceError
from tidemill.ports import Lake, LakeFile

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
        return Lake(
            version=table.version(),
            columns=tuple(field.name for field in table.schema().fields),
            files=tuple(_files(folder, table.get_add_actions(flatten=True))),
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


def _files(folder: Path, actions: Any) -> list[LakeFile]:
    names = actions.column_names
    columns = {name: actions[name].to_pylist() for name in names}
    found: list[LakeFile] = []
    for index, path in enumerate(columns["path"]):
        if "://" in path:
            raise SourceError(f"{folder} has files elsewhere ({path}), which aren't read")
        values = {
            name.removeprefix("partition."): columns[name][index]
            for name in names
            if name.startswith("partition.")
        }
        size = columns["size_bytes"][index]
        found.append(
            LakeFile(name=path, path=folder / unquote(path), size=size or 0, values=values)
        )
    return sorted(found, key=lambda file: file.name)
