"""Sort rows by key, the canonical order, and find repeated keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.serialized import UnreadableQuery
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.spec import ContractSpec


def sort_by_key(frame: pl.DataFrame, key: Sequence[str]) -> tuple[pl.DataFrame, bool]:
    """Return `frame` sorted by `key` (equal keys in any order), and whether all keys are unique."""
    if not key or frame.height < 2:
        return frame, True
    columns = list(map(frame.get_column, key))
    # Comparing neighbours doesn't work across nulls.
    if not any(series.null_count() for series in columns):
        # A constant column doesn't affect the order; test each only if it is needed.
        rising, unique = _is_sorted(series for series in columns if not _is_constant(series))
        if rising:
            return frame, unique
    deciding = [name for name in key if not _is_constant(frame.get_column(name))]
    ordered = frame.sort(deciding)
    return ordered, _is_sorted(map(ordered.get_column, deciding))[1]


def _is_sorted(columns: Iterable[pl.Series]) -> tuple[bool, bool]:
    """Whether the rows are sorted, and if so, whether all are different."""
    tied: pl.Series | None = None
    for series in columns:
        this, following = series.slice(0, series.len() - 1), series.slice(1)
        falls = following < this
        if (falls if tied is None else falls & tied).any():
            return False, False
        equal = following == this
        tied = equal if tied is None else tied & equal
        if not tied.any():
            return True, True
    return True, False


def _is_constant(series: pl.Series) -> bool:
    return series.null_count() == 0 and bool(series.min() == series.max())


def repeated_rows(frame: pl.DataFrame, key: Sequence[str], among: pl.Series) -> pl.Series:
    """Mark the rows that have the key of an earlier row, considering only the rows in `among`."""
    rows = frame.select(key).with_row_index("\0row").filter(among)
    repeated = rows.get_column("\0row").filter(repeated_values(rows.select(key)))
    return pl.repeat(False, frame.height, eager=True).scatter(repeated, True)


def repeated_values(keys: pl.DataFrame) -> pl.Series:
    """Mark the rows that have the values of an earlier row."""
    return ~keys.select(pl.struct(pl.all()).is_first_distinct()).to_series()


def may_depend_on_order(spec: ContractSpec) -> bool:
    """Whether a rule may give another result for the same rows in another order, or can't be analysed."""
    # Declare the order of rows as undefined: a result that becomes unstable depends on it.
    rows = pl.LazyFrame(schema=schema_of(spec)).unique(maintain_order=False)
    try:
        return any(query_digests(rows.select(rule.expr)).unstable for rule in spec.rules)
    except (UnreadableQuery, PolarsError):
        return True
