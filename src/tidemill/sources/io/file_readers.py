"""Read the files of an ingest stage."""

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
    # It always takes its path for a pattern.
    return pl.scan_ndjson(glob.escape(str(path)), **options)


# A file is called what it is called: `a[1].csv` is no pattern that means a1.csv.
READERS: Mapping[Format, Callable[..., pl.LazyFrame]] = {
    "parquet": partial(pl.scan_parquet, glob=False),
    "csv": partial(pl.scan_csv, glob=False),
    "ndjson": _scan_ndjson,
    "arrow": partial(pl.scan_ipc, glob=False),
}


def format_of(source: Files[Any], path: str) -> Format:
    """What a file of a source is written in; SourceError when nothing tells."""
    form = source.format or SUFFIXES.get(Path(path).suffix.lower())
    if form is None:
        raise SourceError(
            f"{path}: the suffix tells no format; say format= one of {', '.join(sorted(READERS))}"
        )
    return form


def read_file(source: Files[Any], contract: ContractSpec, root: Path, path: str) -> pl.LazyFrame:
    """The rows of one file, checked to have the contract's columns; SourceError names the file.

    Optional columns that the file lacks are filled.
    """
    form = format_of(source, path)
    try:
        frame = READERS[form](root / path, **source.options)
        schema = frame.collect_schema()
    except (PolarsError, PanicException, OSError, TypeError) as error:
        raise SourceError(f"{path} can't be read as {form}: {error}") from error
    columns = schema.names()
    _refuse_twice(path, columns, contract)
    missing = [name for name in contract.required if name not in columns]
    if missing:
        advice = did_you_mean(missing[0], columns)
        raise SourceError(
            f"{path} has no column {missing[0]!r} of contract {contract.name} ({advice})"
        )
    if moments := _moments(schema, contract):
        frame = frame.with_columns(moments)
    if len(contract.required) < len(contract.names):
        # Here, because beside files that have the column only null would be left to tell.
        return checker_of(contract).completed(frame, columns)
    return frame


def _refuse_twice(path: str, columns: Sequence[str], contract: ContractSpec) -> None:
    """SourceError for a header that has a name twice, of which Polars makes names that nobody gave."""
    for name in columns:
        given = _RENAMED.fullmatch(name)
        if given and given[1] in columns and name not in contract.names:
            raise SourceError(
                f"{path} has more than one column {given[1]!r} (duplicate); name each once"
            )


def _moments(schema: Mapping[str, pl.DataType], contract: ContractSpec) -> list[pl.Expr]:
    """Moments of other time zones in the contract's: files of several zones can be one table then."""
    return [
        pl.col(column.name).dt.convert_time_zone(str(zone))
        for column in contract.columns
        if column.dtype.name == "Datetime" and (zone := column.dtype.args[1])
        if isinstance(given := schema.get(column.name), pl.Datetime)
        if given.time_zone not in (None, zone)
    ]
