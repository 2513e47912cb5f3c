"""Refuse values that a sink can't store without loss, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import polars as pl

from tidemill.core.counts import plural
from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import Effect

# 0001-01-01 and 9999-12-31: other dates are read by few programs, and Python has none.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_LONGEST = 2**63 - 1

# What the values are, and which of a column they are.
_Refused: TypeAlias = tuple[str, pl.Series]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a sink can store; of dates and times, all sinks store those of the years 1 to 9999."""

    nanoseconds: bool = False
    nul_in_text: bool = True
    null_struct_lists: bool = True


def refuse_values(frame: pl.DataFrame, effect: Effect, where: str, limits: Limits) -> None:
    """Raise StorageError if a column has values that a sink can't store."""
    for name in frame.columns:
        for what, values in _find_refused(frame[name], limits):
            raise StorageError(
                f"{effect.stage} {effect.partition} can't be delivered to {where}: its column {name!r} "
                f"has {plural(len(values), 'value')} that can't be stored there: {what}, such as "
                f"{_shown(values)}; exclude them with a rule of the contract, or replace them in a "
                "transform"
            )


def _find_refused(column: pl.Series, limits: Limits) -> Iterator[_Refused]:
    """Yield the values of a column, and of columns nested in it, that can't be stored."""
    known = column.drop_nulls()
    match column.dtype:
        case pl.List():
            inner = column.dtype.inner
            if isinstance(inner, pl.Struct) and not limits.null_struct_lists:
                yield from _some("null lists of structs", column, column.is_null())
            yield from _find_refused(known.filter(known.list.len() > 0).list.explode(), limits)
        case pl.Array():
            yield from _find_refused(known.arr.explode(), limits)
        case pl.Struct():
            for field in column.dtype.fields:
                yield from _find_refused(known.struct.field(field.name), limits)
        case _:
            yield from _find_refused_scalars(known, limits)


def _find_refused_scalars(known: pl.Series, limits: Limits) -> Iterator[_Refused]:
    dtype, raw = known.dtype, known.to_physical()
    if isinstance(dtype, (pl.Date, pl.Datetime)):
        day = _PER_DAY[dtype.time_unit] if isinstance(dtype, pl.Datetime) else 1
        outside = (raw < _FIRST_DAY * day) | (raw >= (_LAST_DAY + 1) * day)
        yield from _some("dates outside of the years 1 to 9999", known, outside)
    elif isinstance(dtype, pl.Time) and not limits.nanoseconds:
        yield from _some("times with parts of a microsecond", known, raw % 1_000 != 0)
    elif isinstance(dtype, pl.Duration) and dtype.time_unit == "ms":
        longest = _LONGEST // 1_000
        yield from _some(
            "durations of over 292,000 years", known, (raw > longest) | (raw < -longest)
        )
    elif dtype in (pl.String, pl.Enum, pl.Categorical) and not limits.nul_in_text:
        nul = known.cast(pl.String).str.contains("\0", literal=True)
        yield from _some("texts with a NUL character", known, nul)


def _some(what: str, column: pl.Series, refused: pl.Series) -> Iterator[_Refused]:
    if refused.any():
        yield what, column.filter(refused)


def _shown(values: pl.Series) -> str:
    """The first value; dates as a number, since there are some that Polars can't print."""
    value, dtype = values.to_physical()[0], values.dtype
    match dtype:
        case pl.Date():
            return f"{value} days after 1970-01-01"
        case pl.Datetime():
            return f"{value} {dtype.time_unit} after 1970-01-01"
        case pl.Duration():
            return f"{value} {dtype.time_unit}"
        case pl.Time():
            return f"{value} ns after midnight"
    # Categories have numbers for physical values.
    return repr(values.cast(pl.String)[0]) if not isinstance(dtype, pl.List) else "null"
