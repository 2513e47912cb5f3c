"""Export quarantined rows to a file, and read corrected rows back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
import polars.selectors as cs
from polars.exceptions import PolarsError

from tidemill.contracts.checks.checker import checker_of
from tidemill.contracts.checks.ruled_rows import REASONS, ROW, align_rows
from tidemill.contracts.formula_guard import guard_formulas, unguard_formulas
from tidemill.contracts.spec import ContractSpec
from tidemill.core.counts import plural
from tidemill.core.errors import ContractError, SourceError, UsageError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.core.read_errors import reason_of

# The column of an export that identifies each row: row numbers change when the quarantine does.
DIGEST = "_digest"
# The column that names the partition of each row where an export has several.
PARTITION = "_partition"

_READ: Mapping[str, Callable[[Path, Sequence[str]], pl.DataFrame]] = {
    ".csv": lambda path, text: pl.read_csv(
        path,
        infer_schema_length=None,
        try_parse_dates=True,
        schema_overrides=dict.fromkeys([*text, REASONS, DIGEST], pl.String),
    ),
    ".parquet": lambda path, _: pl.read_parquet(path),
    ".json": lambda path, _: pl.read_json(path),
    ".ndjson": lambda path, _: pl.read_ndjson(path),
}


def with_digests(rows: pl.DataFrame) -> pl.DataFrame:
    """Add a digest of each row as it came, and of its reasons; data with a column of that name has none."""
    if DIGEST in rows.columns:
        return rows
    return rows.select(ROW, REASONS, pl.Series(DIGEST, _digests(rows)), pl.exclude(ROW, REASONS))


def _digests(rows: pl.DataFrame) -> list[str]:
    # Python's times have no nanoseconds. The letter keeps spreadsheets from reading digits as a number.
    plain = rows.drop(ROW).with_columns(cs.temporal().to_physical())
    names = plain.columns
    return [
        f"r{fingerprint('quarantined row', names, repr(row))[:12]}" for row in plain.iter_rows()
    ]


def write_rows(rows: pl.DataFrame, path: Path, *, guard: bool = False) -> None:
    """Write rows in the format that the file name implies; UsageError for types that it can't hold.

    With `guard` a spreadsheet doesn't execute any text of a CSV file.
    """
    kind = _kind(path)
    if guard and kind != ".csv":
        raise UsageError(f"{path}: only .csv files are guarded against formulas")
    if kind == ".csv":
        rows = rows.with_columns(pl.col(REASONS).list.join("; "))
    if kind != ".parquet":
        refused = [
            n
            for n, t in rows.schema.items()
            if _is_unsupported(t) or (kind == ".csv" and t.is_nested())
        ]
        if refused:
            raise UsageError(
                f"{', '.join(refused)}: a {kind} file can't hold lists, structs or bytes; "
                "export to .parquet"
            )
    rows = guard_formulas(rows) if guard else rows
    writes: Mapping[str, Callable[[Path], object]] = {
        ".csv": rows.write_csv,
        ".parquet": rows.write_parquet,
        ".json": rows.write_json,
        ".ndjson": rows.write_ndjson,
    }
    try:
        writes[kind](path)
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror or error}") from error


def read_corrections(
    given: str | Path | pl.DataFrame,
    chosen: Sequence[int],
    bad: pl.DataFrame,
    spec: ContractSpec,
    partition: str,
) -> tuple[pl.DataFrame, tuple[int, ...]]:
    """Read corrected rows, cast to the types of the bad ones, and the numbers of the rows that they replace.

    `spec` says how text is read. Columns that are text in the bad rows stay as they are written.
    Raises UsageError unless there is one for each chosen row, and ContractError if one breaks a rule.
    """
    texts = [name for name, dtype in bad.schema.items() if dtype == pl.String]
    rows = given if isinstance(given, pl.DataFrame) else _read(Path(given), texts)
    if PARTITION in rows.columns and PARTITION not in bad.columns:
        raise UsageError(
            f"the corrected rows have a column {PARTITION!r}: they are an export of several partitions. "
            "Export and release one partition at a time"
        )
    rows = checker_of(spec).fill_defaults(rows, rows.columns)
    wanted = tuple(chosen) or tuple(range(bad.height))
    if ROW in rows.columns:
        if not rows.schema[ROW].is_integer():
            raise UsageError(
                f"{ROW} of the corrected rows is {rows.schema[ROW]}: it must hold whole numbers"
            )
        rows = rows.sort(ROW)
        numbers = tuple(rows.get_column(ROW).to_list())
        if not chosen and {*numbers} <= {*wanted} and len({*numbers}) == len(numbers):
            wanted = numbers
        if numbers != wanted:
            raise UsageError(
                f"the corrected rows are numbered {_abbreviate(numbers)} in {ROW}, but they replace "
                f"{_abbreviate(wanted)}: give each of these once"
            )
    if rows.height != len(wanted) or not wanted:
        raise UsageError(
            f"{plural(rows.height, 'corrected row')} can't replace {plural(len(wanted), 'row')}: give one "
            f"for each, in their order or numbered in {ROW}, and drop the rows that have no correction"
        )
    _refuse_stale(rows, bad, wanted)
    # Without a digest, a line is matched with its row by its key.
    keyed = ROW in rows.columns and (DIGEST not in rows.columns or DIGEST in bad.columns)
    rows = rows.drop(ROW, REASONS, *([] if DIGEST in bad.columns else [DIGEST]), strict=False)
    known = {*bad.columns}
    unknown = [name for name in rows.columns if name not in known]
    if unknown:
        raise UsageError(
            f"the corrected rows have a column {unknown[0]!r}, which the quarantined rows don't have "
            f"({did_you_mean(unknown[0], bad.columns)})"
        )
    checker_of(spec).undeclared_columns(rows.columns)
    _, rows = align_rows(rows, bad.drop(ROW, REASONS), spec)
    if keyed:
        _refuse_other_keys(rows, bad[list(wanted)], spec, wanted)
    _refuse_bad(rows, spec, partition, wanted)
    return rows, wanted


def _refuse_stale(rows: pl.DataFrame, bad: pl.DataFrame, numbers: Sequence[int]) -> None:
    """Raise UsageError if corrected rows were exported from other rows than those with their numbers."""
    now = bad[list(numbers)]
    stale: dict[int, str] = {}
    if DIGEST in rows.columns and DIGEST not in bad.columns:
        for number, found, digest in zip(
            numbers, rows[DIGEST].to_list(), _digests(now), strict=True
        ):
            if found != digest:
                stale[number] = f"{DIGEST} {digest}, not {found or 'empty'}"
    if REASONS in rows.columns:
        reasons = zip(rows[REASONS].to_list(), now[REASONS].to_list(), strict=True)
        for number, (found, why) in zip(numbers, reasons, strict=True):
            given = "; ".join(found) if isinstance(found, list) else str(found or "")
            # An empty cell contradicts nothing.
            if given and given != "; ".join(why):
                stale[number] = f"{'; '.join(why)}, not {given}"
    _refuse(stale, numbers)


def _refuse_other_keys(
    rows: pl.DataFrame, now: pl.DataFrame, spec: ContractSpec, numbers: Sequence[int]
) -> None:
    """Raise UsageError for rows with another key than the rows that they replace, if that wasn't at fault."""
    stale: dict[int, str] = {}
    for name in spec.key:
        if name not in now.columns:
            continue
        same = rows[name].cast(now.schema[name], strict=False).eq_missing(now[name])
        for at in (~same).arg_true():
            rules = now[REASONS][at].to_list()
            if not any(rule == "key" or rule.startswith(f"{name}.") for rule in rules):
                stale[numbers[at]] = f"{name} {now[name][at]}, not {rows[name][at]}"
    _refuse(stale, numbers)


