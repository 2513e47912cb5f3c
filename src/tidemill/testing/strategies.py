"""Generate frames that satisfy a contract, for property tests with Hypothesis (extra `testing`).

Values are drawn column by column, so that a failing example shrinks to few simple values. Rows that
violate a rule of the contract are dropped.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from tidemill.contracts.checks.checker import checker_of
from tidemill.contracts.checks.schema import polars_type, schema_of
from tidemill.contracts.column import Column
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.synthetic.rows import strict_contract

try:
    from hypothesis import assume
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "tidemill.testing.strategies needs Hypothesis: pip install 'tidemill[testing]'"
    ) from error


def frames(
    contract: type[DeclaredContract], *, min_rows: int = 0, max_rows: int = 10
) -> st.SearchStrategy[pl.DataFrame]:
    """Frames of `min_rows` to `max_rows` rows that pass every rule of a contract, sorted by its key."""
    return _frames(contract.__tidemill_contract__, min_rows, max_rows)


@st.composite
def _frames(draw: st.DrawFn, spec: ContractSpec, min_rows: int, max_rows: int) -> pl.DataFrame:
    row = st.tuples(*(_column_values(column) for column in spec.columns))
    rows = draw(st.lists(row, min_size=min_rows, max_size=max_rows))
    frame = pl.DataFrame(rows, schema=schema_of(spec), orient="row", strict=False)
    # Generated frames satisfy all rules, including those that only warn in a run.
    good = checker_of(strict_contract(spec)).check(frame).good
    assume(good.height >= min_rows)
    return good


def _column_values(column: Column) -> st.SearchStrategy[Any]:
    values = _non_null_values(column)
    return st.none() | values if column.nullable else values


def _non_null_values(column: Column) -> st.SearchStrategy[Any]:
    if column.isin is not None:
        return st.sampled_from([value for value in column.isin if value is not None])
    if column.regex is not None:
        return st.from_regex(column.regex)
    return _values_of_type(column.dtype, column)


def _values_of_type(dtype: DType, column: Column) -> st.SearchStrategy[Any]:
    name = dtype.name
    if name.startswith(("Int", "UInt")):
        return _integers(name, column)
    if name.startswith("Float"):
        return _floats(name, column)
    match name:
        case "Decimal":
            precision, scale = (int(str(arg)) for arg in dtype.args)
            units = st.integers(-(10**precision) + 1, 10**precision - 1)
            return units.map(lambda number: Decimal(number).scaleb(-scale))
        case "Enum":
            return st.sampled_from(dtype.args)
        case "List":
            return st.lists(_inner_values(dtype.args[0]), **_length_bounds(column, 3))
        case "Array":
            width = int(str(dtype.args[1]))
            return st.lists(_inner_values(dtype.args[0]), min_size=width, max_size=width)
        case "Struct":
            pairs = zip(dtype.args[::2], dtype.args[1::2], strict=True)
            return st.fixed_dictionaries({str(key): _inner_values(part) for key, part in pairs})
    return _values_of_plain_type(name, dtype, column)


def _inner_values(dtype: object) -> st.SearchStrategy[Any]:
    assert isinstance(dtype, DType)
    return _values_of_type(dtype, Column(dtype=dtype))


def _values_of_plain_type(name: str, dtype: DType, column: Column) -> st.SearchStrategy[Any]:
    match name:
        case "String":
            return st.text(**_length_bounds(column, 8))
        case "Binary":
            return st.binary(**_length_bounds(column, 8))
        case "Date":
            return st.dates(*_value_bounds(column, date(1970, 1, 1), date(2100, 1, 1)))
        case "Datetime":
            return _datetimes(column, str(dtype.args[1] or ""))
    return _SIMPLE_TYPES[name]


def _datetimes(column: Column, zone: str) -> st.SearchStrategy[datetime]:
    first, last = _value_bounds(
        column, *(datetime(y, 1, 1, tzinfo=_zone(zone)) for y in (1970, 2100))
    )
    naive = (moment.astimezone(_zone(zone)).replace(tzinfo=None) if zone else moment
             for moment in (first, last))  # fmt: skip
    return st.datetimes(*naive).map(lambda moment: moment.replace(tzinfo=_zone(zone)))


def _zone(name: str) -> ZoneInfo | None:
    return ZoneInfo(name) if name else None


def _length_bounds(column: Column, default_spread: int) -> dict[str, Any]:
    least = column.min_length or 0
    most = column.max_length if column.max_length is not None else least + default_spread
    return {"min_size": least, "max_size": most}


def _value_bounds(column: Column, least: Any, most: Any) -> tuple[Any, Any]:
    """Inclusive bounds; a value equal to an exclusive bound is rejected later by the contract."""
    low = column.min if column.min is not None else column.min_exclusive
    high = column.max if column.max is not None else column.max_exclusive
    low = least if low is None else low
    high = most if high is None else high
    return min(low, high), max(low, high)


def _integers(name: str, column: Column) -> st.SearchStrategy[int]:
    bits = int(name.lstrip("UInt"))
    least, most = (
        (0, 2**bits - 1) if name.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    low, high = _value_bounds(column, least, most)
    return st.integers(-(-low // 1), high // 1)


def _floats(name: str, column: Column) -> st.SearchStrategy[float]:
    low, high = _value_bounds(column, None, None) if _is_bounded(column) else (None, None)
    values = st.floats(low, high, allow_nan=False)
    if name == "Float64":
        return values
    # Rounding to Float32 may move a value past its bound; the contract then rejects it.
    return values.map(lambda value: float(pl.Series([value]).cast(polars_type(DType(name)))[0]))


def _is_bounded(column: Column) -> bool:
    low = column.min is not None or column.min_exclusive is not None
    return low and (column.max is not None or column.max_exclusive is not None)


_SIMPLE_TYPES: dict[str, st.SearchStrategy[Any]] = {
    "Boolean": st.booleans(),
    "Categorical": st.sampled_from(["a", "b", "c"]),
    "Time": st.times(max_value=time(23, 59, 59)),
    "Duration": st.timedeltas(timedelta(0), timedelta(days=1)),
}
