"""Quarantined rows out into a file, and corrected ones back from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from tidemill.contracts.checks.checker import checker_of
from tidemill.contracts.checks.ruled_rows import REASONS, ROW, beside
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError, SourceError, UsageError, did_you_mean

_READ: Mapping[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": lambda path: pl.read_csv(path, infer_schema_length=None, try_parse_dates=True),
    ".parquet": pl.read_parquet,
    ".json": pl.read_json,
    ".ndjson": pl.read_ndjson,
}


def write(rows: pl.DataFrame, path: Path) -> None:
    """Write rows to a file of the kind that its name says; UsageError for a column that doesn't fit."""
    kind = _kind(path)
    if kind == ".csv":
        rows = rows.with_columns(pl.col(REASONS).list.join("; "))
    if kind != ".parquet":
        refused = [
            n for n, t in rows.schema.items() if _odd(t) or (kind == ".csv" and t.is_nested())
        ]
        if refused:
            raise UsageError(
                f"{', '.join(refused)}: lists, structs and bytes have no place in a {kind} file; "
                "export to .parquet"
            )
    writes: Mapping[str, Callable[[Path], object]] = {
        ".csv": rows.write_csv,
        ".parquet": rows.write_parquet,
        ".json": rows.write_json,
        ".ndjson": rows.write_ndjson,
    }
    try:
        writes[kind](path)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror or error}") from error


def corrected(
    given: str | Path | pl.DataFrame,
    chosen: Sequence[int],
    bad: pl.DataFrame,
    spec: ContractSpec,
    partition: str,
) -> tuple[pl.DataFrame, tuple[int, ...]]:
    """Corrected rows, typed as the quarantined ones, and the numbers of those whose place they take.

    UsageError or ContractError for rows that are none for each of them, or that are bad by themselves.
    """
    rows = given if isinstance(given, pl.DataFrame) else _read(Path(given))
    rows = checker_of(spec).completed(rows, rows.columns)
    wanted = tuple(chosen) or tuple(range(bad.height))
    if ROW in rows.columns:
        if not rows.schema[ROW].is_integer():
            raise UsageError(
                f"{ROW} of the corrected rows is {rows.schema[ROW]}: give whole numbers"
            )
        rows = rows.sort(ROW)
        numbers = tuple(rows.get_column(ROW).to_list())
        if not chosen and {*numbers} <= {*wanted} and len({*numbers}) == len(numbers):
            wanted = numbers
        if numbers != wanted:
            raise UsageError(
                f"the corrected rows are numbered {_some(numbers)} in {ROW}, but {_some(wanted)} are "
                "to be replaced: each of these once"
            )
    if rows.height != len(wanted) or not wanted:
        raise UsageError(
            f"{rows.height} corrected rows can't take the place of {len(wanted)}: one for each, in "
            f"their order or numbered in {ROW}; drop those that are to have no successor"
        )
    rows = rows.drop(ROW, REASONS, strict=False)
    unknown = [name for name in rows.columns if name not in bad.columns]
    if unknown:
        raise UsageError(
            f"the corrected rows have a column {unknown[0]!r} that the quarantined ones don't have "
            f"({did_you_mean(unknown[0], bad.columns)})"
        )
    checker_of(spec).unknown(rows.columns)
    _, rows = beside(rows, bad.drop(ROW, REASONS), spec)
    _refuse_bad(rows, spec, partition, wanted)
    return rows, wanted


def _refuse_bad(
    rows: pl.DataFrame, spec: ContractSpec, partition: str, numbers: Sequence[int]
) -> None:
    """ContractError when corrected rows break a rule on one column; others see all rows, in the run."""
    tagged = rows.with_columns(pl.Series(ROW, numbers, pl.UInt32))
    bad = checker_of(spec).judge(tagged, partition=partition).bad
    names = {rule.name for rule in spec.rules}
    broken = (
        {}
        if bad is None
        else {
            row: rules
            for row, why in bad.select(ROW, REASONS).iter_rows()
            if (rules := [name for name in why if name not in names])
        }
    )
    if broken:
        shown = "; ".join(f"row {row}: {', '.join(why)}" for row, why in [*broken.items()][:8])
        raise ContractError(
            f"{len(broken)} of {rows.height} corrected rows still break {spec.name} {spec.version} "
            f"({shown}): correct these too"
        )


def _read(path: Path) -> pl.DataFrame:
    kind = _kind(path)
    try:
        return _READ[kind](path)
    except (PolarsError, OSError) as error:
        raise SourceError(f"{path} can't be read: {error}") from error


def _kind(path: Path) -> str:
    if path.suffix not in _READ:
        raise UsageError(f"{path}: its name must end in one of {', '.join(_READ)}")
    return path.suffix


def _odd(dtype: pl.DataType) -> bool:
    return isinstance(dtype, (pl.Binary, pl.Object))


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
