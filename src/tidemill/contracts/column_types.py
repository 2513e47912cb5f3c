"""The column types of contracts: `tm.Int64(min=1)`, `tm.Enum(["EWR", "JFK"])`.

All columns take `nullable` (False), `isin`, `unique` (False), `on_fail` ("quarantine", "fail",
"warn"), `partition` ("value", or "1h", "1d", "1w", "1mo" for times), `optional` (False) with its
`default`, `unit`, `description`, `role` and `pii`. Numbers and times also take bounds; text, bytes
and lists take bounds of their length.

How a column is read: `source` is its name in files (`tm.Float64(source="Temp (F)")`), `null_values` are
the words for a missing value. Numbers take `decimal_comma` and `thousands`, `Bool` takes `true_values` and
`false_values`, times take the `format` of their text (or a list of formats, the first that fits counts).
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields as fields_of
from datetime import date, datetime
from typing import Any, Literal, TypedDict, Unpack

from tidemill.contracts.column import Column, OnFail
from tidemill.contracts.dtype import DType
from tidemill.contracts.text_format import AS_STORED, TextFormat, words
from tidemill.core.errors import ContractError, did_you_mean
from tidemill.core.partition import Grain, parse_grain


class ColumnArguments(TypedDict, total=False):
    """The arguments of every column."""

    nullable: bool
    isin: Iterable[object]
    unique: bool
    on_fail: OnFail
    partition: str
    optional: bool
    default: object
    unit: str
    description: str
    role: Literal["", "label", "id", "feature"]
    pii: str
    source: str
    null_values: str | Sequence[str]


class LengthArguments(ColumnArguments, total=False):
    """The arguments of a column of text, bytes or lists; both bounds are inclusive."""

    min_length: int | None
    max_length: int | None


class NumberArguments(ColumnArguments, total=False):
    """The arguments of a column of numbers, which say how their text is read."""

    decimal_comma: bool
    thousands: str


class BoolArguments(ColumnArguments, total=False):
    """The arguments of a column of true and false; words are compared without regard to case."""

    true_values: str | Sequence[str]
    false_values: str | Sequence[str]


class TimeArguments(ColumnArguments, total=False):
    """The arguments of a column of times; `format` is as in `strptime`, such as "%d.%m.%Y"."""

    format: str | Sequence[str]


class IntegerArguments(NumberArguments, total=False):
    """The arguments of a column of integers; `min` and `max` are inclusive bounds."""

    min: int | None
    max: int | None
    min_exclusive: int | None
    max_exclusive: int | None


class FloatArguments(NumberArguments, total=False):
    """The arguments of a column of floats; `min` and `max` are inclusive bounds."""

    min: float | None
    max: float | None
    min_exclusive: float | None
    max_exclusive: float | None


class DecimalArguments(NumberArguments, total=False):
    """The arguments of a column of decimals; a float is refused as a bound because it is inexact."""

    min: decimal.Decimal | int | None
    max: decimal.Decimal | int | None
    min_exclusive: decimal.Decimal | int | None
    max_exclusive: decimal.Decimal | int | None


class DateArguments(TimeArguments, total=False):
    """The arguments of a column of days; `min` and `max` are inclusive bounds."""

    min: date | None
    max: date | None
    min_exclusive: date | None
    max_exclusive: date | None


class DatetimeArguments(TimeArguments, total=False):
    """The arguments of a column of timestamps; bounds have a time zone if the column has one.

    A `format` without an offset from UTC reads local times of the column's zone.
    """

    min: datetime | None
    max: datetime | None
    min_exclusive: datetime | None
    max_exclusive: datetime | None


def _column(
    dtype: DType,
    arguments: Mapping[str, Any],
    takes: type = ColumnArguments,
    *,
    regex: str | None = None,
) -> Column:
    known: frozenset[str] = takes.__optional_keys__  # type: ignore[attr-defined]
    for argument in arguments:
        if argument not in known:
            advice = did_you_mean(argument, sorted({*known, "regex"}))
            raise ContractError(f"{dtype.name}({argument}=...): unknown argument ({advice})")
    if not isinstance(source := arguments.get("source", ""), str):
        raise ContractError(f"source={source!r} is not the name of a column in files")
    kept = {name: value for name, value in arguments.items() if name not in _TEXT}
    isin = _allowed_values(arguments.get("isin"))
    partition = _partition_grain(arguments.get("partition"))
    text = _text_format(arguments) if len(kept) < len(arguments) else AS_STORED
    more = {"isin": isin, "partition": partition, "text": text}
    return Column(dtype=dtype, regex=regex, **{**kept, **more})


_TEXT = ("format", "decimal_comma", "thousands", "true_values", "false_values", "null_values")


def _text_format(arguments: Mapping[str, Any]) -> TextFormat:
    """Return how the text of a column is read; ContractError for an argument of the wrong type."""
    lists = ("format", "true_values", "false_values", "null_values")
    try:
        formats, true, false, null = (words(arguments.get(name), name) for name in lists)
    except TypeError as error:
        raise ContractError(str(error)) from None
    return TextFormat(
        # Python's %f is what Polars calls %.f, with the point.
        formats=tuple(form.replace(".%f", "%.f") for form in formats or ()),
        decimal_comma=arguments.get("decimal_comma"),
        thousands=arguments.get("thousands"),
        true_values=true,
        false_values=false,
        null_values=null,
    )


def _allowed_values(isin: Iterable[object] | None) -> tuple[object, ...] | None:
    if isin is None:
        return None
    if isinstance(isin, (str, bytes)) or not isinstance(isin, Iterable):
        raise ContractError(f"isin={isin!r} must be a list of the allowed values")
    return tuple(isin)


def _partition_grain(partition: str | None) -> Grain | Literal["value"] | None:
    if partition is None:
        return None
    if partition == "value":
        return "value"
    try:
        return parse_grain(partition)
    except ValueError as error:
        raise ContractError(f"{error} or 'value'") from None


def _time_unit(unit: Literal["ms", "us", "ns"]) -> Literal["ms", "us", "ns"]:
    if unit not in ("ms", "us", "ns"):
        raise ContractError(
            f"time unit {unit!r} is not one of ms, us, ns; a time zone is Datetime(time_zone='UTC')"
        )
    return unit


def Int8(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of 8-bit integers."""
    return _column(DType("Int8"), bounds, IntegerArguments)


