"""Extract and normalize what a dlt resource returns after a state, without a destination.

dlt runs in a folder that is removed afterwards, into which its state and schema of the last load are
written first. What it would load comes as Parquet files, with nested values as JSON unless the resource
says otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import polars as pl

from tidemill.core.errors import SourceError, did_you_mean
from tidemill.ports.sources import DltLoad
from tidemill.workflow.loaders import Dlt

_PIPELINE = "tidemill"
_STATE, _SCHEMAS = "state.json", "schemas"
# What dlt's state has of this machine, and of the moment.
_LOCAL = ("_local", "_version_hash", "_state_version")
# Strategies of merging with the result that rows of a key replace those before.
_MERGES = ("delete-insert", "upsert")
# Columns and tables that dlt adds: random ids, and the time of the load.
_OWN = "_dlt_"
# dlt has one active pipeline in a process.
_lock = Lock()


def load_resource(source: Dlt[Any], state: str | None, root: Path, *, nested: bool) -> DltLoad:
    """Load what a resource returns after a state; without `nested` tables in it there may be none.

    Raises SourceError if the resource fails, or returns what has no place in one table.
    """
    dlt = _import_dlt(root)
    with _lock, TemporaryDirectory(prefix="tidemill-dlt-") as folder:
        with _errors_of("the dlt resource can't be loaded"):
            selected, name = _select(dlt, source)
        # dlt keeps a state for each resource of a source.
        is_source = isinstance(selected, dlt.sources.DltSource)
        label = f"{selected.name}.{name}" if is_source else name
        home = Path(folder) / _PIPELINE
        _write_state(home, state, label)
        frames: dict[str, list[pl.DataFrame]] = {}

        def receive(path: str, table: Mapping[str, Any]) -> None:
            frames.setdefault(table["name"], []).append(pl.read_parquet(path))

        with _errors_of(f"the dlt resource {name!r} can't be loaded"):
            known = _run(dlt, selected, receive, folder)
        read = _only_table(known, frames, name, nested=nested)
        return _load(known.get(read, {}), label, frames.get(read, []), home)


def _import_dlt(root: Path) -> Any:
    """Import dlt: quiet, without telemetry, and with the configuration in the project's folder."""
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
    os.environ.setdefault("DLT_PROJECT_DIR", str(root))
    try:
        # An optional dependency: only projects with such a source need it.
        import_module("pyarrow")
        return import_module("dlt")
    except ImportError as error:
        message = f"the resource needs dlt with pyarrow ({error}): pip install 'tidemill[dlt]'"
        raise SourceError(message) from error


@contextmanager
def _errors_of(what: str) -> Iterator[None]:
    """Raise SourceError for whatever dlt or the resource raises, with the cause of dlt's error."""
    try:
        yield
    except SourceError:
        raise
    # The resource is code of the user, which may raise anything.
    except (Exception, SystemExit) as error:
        # The error of a step says at length which step it was.
        cause = getattr(error, "exception", None) or error
        text = " ".join(str(cause).split())
        raise SourceError(f"{what}: {type(cause).__name__}: {text}") from error


def _select(dlt: Any, source: Dlt[Any]) -> tuple[Any, str]:
    """What to extract, and the name of its resource."""
    resource, source_type = dlt.sources.DltResource, dlt.sources.DltSource
    found = source.resource
    if not isinstance(found, (resource, source_type)):
        found = found()
    if isinstance(found, resource):
        names = [found.name]
    elif isinstance(found, source_type):
        names = [*found.selected_resources]
    else:
        kind = type(found).__name__
        raise SourceError(f"the function returned no resource of dlt, but a value of type {kind}")
    name = source.name or (names[0] if len(names) == 1 else "")
    if not name:
        raise SourceError(f"the dlt source has several resources: name one of {', '.join(names)}")
    if name not in names:
        raise SourceError(f"the dlt source has no resource {name!r} ({did_you_mean(name, names)})")
    return found.with_resources(name) if isinstance(found, source_type) else found, name


def _write_state(home: Path, state: str | None, resource: str) -> None:
    """Write what dlt left in its last load; nothing after one of another resource, whose rows don't stay."""
    found: Mapping[str, Any] = json.loads(state or "{}")
    if found.get("resource") != resource:
        return
    (home / _SCHEMAS).mkdir(parents=True)
    for name, content in found["files"].items():
        (home / name).write_text(json.dumps(content), encoding="utf-8")


def _read_state(home: Path, resource: str) -> str:
    """The state and the schemas as dlt wrote them, without what differs by machine and moment."""
    state = json.loads((home / _STATE).read_text(encoding="utf-8"))
    files = {_STATE: {name: value for name, value in state.items() if name not in _LOCAL}}
    files[_STATE] |= {"_local": {"first_run": False}, "_state_version": 0}
    for path in sorted((home / _SCHEMAS).glob("*.json")):
        files[f"{_SCHEMAS}/{path.name}"] = json.loads(path.read_text(encoding="utf-8"))
    # The order of columns is part of what dlt takes for a schema.
    return json.dumps({"resource": resource, "files": files}, separators=(",", ":"))


