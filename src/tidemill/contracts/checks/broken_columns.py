"""Find the rows that break a rule on one column: missing, unread and outlying values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from tidemill.contracts.checks.broken_rules import BrokenRule
from tidemill.contracts.checks.partition_column import are_all_inside, rows_outside
from tidemill.contracts.checks.row_rules import ColumnRules, RuleQuery
from tidemill.contracts.text_format import NOT_UNICODE, SURPLUS_FIELDS
from tidemill.core.partition import Partitioning


def broken_missing(
    column: ColumnRules, source: pl.Series, values: pl.Series
) -> Iterator[BrokenRule]:
    """Yield the rules that missing and unread values break; `values` is the cast of `source`."""
    nulls = source.null_count()
    if values.null_count() > nulls:
        yield from _broken_type(column, source, values)
    if column.nullable:
        return
    if nulls:
        yield BrokenRule(column.null, source.is_null())
    # The sum is NaN if a value is; without one only if there are infinities of both signs.
    if column.is_float and values.sum() != values.sum() and values.is_nan().any():
        yield BrokenRule(column.nan, values.is_nan().fill_null(False))


def _broken_type(column: ColumnRules, source: pl.Series, values: pl.Series) -> Iterator[BrokenRule]:
    unread = values.is_null() & source.is_not_null()
    if column.text.cells and source.dtype == pl.String:
        marks = ((column.fields, SURPLUS_FIELDS), (column.unicode, NOT_UNICODE))
        for rule, mark in marks:
            damaged = unread & source.str.starts_with(mark).fill_null(False)
            if damaged.any():
                yield BrokenRule(rule, damaged)
                unread &= ~damaged
    if unread.any():
        yield BrokenRule(column.type, unread)


def broken_bounds(column: ColumnRules, values: pl.Series) -> Iterator[RuleQuery]:
    """Yield the bounds that some value breaks; the minimum of a column without values is None."""
    if column.lower is not None:
        bound, query, beyond = column.lower
        least: Any = values.min()
        if least is not None and beyond(least, bound):
            yield query
    if column.upper is not None:
        bound, query, beyond = column.upper
        most: Any = values.max()
        if most is not None and beyond(most, bound):
            yield query


def broken_partition(
    column: ColumnRules, values: pl.Series, partitioning: Partitioning, partition: str
) -> Iterator[BrokenRule]:
    """Yield the rule that rows of another partition break."""
    if not are_all_inside(values, partitioning, partition):
        yield BrokenRule(
            column.partition, rows_outside(values, partitioning, partition).fill_null(False)
        )