def Int16(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of 16-bit integers."""
    return _column(DType("Int16"), bounds, IntegerArguments)


def Int32(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of 32-bit integers."""
    return _column(DType("Int32"), bounds, IntegerArguments)


def Int64(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of 64-bit integers."""
    return _column(DType("Int64"), bounds, IntegerArguments)


def Int128(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of 128-bit integers."""
    return _column(DType("Int128"), bounds, IntegerArguments)


def UInt8(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of unsigned 8-bit integers."""
    return _column(DType("UInt8"), bounds, IntegerArguments)


def UInt16(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of unsigned 16-bit integers."""
    return _column(DType("UInt16"), bounds, IntegerArguments)


def UInt32(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of unsigned 32-bit integers."""
    return _column(DType("UInt32"), bounds, IntegerArguments)


def UInt64(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of unsigned 64-bit integers."""
    return _column(DType("UInt64"), bounds, IntegerArguments)


def UInt128(**bounds: Unpack[IntegerArguments]) -> Column:
    """A column of unsigned 128-bit integers."""
    return _column(DType("UInt128"), bounds, IntegerArguments)


def Float16(**bounds: Unpack[FloatArguments]) -> Column:
    """A column of 16-bit floats."""
    return _column(DType("Float16"), bounds, FloatArguments)


def Float32(**bounds: Unpack[FloatArguments]) -> Column:
    """A column of 32-bit floats."""
    return _column(DType("Float32"), bounds, FloatArguments)


def Float64(**bounds: Unpack[FloatArguments]) -> Column:
    """A column of 64-bit floats."""
    return _column(DType("Float64"), bounds, FloatArguments)


def Decimal(precision: int, scale: int = 0, **bounds: Unpack[DecimalArguments]) -> Column:
    """A column of exact decimals with `precision` digits, `scale` of them after the point."""
    return _column(DType("Decimal", (precision, scale)), bounds, DecimalArguments)


def Bool(**common: Unpack[BoolArguments]) -> Column:
    """A column of true and false."""
    return _column(DType("Boolean"), common, BoolArguments)


def String(*, regex: str | None = None, **lengths: Unpack[LengthArguments]) -> Column:
    """A column of text; `regex` may match anywhere in it: anchor with ^ and $ to match all of it."""
    return _column(DType("String"), lengths, LengthArguments, regex=regex)


def Binary(**lengths: Unpack[LengthArguments]) -> Column:
    """A column of bytes."""
    return _column(DType("Binary"), lengths, LengthArguments)


def Enum(categories: Sequence[str], **common: Unpack[ColumnArguments]) -> Column:
    """A column of text that is one of `categories`, ordered as listed."""
    if isinstance(categories, str):
        raise ContractError(f"Enum({categories!r}) needs a list of its categories")
    return _column(DType("Enum", tuple(categories)), common)


def Categorical(**common: Unpack[ColumnArguments]) -> Column:
    """A column of repeated text whose categories aren't known beforehand."""
    return _column(DType("Categorical"), common)


def Date(**bounds: Unpack[DateArguments]) -> Column:
    """A column of calendar days."""
    return _column(DType("Date"), bounds, DateArguments)


def Datetime(
    unit_of_time: Literal["ms", "us", "ns"] = "us",
    time_zone: str | None = None,
    **bounds: Unpack[DatetimeArguments],
) -> Column:
    """A column of timestamps; it is partitioned into days, weeks and months of `time_zone`, hours of UTC."""
    return _column(
        DType("Datetime", (_time_unit(unit_of_time), time_zone)), bounds, DatetimeArguments
    )


def Time(**common: Unpack[TimeArguments]) -> Column:
    """A column of times of day."""
    return _column(DType("Time"), common, TimeArguments)


def Duration(
    unit_of_time: Literal["ms", "us", "ns"] = "us", **common: Unpack[ColumnArguments]
) -> Column:
    """A column of durations."""
    return _column(DType("Duration", (_time_unit(unit_of_time),)), common)


def List(inner: Column, **lengths: Unpack[LengthArguments]) -> Column:
    """A column of lists whose items have the type of `inner`; only that type is checked."""
    return _column(DType("List", (_inner("List", inner),)), lengths, LengthArguments)


def Array(inner: Column, width: int, **common: Unpack[ColumnArguments]) -> Column:
    """A column of lists that all have `width` items of the type of `inner`."""
    if isinstance(width, bool) or not isinstance(width, int) or width < 0:
        raise ContractError(f"Array(width={width!r}) needs a number of items, such as 3")
    return _column(DType("Array", (_inner("Array", inner), width)), common)


def Struct(fields: Mapping[str, Column], **common: Unpack[ColumnArguments]) -> Column:
    """A column of records with these fields, each of the type of its column."""
    if not isinstance(fields, Mapping) or not fields:
        raise ContractError(f"Struct({fields!r}) needs its fields, such as {{'lat': tm.Float64()}}")
    parts = [(str(name), _inner("Struct", inner, name)) for name, inner in fields.items()]
    return _column(DType("Struct", tuple(part for pair in parts for part in pair)), common)


def _inner(outer: str, inner: object, field: str = "") -> DType:
    """Return the type of a nested column; refuse its other arguments, which wouldn't be checked."""
    what = f"{outer}: field {field!r}" if field else f"{outer}: its inner column"
    if not isinstance(inner, Column):
        raise ContractError(f"{what} is {inner!r}, not a column such as tm.Int64()")
    plain = Column(dtype=inner.dtype, name=inner.name, nullable=inner.nullable)
    more = [
        item.name
        for item in fields_of(inner)
        if getattr(inner, item.name) != getattr(plain, item.name)
    ]
    if more:
        raise ContractError(
            f"{what} sets {', '.join(more)}, which isn't checked inside a {outer}: declare only its type "
            "and check its values with a tm.rule(...)"
        )
    return inner.dtype
