"""Read the files of an ingest stage: Parquet, CSV, NDJSON and Arrow."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any, Literal

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.contracts.checks.checker import checker_of
from tidemill.contracts.checks.schema import TEXT_TYPES, dtype_of, polars_type
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import SourceError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.read_errors import reason_of
from tidemill.sources.io.csv_files import load_csv, scan_csv
from tidemill.sources.io.file_root import FileRoot, is_stored
from tidemill.sources.io.json_lines import read_json_lines
from tidemill.sources.text_files import cells_of, parsed_columns, text_contract
from tidemill.workflow.source import SUFFIXES, Files, Format

_RENAMED = re.compile(r"(.*)_duplicated_\d+", re.DOTALL)
# What readers raise for a file.
READ_ERRORS = (
    *(PolarsError, PanicException, OSError, EOFError, zlib.error),
    *(TypeError, ValueError, RecursionError, OverflowError),
)

# Paths are literal: `a[1].parquet` must not match a1.parquet.
_SCANS: Mapping[str, Callable[..., pl.LazyFrame]] = {
    "parquet": partial(pl.scan_parquet, glob=False),
    "arrow": partial(pl.scan_ipc, glob=False),
}
FORMATS: tuple[Format, ...] = ("arrow", "csv", "ndjson", "parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFile:
    """The rows of one file under the contract's names.

    `text` is "text" if the cells are as they are written, "parsed" if numbers among them were parsed, and
    empty for a file with types.
    """

    rows: pl.LazyFrame
    text: Literal["", "text", "parsed"]


def format_of(source: Files[Any], path: str) -> Format:
    """Return the format of a file; SourceError if neither `format=` nor its suffix determines it."""
    form = source.format or SUFFIXES.get(Path(path).suffix.lower())
    if form is None:
        raise SourceError(
            f"{path}: unknown suffix; set format= to one of {', '.join(sorted(FORMATS))}"
        )
    return form


@contextmanager
def reading(path: str, form: str = "") -> Iterator[None]:
    """Raise SourceError that names the file for whatever its reader raises."""
    try:
        yield
    except SourceError as error:
        # Those of the readers here don't know the path.
        raise error if path in str(error) else SourceError(f"{path}: {error}") from error
    except READ_ERRORS as error:
        kind = f" as {form}" if form else ""
        raise SourceError(f"{path} can't be read{kind}: {reason_of(error)}") from error


def scan_file(form: Format, path: Path, options: Mapping[str, Any]) -> pl.LazyFrame:
    """Scan a file of any format; all columns of CSV and NDJSON are text."""
    match form:
        case "csv":
            return scan_csv(path, options)
        case "ndjson":
            return read_json_lines(path, options).lazy()
    return _SCANS[form](path, **options)


def parquet_schema(path: Path) -> Mapping[str, pl.DataType]:
    """The columns of a Parquet file and their types."""
    # Polars would take a name such as "a[1].parquet" for a pattern.
    return pl.read_parquet_schema(escape(str(path)))


def read_file(
    source: Files[Any], contract: ContractSpec, root: FileRoot, path: str
) -> pl.LazyFrame:
    """Scan one file, check that it has the contract's columns, and fill missing optional columns.

    Raises SourceError that names the file.
    """
    form = format_of(source, path)
    with reading(path, form):
        frame = _with_url(scan_file(form, root / path, source.options), source, path)
        names = frame.collect_schema().names()
    if form == "ndjson":
        frame = _with_missing_keys(frame, names, contract)
        names = frame.collect_schema().names()
    _require_columns(path, names, contract)
    return _as_declared(frame, contract)


def _with_url(frame: pl.LazyFrame, source: Files[Any], path: str) -> pl.LazyFrame:
    """Replace the path of a copy by the URL of the file, if rows have the path of their file."""
    name = source.options.get("include_file_paths")
    return frame.with_columns(pl.lit(path).alias(name)) if name and is_stored(source) else frame


def _with_missing_keys(
    frame: pl.LazyFrame, names: Sequence[str], contract: ContractSpec
) -> pl.LazyFrame:
    """Add the keys that no row of a JSON file has, unless it has none of the contract's.

    To a row it makes no difference whether other rows have a key.
    """
    declared = [column for column in contract.columns if not column.optional]
    missing = [column.source_name for column in declared if column.source_name not in names]
    if names and len(missing) == len(declared):
        return frame
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in missing)


def load_file(
    source: Files[Any], contract: ContractSpec, root: FileRoot, path: str, *, parse: bool
) -> LoadedFile:
    """Read one file as `read_file` does, with the rows of text files in memory.

    With `parse`, numbers of CSV are parsed while reading if every cell of their columns is one.
    """
    form = format_of(source, path)
    if form != "csv":
        text: Literal["", "text"] = "text" if form == "ndjson" else ""
        return LoadedFile(rows=read_file(source, contract, root, path), text=text)
    with reading(path, form):
        names = scan_csv(root / path, source.options).collect_schema().names()
        _require_columns(path, names, contract)
        types = _parsed_types(text_contract(contract, source, "csv"), names) if parse else {}
        mark = _marked_column(contract, names)
        frame, parsed = load_csv(root / path, source.options, types, mark)
    rows = _as_declared(_with_url(frame.lazy(), source, path), contract)
    return LoadedFile(rows=rows, text="parsed" if parsed else "text")


def contract_of_files(
    source: Files[Any], contract: ContractSpec, paths: Iterable[str]
) -> ContractSpec:
    """Return the contract with the formats of the text in some files."""
    kinds = {cells_of(format_of(source, path)) for path in paths}
    return text_contract(contract, source, "json" if "json" in kinds else max(kinds, default=""))


def _parsed_types(contract: ContractSpec, names: Sequence[str]) -> dict[str, pl.DataType]:
    """Return the types of the columns of a file whose numbers can be parsed while reading."""
    return {
        column.source_name: polars_type(column.dtype)
        for column in parsed_columns(contract)
        if column.source_name in names
    }


def _marked_column(contract: ContractSpec, names: Sequence[str]) -> str:
    """Return the last column that shows a line with too many fields; the partition must stay known."""
    declared = {c.source_name for c in contract.columns if c.partition is None}
    return next((name for name in reversed(names) if name in declared), "")


def _require_columns(path: str, names: Sequence[str], contract: ContractSpec) -> None:
    """Raise SourceError for columns that are missing, occur twice, or would take a declared name."""
    declared = {column.source_name: column for column in contract.columns}
    for name in names:
        given = _RENAMED.fullmatch(name)
        if given and given[1] in names and name not in declared:
            raise SourceError(
                f"{path} has more than one column {given[1]!r}; make column names unique"
            )
        if name not in declared and name in contract.names:
            own = contract.column(name).source
            raise SourceError(
                f"{path} has a column {name!r} beside {own!r}, which contract {contract.name} reads as "
                f"{name!r}; rename one of them"
            )
    missing = [n for n, column in declared.items() if not column.optional and n not in names]
    # The parser puts the second where bytes aren't UTF-8, and UTF-16 has the first beside each letter.
    if missing and any("\0" in name or "\ufffd" in name for name in names):
        seems = ", but seems to be UTF-16" if any("\0" in name for name in names) else ""
        raise SourceError(
            f"{path} isn't UTF-8{seems}: its header can't be read; convert it to UTF-8"
        )
    if missing:
        advice = did_you_mean(missing[0], names)
        raise SourceError(
            f"{path} has no column {missing[0]!r} of contract {contract.name} ({advice})"
        )


def _as_declared(frame: pl.LazyFrame, contract: ContractSpec) -> pl.LazyFrame:
    """Give columns the contract's names and time zones, and fill missing optional ones."""
    schema = frame.collect_schema()
    renamed = {c.source_name: c.name for c in contract.columns if c.source and c.source in schema}
    if renamed:
        frame = frame.rename(renamed)
        schema = frame.collect_schema()
    if moments := _time_zone_conversions(schema, contract):
        frame = frame.with_columns(moments)
    if len(contract.required_columns) < len(contract.names):
        # Here, because after concatenation a missing column can't be told from nulls.
        return checker_of(contract).fill_defaults(frame, schema.names())
    return frame


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


