"""Evaluate the rules of a contract as bit columns in one streaming pass.

The rules have the order and the meaning that they have in `checker`. This form suits tables that don't
fit into memory: values are read once, and only bits are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import polars as pl

from tidemill.contracts.checks.casts import cast_column
from tidemill.contracts.checks.duplicate_keys import key_codes
from tidemill.contracts.checks.partition_column import rows_outside
from tidemill.contracts.checks.row_rules import ColumnRules, RowRule
from tidemill.contracts.checks.schema import TEXT_TYPES
from tidemill.contracts.text_format import AS_STORED, TextFormat
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Partitioning

# The unconverted column, next to the one that has the contract's type.
_CAME = "\0came "
_HERE = "\0here "
EVERY = "\0every"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """A rule, and the expression that is true for each row that breaks it."""

    rule: RowRule
    violation: pl.Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class UniquenessMask:
    """A rule that the values of these columns are unique: their codes, and which rows have values."""

    rule: RowRule
    columns: tuple[str, ...]
    codes: tuple[pl.Expr, ...]
    has_values: pl.Expr


def cast_frame(frame: pl.LazyFrame, columns: Sequence[ColumnRules]) -> pl.LazyFrame:
    """Cast the contract's columns to its types; columns that change keep their original next to them."""
    schema = frame.collect_schema()
    parts: list[pl.Expr] = []
    for column in columns:
        came, dtype = pl.col(column.name), schema[column.name]
        if _is_as_declared(column, dtype):
            parts.append(came)
            continue
        cast = partial(_cast, dtype=column.dtype, text=column.text)
        parts.append(came.map_batches(cast, return_dtype=column.dtype, is_elementwise=True))
        if dtype.is_float() and not column.is_float:
            came = came.fill_nan(None)
        elif column.text != AS_STORED and isinstance(dtype, TEXT_TYPES):
            source = partial(_source, dtype=column.dtype, text=column.text)
            came = came.map_batches(source, return_dtype=pl.String, is_elementwise=True)
        parts.append(came.alias(_CAME + column.name))
    return frame.select(parts)


def _is_as_declared(column: ColumnRules, dtype: pl.DataType) -> bool:
    """Whether a column of this type needs no cast: only text has words for missing values."""
    return dtype == column.dtype and (column.text == AS_STORED or not isinstance(dtype, TEXT_TYPES))


def _cast(series: pl.Series, dtype: pl.DataType, text: TextFormat) -> pl.Series:
    return cast_column(series, dtype, text)[1]


def _source(series: pl.Series, dtype: pl.DataType, text: TextFormat) -> pl.Series:
    return cast_column(series, dtype, text)[0]


def column_masks(
    column: ColumnRules, input_type: pl.DataType, partitioning: Partitioning, partition: str | None
) -> Iterator[Mask]:
    """Yield the masks of a column that has `input_type`, over a cast frame, in the checker's order."""
    values = pl.col(column.name)
    same = _is_as_declared(column, input_type)
    came = values if same else pl.col(_CAME + column.name)
    if not same:
        yield Mask(rule=column.type, violation=values.is_null() & came.is_not_null())
    if not column.nullable:
        yield Mask(rule=column.null, violation=came.is_null())
        if column.is_float:
            yield Mask(rule=column.nan, violation=values.is_nan().fill_null(False))
    for bound in filter(None, (column.lower, column.upper)):
        yield Mask(rule=bound[1].rule, violation=violates(bound[1].passes))
    if partition is not None and column.name == partitioning.column:
        beyond = partial(_is_outside, partitioning=partitioning, partition=partition)
        breaks = values.map_batches(beyond, return_dtype=pl.Boolean, is_elementwise=True)
        yield Mask(rule=column.partition, violation=breaks)


def _is_outside(series: pl.Series, partitioning: Partitioning, partition: str) -> pl.Series:
    return rows_outside(series, partitioning, partition).fill_null(False)


def violates(passes: pl.Expr) -> pl.Expr:
    """Negate an expression that rows pass; null passes."""
    return passes.not_().fill_null(False)


def uniqueness_mask(
    rule: RowRule, names: Sequence[str], schema: Mapping[str, pl.DataType]
) -> UniquenessMask:
    """Return the uniqueness rule of some columns of a cast frame."""
    here = [pl.col(name).is_not_null() for name in names]
    here += [
        pl.col(name).is_not_nan().fill_null(False) for name in names if schema[name].is_float()
    ]
    return UniquenessMask(
        rule=rule,
        columns=tuple(names),
        codes=tuple(key_codes(names, dict(schema))),
        has_values=pl.all_horizontal(here),
    )


def pass_expressions(masks: Sequence[Mask], ones: Sequence[UniquenessMask]) -> list[pl.Expr]:
    """Return the expressions of one pass: a bit per rule, and the codes and a bit per uniqueness rule."""
    # Rules may aggregate to one value for all rows, so add a column that has a value for each row.
    bits = [pl.first().is_null().alias(EVERY)]
    bits += [mask.violation.alias(str(index)) for index, mask in enumerate(masks)]
    for index, one in enumerate(ones):
        bits.append(one.has_values.alias(has_values_name(index)))
        bits += [code.alias(code_name(index, part)) for part, code in enumerate(one.codes)]
    return bits


def code_name(index: int, part: int) -> str:
    """Name the column of `pass_expressions` that holds a part of the codes of a rule."""
    return f"\0code {index} {part}"


def has_values_name(index: int) -> str:
    """Name the column of `pass_expressions` that marks the rows with values to compare."""
    return f"{_HERE}{index}"
