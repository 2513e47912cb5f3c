"""Draw random values of a column: within its own rules, and plausible."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.synthetic.random_source import RandomSource
from tidemill.contracts.synthetic.regex_text import RegexText
from tidemill.core.errors import ContractError

Numbers = np.ndarray[Any, Any]

# The default range of dates and timestamps; it is fixed, so that a seed always gives the same values.
_FIRST_DAY = date(2024, 1, 1)
_DAYS = 365
_NULLS = 0.1
_POOL = 500
_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_DAY_S = 86_400


def draw_values(column: Column, rows: int, chance: RandomSource, *, spread: int = 0) -> pl.Series:
    """Draw `rows` values, with nulls if the column is nullable.

    With `spread`, draw from at least that many different values, unless bounds prevent it.
    """
    dtype = polars_type(column.dtype)
    found = _values(column, rows, chance, spread)
    values = pl.Series(column.name, found) if isinstance(found, (pl.Series, np.ndarray)) else None
    if values is None or values.dtype == pl.Object:
        values = pl.Series(column.name, found, dtype=dtype, strict=False)
    values = values.cast(dtype)
    if column.nullable and rows:
        values = values.set(pl.Series(chance.random(rows) < _NULLS), None)
    return values


def _values(column: Column, rows: int, chance: RandomSource, spread: int) -> Any:
    if column.isin is not None:
        allowed = [value for value in column.isin if value is not None]
        return [allowed[i] for i in chance.integers(len(allowed), size=rows)]
    name = column.dtype.name
    if column.dtype.is_number:
        return _numbers(column, rows, chance, spread)
    if name in _LONG:
        # Drawing text is slow, and real data repeats it anyway, so draw from a pool.
        pool = [_LONG[name](column, chance) for _ in range(rows if spread else min(rows, _POOL))]
        return pool if len(pool) == rows else [pool[i] for i in chance.integers(_POOL, size=rows)]
    return _OTHERS[name](column, rows, chance)


def _numbers(column: Column, rows: int, chance: RandomSource, spread: int) -> Any:
    name = column.dtype.name
    if name.startswith("Float"):
        return _floats(column, rows, chance)
    if name == "Decimal":
        return _decimals(column, rows, chance, spread)
    least, most = _integers(column, spread)
    return _between(least, most, rows, chance)


def _between(least: int, most: int, rows: int, chance: RandomSource) -> Any:
    """Draw integers of any size, both ends included."""
    if most < least:
        raise ContractError(f"there is no integer from {least} to {most}")
    if least >= -(1 << 63) and most < 1 << 63:
        return chance.integers(least, most, size=rows, endpoint=True)
    # The range is wider than NumPy's integers: scale floats, which may miss the ends.
    return [least + int(share * (most - least)) for share in chance.random(rows)]


def _integers(column: Column, spread: int) -> tuple[int, int]:
    assert column.dtype.integer_range is not None
    lowest, highest = column.dtype.integer_range
    least = _least(column, lambda bound: bound + 1)
    most = _most(column, lambda bound: bound - 1)
    wide = max(1_000, spread)
    low = max(lowest, least if least is not None else 0 if most is None else most - wide)
    high = min(highest, most if most is not None else low + wide)
    return min(low, high) if least is None else low, high


def _least(column: Column, after: Callable[[Any], Any]) -> Any:
    if column.min is not None:
        return _ceil(column.min) if column.dtype.is_number else column.min
    bound = column.min_exclusive
    if bound is None:
        return None
    return after(_floor(bound) if column.dtype.is_number else bound)


def _most(column: Column, before: Callable[[Any], Any]) -> Any:
    if column.max is not None:
        return _floor(column.max) if column.dtype.is_number else column.max
    bound = column.max_exclusive
    if bound is None:
        return None
    return before(_ceil(bound) if column.dtype.is_number else bound)


def _floor(bound: Any) -> int:
    return int(np.floor(bound)) if isinstance(bound, float) else int(bound // 1)


def _ceil(bound: Any) -> int:
    return -_floor(-bound)


def _floats(column: Column, rows: int, chance: RandomSource) -> Numbers:
    least: Any = column.min if column.min is not None else column.min_exclusive
    most: Any = column.max if column.max is not None else column.max_exclusive
    low = min(0.0, float(most) - 100) if least is None and most is not None else float(least or 0)
    high = float(most) if most is not None else low + 100
    low, high = max(low, -1e300), min(high, 1e300)
    values = low + (high - low) * chance.random(rows)
    plain = np.round(values, 2)
    # Two decimals look like real data, if the bounds leave room for them.
    found: Numbers = np.where((plain > low) & (plain < high), plain, values)
    return found


def _decimals(column: Column, rows: int, chance: RandomSource, spread: int) -> list[Decimal]:
    precision, scale = (int(str(arg)) for arg in column.dtype.args)
    unit, widest = 10**scale, 10**precision - 1
    scaled = {
        name: None if (bound := getattr(column, name)) is None else Decimal(bound) * unit
        for name in ("min", "max", "min_exclusive", "max_exclusive")
    }
    whole = Column(dtype=DType("Int128"), **scaled)  # type: ignore[arg-type]
    least, most = _integers(whole, max(spread, 1_000 * unit))
    units = _between(max(least, -widest), min(most, widest), rows, chance)
    return [Decimal(int(value)).scaleb(-scale) for value in units]


def _days(column: Column, rows: int, chance: RandomSource) -> Any:
    one = timedelta(days=1)
    least = _least(column, lambda bound: bound + one)
    most = _most(column, lambda bound: bound - one)
    low, high = _span(least, most, _FIRST_DAY, timedelta(days=_DAYS))
    epoch = date(1970, 1, 1).toordinal()
    days = _between(low.toordinal() - epoch, high.toordinal() - epoch, rows, chance)
    return days.astype(np.int32)


def _moments(column: Column, rows: int, chance: RandomSource) -> Any:
    zone = column.dtype.args[1]
    first = datetime.combine(_FIRST_DAY, datetime.min.time(), tzinfo=UTC if zone else None)
    tick = timedelta(milliseconds=1)
    least = _least(column, lambda bound: bound + tick)
    most = _most(column, lambda bound: bound - tick)
    low, high = _span(least, most, first, timedelta(days=_DAYS))
    seconds = int((high - low).total_seconds())
    start = pl.Series([low], dtype=polars_type(column.dtype))
    offsets = pl.Series(_between(0, seconds, rows, chance)) * _PER_SECOND[str(column.dtype.args[0])]
    return offsets + start.to_physical()[0]


def _span(least: Any, most: Any, first: Any, length: timedelta) -> tuple[Any, Any]:
    """Return a range of times within bounds: the default one, unless they exclude it."""
    if least is None and most is None:
        return first, first + length
    if least is None:
        return (first, most) if first <= most else (most - length, most)
    if most is None:
        return (max(first, least), max(first, least) + length)
    return least, most


def _durations(column: Column, rows: int, chance: RandomSource) -> Any:
    unit = str(column.dtype.args[0])
    return chance.integers(_DAY_S, size=rows) * _PER_SECOND[unit]


def _lists(column: Column, rows: int, chance: RandomSource) -> list[list[Any]]:
    lengths = _lengths(column, rows, chance)
    flat = draw_values(_plain(column.dtype.args[0]), int(lengths.sum()), chance).to_list()
    ends = np.cumsum(lengths)
    return [flat[end - length : end] for length, end in zip(lengths, ends, strict=True)]


def _lengths(
    column: Column, rows: int, chance: RandomSource, usual: tuple[int, int] = (0, 3)
) -> Any:
    low = column.min_length if column.min_length is not None else usual[0]
    high = column.max_length if column.max_length is not None else max(usual[1], low + 3)
    return chance.integers(min(low, high), high, size=rows, endpoint=True)


def _arrays(column: Column, rows: int, chance: RandomSource) -> list[list[Any]]:
    inner, width = _plain(column.dtype.args[0]), int(str(column.dtype.args[1]))
    flat = draw_values(inner, rows * width, chance).to_list()
    return [flat[start : start + width] for start in range(0, rows * width, max(width, 1))]


def _structs(column: Column, rows: int, chance: RandomSource) -> list[dict[str, Any]]:
    args = column.dtype.args
    fields = {
        str(name): draw_values(_plain(dtype), rows, chance).to_list()
        for name, dtype in zip(args[::2], args[1::2], strict=True)
    }
    return [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]


def _plain(dtype: object) -> Column:
    assert isinstance(dtype, DType)
    return Column(dtype=dtype)


def _text(column: Column, chance: RandomSource) -> str:
    if column.regex is not None:
        return _text_generator(column.regex).draw(chance)
    length = int(_lengths(column, 1, chance, (3, 8))[0])
    return "".join(string.ascii_lowercase[i] for i in chance.integers(26, size=length))


@lru_cache(maxsize=256)
def _text_generator(pattern: str) -> RegexText:
    return RegexText(pattern)


def _bytes(column: Column, chance: RandomSource) -> bytes:
    return chance.bytes(int(_lengths(column, 1, chance, (1, 8))[0]))


def _word(column: Column, chance: RandomSource) -> str:
    return str(_WORDS[int(chance.integers(len(_WORDS)))])


def _enum(column: Column, rows: int, chance: RandomSource) -> Sequence[object]:
    return [column.dtype.args[i] for i in chance.integers(len(column.dtype.args), size=rows)]


_WORDS = ("amber", "birch", "coral", "dune", "ember", "fern", "grove", "heath")
_LONG: Mapping[str, Callable[[Column, RandomSource], Any]] = {
    "String": _text,
    "Binary": _bytes,
    "Categorical": _word,
}
_OTHERS: Mapping[str, Callable[[Column, int, RandomSource], Any]] = {
    "Boolean": lambda _, rows, chance: chance.random(rows) < 0.5,
    "Enum": _enum,
    "Date": _days,
    "Datetime": _moments,
    "Time": lambda _, rows, chance: chance.integers(_DAY_S, size=rows) * _PER_SECOND["ns"],
    "Duration": _durations,
    "List": _lists,
    "Array": _arrays,
    "Struct": _structs,
}