def concatenate(parts: Sequence[pl.LazyFrame], paths: Sequence[str]) -> pl.LazyFrame:
    """Concatenate the rows of files; SourceError that names two of them if a column's types don't mix."""
    if len(parts) == 1:
        return parts[0]
    schemas = [part.collect_schema() for part in parts]
    types: dict[str, dict[pl.DataType, str]] = {}
    for schema, path in zip(schemas, paths, strict=True):
        for name, dtype in schema.items():
            types.setdefault(name, {}).setdefault(dtype, path)
    mixed = {name: found for name, found in types.items() if len(found) > 1}
    texts = [n for n, found in mixed.items() if all(isinstance(t, TEXT_TYPES) for t in found)]
    for name, found in mixed.items():
        if name not in texts:
            _require_common_type(name, found)
    if texts:
        # Texts of several kinds have no common type in Polars.
        parts = [
            part.with_columns(pl.col(name).cast(pl.String) for name in texts if name in schema)
            for part, schema in zip(parts, schemas, strict=True)
        ]
    return pl.concat(parts, how="diagonal_relaxed")


def _require_common_type(name: str, found: Mapping[pl.DataType, str]) -> None:
    (first, path), *others = found.items()
    for dtype, other in others:
        try:
            pl.concat(
                [pl.Series([], dtype=t).to_frame() for t in (first, dtype)], how="vertical_relaxed"
            )
        except PolarsError as error:
            raise SourceError(
                f"column {name!r} is {dtype_of(first)} in {path}, but {dtype_of(dtype)} in {other}; "
                "give it one type"
            ) from error


def collect_files(parts: Sequence[pl.LazyFrame], paths: Sequence[str]) -> pl.DataFrame:
    """Collect the rows of files; SourceError that names the file that can't be read."""
    whole = concatenate(parts, paths)
    try:
        return whole.collect()
    except READ_ERRORS as error:
        for part, path in zip(parts, paths, strict=True):
            with reading(path):
                part.collect()
        raise SourceError(f"{', '.join(paths[:3])} can't be read: {reason_of(error)}") from error
