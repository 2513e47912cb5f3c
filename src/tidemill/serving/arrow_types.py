"""The types of the columns of an Arrow stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.arrow_messages import DamagedStream, FlatTable
from tidemill.serving.errors import BadRequest

# Kinds of buffers beside those of numbers, which are named by their NumPy type.
NULL, BOOL, DECIMAL = "null", "bool", "decimal"
TEXT, LARGE_TEXT, TEXT_VIEW = TEXTS = "text", "large_text", "text_view"
_NAMES = {11: "Interval", 12: "List", 13: "Struct", 14: "Union", 16: "FixedSizeList", 17: "Map"}
_TEXT_KINDS = {4: TEXT, 5: TEXT, 19: LARGE_TEXT, 20: LARGE_TEXT, 23: TEXT_VIEW, 24: TEXT_VIEW}
_BINARY = (4, 19, 23)
_PER_SECOND = (1, 10**3, 10**6, 10**9)
# Days and seconds since 1970 of the years 1 and 9999, which Python's dates hold; a day; Python's timedeltas.
_DAYS = (-719_162, 2_932_896)
_SECONDS = (-62_135_596_800, 253_402_300_799)
_CLOCK = (0, 86_399)
_DURATION = (-(10**13), 10**13)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrowField:
    """A column: its name, the kind of its buffers, and the Polars type of its values.

    Items are multiplied by `factor` and must then be within `bounds`. If the column has a `dictionary`, its
    items are positions in it, of the NumPy type `index`.
    """

    name: str
    kind: str
    dtype: pl.DataType
    factor: int = 1
    bounds: tuple[int, int] | None = None
    dictionary: int | None = None
    index: str = ""


def read_field(table: FlatTable) -> ArrowField:
    """Return a field of a schema; BadRequest for a type that isn't read."""
    name, code, kind = table.text(0), table.integer(2, "B"), table.table(3)
    if kind is None:
        raise DamagedStream(f"column {name!r} has no type")
    read = _READ.get(code)
    if read is None:
        raise BadRequest(
            f"column {name!r} has Arrow's type {_NAMES.get(code, code)}, which isn't read here: send JSON"
        )
    found = read(name, code, kind)
    encoding = table.table(4)
    if encoding is None:
        return found
    if found.kind not in TEXTS:
        raise BadRequest(
            f"column {name!r} has a dictionary of values that aren't text: send the values"
        )
    index = encoding.table(1)
    index_type = "<i4" if index is None else _integer(name, code, index).kind
    return replace(found, dictionary=encoding.integer(0, "q"), index=index_type)


def _integer(name: str, _: int, kind: FlatTable) -> ArrowField:
    bits, sign = kind.integer(0, "i"), "i" if kind.integer(1, "B") else "u"
    if bits not in (8, 16, 32, 64):
        raise BadRequest(f"column {name!r} has integers of {bits} bits, which aren't read here")
    dtype = getattr(pl, f"{'' if sign == 'i' else 'U'}Int{bits}")()
    return ArrowField(name=name, kind=f"<{sign}{bits // 8}", dtype=dtype)


def _float(name: str, _: int, kind: FlatTable) -> ArrowField:
    at = _unit(name, kind.integer(0, "h"), 3)
    return ArrowField(
        name=name,
        kind=("<f2", "<f4", "<f8")[at],
        dtype=(pl.Float16(), pl.Float32(), pl.Float64())[at],
    )


def _unit(name: str, unit: int, count: int = 4) -> int:
    if not 0 <= unit < count:
        raise DamagedStream(f"column {name!r} has the unit {unit}")
    return unit


def _text(name: str, code: int, _: FlatTable) -> ArrowField:
    dtype = pl.Binary() if code in _BINARY else pl.String()
    return ArrowField(name=name, kind=_TEXT_KINDS[code], dtype=dtype)


def _decimal(name: str, _: int, kind: FlatTable) -> ArrowField:
    precision, scale, bits = kind.integer(0, "i"), kind.integer(1, "i"), kind.integer(2, "i", 128)
    if bits != 128 or not 0 < precision <= 38 or not 0 <= scale <= precision:
        raise BadRequest(
            f"column {name!r} has decimals of {bits} bits with {precision} digits and scale {scale}, which "
            "aren't read here"
        )
    return ArrowField(name=name, kind=DECIMAL, dtype=pl.Decimal(precision, scale))


def _date(name: str, _: int, kind: FlatTable) -> ArrowField:
    if _unit(name, kind.integer(0, "h", 1), 2) == 0:
        return ArrowField(name=name, kind="<i4", dtype=pl.Date(), bounds=_DAYS)
    return ArrowField(name=name, kind="<i8", dtype=pl.Datetime("ms"), bounds=_scaled(_SECONDS, 1))


def _scaled(seconds: tuple[int, int], unit: int) -> tuple[int, int]:
    """Return bounds in a unit, within 64 bits; the last second ends before the next one."""
    low, high = seconds
    per = _PER_SECOND[unit]
    return max(low * per, -(1 << 63)), min(high * per + per - 1, (1 << 63) - 1)


def _time(name: str, _: int, kind: FlatTable) -> ArrowField:
    unit = _unit(name, kind.integer(0, "h", 1))
    return ArrowField(
        name=name,
        kind="<i4" if unit < 2 else "<i8",
        dtype=pl.Time(),
        factor=10**9 // _PER_SECOND[unit],
        bounds=_scaled(_CLOCK, 3),
    )


def _datetime(name: str, _: int, kind: FlatTable) -> ArrowField:
    unit, zone = _unit(name, kind.integer(0, "h")), kind.text(1)
    dtype = pl.Datetime(_polars_unit(unit), zone or None)
    try:
        pl.Series([0]).cast(dtype).to_list()
    except (PolarsError, PanicException, ValueError, KeyError, OSError):
        raise BadRequest(
            f"column {name!r} has the time zone {zone[:60]!r}, which isn't known"
        ) from None
    return _of_units(name, unit, dtype, _SECONDS)


def _duration(name: str, _: int, kind: FlatTable) -> ArrowField:
    unit = _unit(name, kind.integer(0, "h", 1))
    return _of_units(name, unit, pl.Duration(_polars_unit(unit)), _DURATION)


def _polars_unit(unit: int) -> Any:
    # Polars has no whole seconds.
    return ("ms", "ms", "us", "ns")[unit]


def _of_units(name: str, unit: int, dtype: pl.DataType, seconds: tuple[int, int]) -> ArrowField:
    factor = 1_000 if unit == 0 else 1
    return ArrowField(
        name=name, kind="<i8", dtype=dtype, factor=factor, bounds=_scaled(seconds, max(unit, 1))
    )


def _null(name: str, _: int, __: FlatTable) -> ArrowField:
    return ArrowField(name=name, kind=NULL, dtype=pl.Null())


def _bool(name: str, _: int, __: FlatTable) -> ArrowField:
    return ArrowField(name=name, kind=BOOL, dtype=pl.Boolean())


_READ: Mapping[int, Callable[[str, int, FlatTable], ArrowField]] = {
    1: _null,
    2: _integer,
    3: _float,
    6: _bool,
    7: _decimal,
    8: _date,
    9: _time,
    10: _datetime,
    18: _duration,
    **dict.fromkeys(_TEXT_KINDS, _text),
}