def _run(dlt: Any, selected: Any, receive: Any, folder: str) -> Mapping[str, Any]:
    """Run dlt's pipeline; `receive` takes the file and the schema of each table. Returns all schemas."""
    destination = dlt.destination(
        receive,
        batch_size=0,
        loader_file_format="parquet",
        name=_PIPELINE,
        naming_convention="snake_case",
        loader_parallelism_strategy="sequential",
    )
    pipeline = dlt.pipeline(
        _PIPELINE, pipelines_dir=folder, destination=destination, dataset_name=_PIPELINE
    )
    try:
        pipeline.run(selected)
        return {
            name: table
            for schema in pipeline.schemas.values()
            for name, table in schema.tables.items()
        }
    finally:
        pipeline.deactivate()


def _only_table(
    known: Mapping[str, Any], received: Collection[str], name: str, *, nested: bool
) -> str:
    """The one table of a resource, with rows of this load or not; SourceError if a stage can't read all."""
    inner = sorted(table for table in received if known[table].get("parent"))
    outer = sorted(
        table
        for table, about in known.items()
        if about.get("resource") == name and about.get("x-normalizer", {}).get("seen-data")
    )
    if len(outer) > 1:
        raise SourceError(
            f"the dlt resource {name!r} returns rows of several tables ({', '.join(outer)}), now or in loads "
            "before; a stage reads one: make a resource of each"
        )
    if inner and not nested:
        raise SourceError(
            f"the rows of {outer[0] if outer else name} have lists, which dlt moves to the table "
            f"{inner[0]}: leave out max_table_nesting to read them as JSON, or declare "
            'unknown_columns="drop" in the contract to do without'
        )
    return outer[0] if outer else name


def _load(
    table: Mapping[str, Any], name: str, frames: Sequence[pl.DataFrame], home: Path
) -> DltLoad:
    columns: Mapping[str, Mapping[str, Any]] = table.get("columns", {})
    hinted = {
        hint: tuple(column for column, about in columns.items() if about.get(hint))
        for hint in ("primary_key", "merge_key", "hard_delete", "dedup_sort", "variant")
    }
    disposition = table.get("write_disposition", "append")
    if disposition == "merge" and table.get("x-merge-strategy", _MERGES[0]) not in _MERGES:
        raise SourceError(
            f"the dlt resource {name!r} merges by {table['x-merge-strategy']}, which isn't supported; "
            f"use {' or '.join(_MERGES)}"
        )
    rows = pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
    _refuse_variants(rows, name, hinted["variant"])
    rows = _sorted_for_merge(rows, columns, hinted, name, files=len(frames))
    # A merge needs the flag of deleted rows, and leaves none of them.
    flags = hinted["hard_delete"] if disposition == "merge" else ()
    kept = [c for c in rows.columns if c not in flags and not c.startswith(_OWN)]
    return DltLoad(
        resource=name,
        rows=rows.select(kept),
        state=_read_state(home, name),
        disposition=disposition,
        primary_key=hinted["primary_key"],
        merge_key=hinted["merge_key"],
        deleted=_deleted(rows, hinted["hard_delete"]),
    )


def _refuse_variants(rows: pl.DataFrame, name: str, variants: Sequence[str]) -> None:
    """Raise SourceError for values of another type than their column's, which dlt moves to a new column."""
    for column in variants:
        if column in rows.columns and rows[column].null_count() < rows.height:
            own, _, kind = column.rpartition("__v_")
            value = rows[column].drop_nulls()[0]
            raise SourceError(
                f"{name}.{own} has values of another type than before: {value!r:.80} ({kind}); "
                f'declare the type of the column, columns={{"{own}": {{"data_type": ...}}}}, or convert '
                "them in the resource"
            )


def _sorted_for_merge(
    rows: pl.DataFrame,
    columns: Mapping[str, Mapping[str, Any]],
    hinted: Mapping[str, tuple[str, ...]],
    name: str,
    *,
    files: int,
) -> pl.DataFrame:
    """The rows with those last that count; SourceError if nothing says which of equal keys does."""
    for column in hinted["dedup_sort"]:
        if column in rows.columns:
            ascending = columns[column]["dedup_sort"] == "asc"
            return rows.sort(column, descending=ascending, nulls_last=False, maintain_order=True)
    key = hinted["primary_key"]
    if files > 1 and key and rows.select(key).is_duplicated().any():
        raise SourceError(
            f"{name} has several rows of one primary key in a load of several files, whose order isn't "
            'known; declare which row counts, columns={"...": {"dedup_sort": "desc"}}'
        )
    return rows


def _deleted(rows: pl.DataFrame, flags: Sequence[str]) -> pl.Series | None:
    """The rows that are deleted: those with true, or a value, in the column that says so."""
    for column in flags:
        if column in rows.columns:
            flag = rows[column]
            return flag if flag.dtype == pl.Boolean else flag.is_not_null()
    return None
