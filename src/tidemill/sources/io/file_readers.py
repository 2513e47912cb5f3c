"""Read the files of an ingest stage: Parquet, CSV, NDJSON and Arrow."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.contracts.checks.checker import checker_of
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import SourceError, did_you_mean
from tidemill.workflow.source import SUFFIXES, Files, Format

_RENAMED = re.compile(r"(.*)_duplicated_\d+", re.DOTALL)


def _scan_ndjson(path: Path, **options: Any) -> pl.LazyFrame:
    # It always interprets its path as a glob pattern.
    return pl.scan_ndjson(glob.escape(str(path)), **options)


# Paths are literal: `a[1].csv` must not match a1.csv.
READERS: Mapping[Format, Callable[..., pl.LazyFrame]] = {
    "parquet": partial(pl.scan_parquet, glob=False),
    "csv": partial(pl.scan_csv, glob=False),
    "ndjson": _scan_ndjson,
    "arrow": partial(pl.scan_ipc, glob=False),
}


def format_of(source: Files[Any], path: str) -> Format:
    """Return the format of a file; SourceError if neither `format=` nor its suffix determines it."""
    form = source.format or SUFFIXES.get(Path(path).suffix.lower())
    if form is None:
        raise SourceError(
            f"{path}: unknown suffix; set format= to one of {', '.join(sorted(READERS))}"
        )
    return form


def read_file(source: Files[Any], contract: ContractSpec, root: Path, path: str) -> pl.LazyFrame:
    """Scan one file, check that it has the contract's columns, and fill missing optional columns.

    Raises SourceError that names the file.
    """
    form = format_of(source, path)
    try:
        frame = READERS[form](root / path, **source.options)
        schema = frame.collect_schema()
    except (PolarsError, PanicException, OSError, TypeError) as error:
        raise SourceError(f"{path} can't be read as {form}: {error}") from error
    columns = schema.names()
    _refuse_duplicates(path, columns, contract)
    missing = [name for name in contract.required_columns if name not in columns]
    if missing:
        advice = did_you_mean(missing[0], columns)
        raise SourceError(
            f"{path} has no column {missing[0]!r} of contract {contract.name} ({advice})"
        )
    if moments := _time_zone_conversions(schema, contract):
        frame = frame.with_columns(moments)
    if len(contract.required_columns) < len(contract.names):
        # Here, because after concatenation a missing column can't be told from nulls.
        return checker_of(contract).fill_defaults(frame, columns)
    return frame


def _refuse_duplicates(path: str, columns: Sequence[str], contract: ContractSpec) -> None:
    """Raise SourceError for duplicate column names, which Polars renames silently."""
    for name in columns:
        given = _RENAMED.fullmatch(name)
        if given and given[1] in columns and name not in contract.names:
            raise SourceError(
                f"{path} has more than one column {given[1]!r}; make column names unique"
            )


def _time_zone_conversions(
    schema: Mapping[str, pl.DataType], contract: ContractSpec
) -> list[pl.Expr]:
    """Return conversions of Datetime columns to the contract's time zones, to combine files of several."""
    return [
        pl.col(column.name).dt.convert_time_zone(str(zone))
        for column in contract.columns
        if column.dtype.name == "Datetime" and (zone := column.dtype.args[1])
        if isinstance(given := schema.get(column.name), pl.Datetime)
        if given.time_zone not in (None, zone)
    ]