def _refuse(stale: Mapping[int, str], numbers: Sequence[int]) -> None:
    if stale:
        shown = "; ".join(f"row {row}: {why}" for row, why in [*sorted(stale.items())][:8])
        more = f"; and {len(stale) - 8} more" if len(stale) > 8 else ""
        raise UsageError(
            f"{len(stale)} of {len(numbers)} corrected rows belong to other rows than those that have "
            f"their numbers now ({shown}{more}): export the rows again, and correct that file"
        )


def _refuse_bad(
    rows: pl.DataFrame, spec: ContractSpec, partition: str, numbers: Sequence[int]
) -> None:
    """Raise ContractError if corrected rows break a rule on one column; the run checks the other rules."""
    tagged = rows.with_columns(pl.Series(ROW, numbers, pl.UInt32))
    bad = checker_of(spec).check(tagged, partition=partition).bad
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
            f"{len(broken)} of {rows.height} corrected rows still break {spec.title} "
            f"({shown}): correct these as well"
        )


def _read(path: Path, texts: Sequence[str]) -> pl.DataFrame:
    kind = _kind(path)
    try:
        return unguard_formulas(_READ[kind](path, texts))
    except (PolarsError, OSError) as error:
        raise SourceError(f"can't read {path}: {reason_of(error)}") from error


def _kind(path: Path) -> str:
    if path.suffix not in _READ:
        raise UsageError(f"{path}: the file name must end in one of {', '.join(_READ)}")
    return path.suffix


def _is_unsupported(dtype: pl.DataType) -> bool:
    return isinstance(dtype, (pl.Binary, pl.Object))


def _abbreviate(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
