"""Read CSV files as text, so that neither the reader nor the first rows decide what values are.

Numbers may be parsed while reading if every cell of their columns is one. Parsing and casting text give the
same numbers, which a property test shows; other files are read again as text.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import ComputeError, PolarsError

from tidemill.contracts.checks.text_cells import has_infinity
from tidemill.contracts.text_format import SURPLUS_FIELDS
from tidemill.core.errors import SourceError

# Options that make Polars guess types, or skip what it can't read.
_GUESSES = frozenset(
    {"schema_overrides", "infer_schema", "infer_schema_length", "infer_schema_files"}
    | {"try_parse_dates", "ignore_errors"}
)
# Options with which the names of a file's columns aren't those that the parser knows.
_RENAMES = frozenset({"schema", "new_columns", "with_column_names"})
# Options that change the columns after the fields of a line were read.
_AFTERWARDS = frozenset(
    {"new_columns", "with_column_names", "row_index_name", "row_index_offset", "include_file_paths"}
)
_SURPLUS = "\0surplus "
_MOST_SURPLUS = 64
_SEPARATORS = (",", ";", "\t", "|")
_LINES_TO_COMPARE = 100


def scan_csv(
    path: Path, options: Mapping[str, Any], types: Mapping[str, pl.DataType] | None = None
) -> pl.LazyFrame:
    """Scan a CSV file as text, except for the columns in `types`."""
    kept = {name: value for name, value in options.items() if name not in _GUESSES}
    kept.setdefault("separator", default_separator(path))
    if "schema" in kept:
        kept["schema"] = dict.fromkeys(kept["schema"], pl.String)
    return pl.scan_csv(path, glob=False, infer_schema=False, schema_overrides=types, **kept)


def default_separator(path: Path) -> str:
    """Return what separates the fields of a file if no option says so."""
    return "\t" if path.suffix.lower() == ".tsv" else ","


def find_separator(path: Path) -> str:
    """Return the character by which the first lines of a file have the same number of fields, and most."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        lines = list(islice(stream, _LINES_TO_COMPARE))
    fields = {mark: _width(lines, mark) for mark in (default_separator(path), *_SEPARATORS)}
    return max(fields, key=lambda mark: fields[mark])


def _width(lines: Sequence[str], separator: str) -> int:
    """The number of fields of lines if most have as many as the header; else 1."""
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return 1
    alike = sum(width == widths[0] for width in widths) if widths else 0
    return widths[0] if 2 * alike > len(widths) else 1


def load_csv(
    path: Path, options: Mapping[str, Any], types: Mapping[str, pl.DataType], mark: str
) -> tuple[pl.DataFrame, bool]:
    """Return the rows of a CSV file, and whether the numbers in `types` could be parsed while reading.

    All columns are read, because Polars doesn't look at the columns that it leaves out. A line with more
    fields than the header is kept: its cell in the column `mark` becomes text that is no value of any type.
    """
    if types and _RENAMES.isdisjoint(options):
        # Reading it as text shows whether the file or a cell is at fault.
        with suppress(PolarsError):
            rows = scan_csv(path, options, types).collect()
            # An infinity may be a number that is too large.
            if not any(has_infinity(rows[name]) for name in types if types[name].is_float()):
                return rows, True
    try:
        return scan_csv(path, options).collect(), False
    except ComputeError as error:
        if "found more fields" not in str(error) or not mark:
            raise
        return _with_surplus(path, options, mark, error), False


def _with_surplus(
    path: Path, options: Mapping[str, Any], mark: str, error: ComputeError
) -> pl.DataFrame:
    later = {name: value for name, value in options.items() if name in _AFTERWARDS}
    options = {name: value for name, value in options.items() if name not in _AFTERWARDS}
    names = scan_csv(path, options).collect_schema().names()
    separator = options.get("separator", default_separator(path))
    extra = [f"{_SURPLUS}{number}" for number in range(_surplus(path, separator, len(names)))]
    schema = dict.fromkeys([*names, *extra], pl.String)
    whole = {**options, "schema": schema, "missing_columns": "insert"}
    try:
        rows = scan_csv(path, whole).collect()
    except PolarsError:
        raise SourceError(
            f"lines have more than {len(names) + len(extra)} fields, but the header has {len(names)}; "
            "check the separator"
        ) from error
    rows = _as_asked(rows, path, names, later)
    fields = [pl.col(name).fill_null("") for name in (mark, *extra)]
    cells = pl.lit(SURPLUS_FIELDS) + pl.concat_str(fields, separator=separator).str.strip_chars_end(
        separator
    )
    # Empty fields beyond the header hold nothing.
    ragged = pl.any_horizontal(pl.col(extra).is_not_null())
    marked = pl.when(ragged).then(cells).otherwise(pl.col(mark)).alias(mark)
    return rows.with_columns(marked).drop(extra)


def _as_asked(
    rows: pl.DataFrame, path: Path, names: Sequence[str], options: Mapping[str, Any]
) -> pl.DataFrame:
    """Rename the columns `names` of a file, and add those that aren't in it, as `scan_csv` does."""
    new = options.get("new_columns") or names
    if rename := options.get("with_column_names"):
        new = rename([*new])
    rows = rows.rename(dict(zip(names, new, strict=False)))
    if name := options.get("row_index_name"):
        rows = rows.with_row_index(name, options.get("row_index_offset", 0))
    if name := options.get("include_file_paths"):
        rows = rows.with_columns(pl.lit(str(path)).alias(name))
    return rows


def _surplus(path: Path, separator: str, width: int) -> int:
    """Return how many fields a line may have beyond the header; quoted separators count, too."""
    marks = pl.col("line").str.count_matches(separator, literal=True)
    most = pl.scan_lines(path, glob=False).select(marks.max()).collect().item() or 0
    return max(1, min(most + 1 - width, _MOST_SURPLUS))
