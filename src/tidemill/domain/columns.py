"""The column types that a contract is written with: `tm.Int64(min=1)`, `tm.Enum(["EWR", "JFK"])`.

Every one takes what all columns take: `nullable` (False), `isin`, `on_fail` ("quarantine", "fail",
"warn"), `partition` ("value", or "1h", "1d", "1w", "1mo" for times), `unit`, `description`, `role`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Literal, TypedDict, Unpack

from tidemill.domain.column import Bound, Column, OnFail
from tidemill.domain.dtype import DType
from tidemill.domain.errors import ContractError, did_you_mean
from tidemill.domain.partition import Grain, parse_grain


class Common(TypedDict, total=False):
    """What every column takes."""

    nullable: bool
    isin: Iterable[object]
    on_fail: OnFail
    partition: str
    unit: str
    description: str
    role: Literal["", "label", "id", "feature"]


def _column(
    dtype: DType,
    common: Common,
    *,
    min: Bound = None,
    max: Bound = None,
    regex: str | None = None,
) -> Column:
    for argument in common:
        if argument not in Common.__annotations__:
            advice = did_you_mean(argument, (*Common.__annotations__, "min", "max", "regex"))
            raise ContractError(f"{dtype.name}({argument}=...): columns don't take that ({advice})")
    return Column(
        dtype=dtype,
        min=min,
        max=max,
        regex=regex,
        isin=_values(common.get("isin")),
        partition=_cut(common.get("partition")),
        nullable=common.get("nullable", False),
        on_fail=common.get("on_fail", "quarantine"),
        unit=common.get("unit", ""),
        description=common.get("description", ""),
        role=common.get("role", ""),
    )


def _values(isin: Iterable[object] | None) -> tuple[object, ...] | None:
    if isin is None:
        return None
    if isinstance(isin, (str, bytes)) or not isinstance(isin, Iterable):
        raise ContractError(f"isin={isin!r} must be a list of the allowed values")
    return tuple(isin)


def _cut(partition: str | None) -> Grain | Literal["value"] | None:
    if partition is None:
        return None
    if partition == "value":
        return "value"
    try:
        return parse_grain(partition)
    except ValueError as error:
        raise ContractError(f"{error} or 'value'") from None


def _unit(unit: Literal["ms", "us", "ns"]) -> Literal["ms", "us", "ns"]:
    if unit not in ("ms", "us", "ns"):
        raise ContractError(
            f"unit of time {unit!r} is not one of ms, us, ns; a zone is Datetime(time_zone='UTC')"
        )
    return unit


def Int8(*, min: int | None = None, max: int | None = None, **common: Unpack[Common]) -> Column:
    """A column of 8-bit integers."""
    return _column(DType("Int8"), common, min=min, max=max)


def Int16(*, min: int | None = None, max: int | None = None, **common: Unpack[Common]) -> Column:
    """A column of 16-bit integers."""
    return _column(DType("Int16"), common, min=min, max=max)


def Int32(*, min: int | None = None, max: int | None = None, **common: Unpack[Common]) -> Column:
    """A column of 32-bit integers."""
    return _column(DType("Int32"), common, min=min, max=max)


def Int64(*, min: int | None = None, max: int | None = None, **common: Unpack[Common]) -> Column:
    """A column of 64-bit integers."""
    return _column(DType("Int64"), common, min=min, max=max)


def UInt8(*, min: int | None = None, max: int | None = None, **common: Unpack[Common]) -> Column:
    """A column of unsigned 8-bit integers."""
    return _column(DType("UInt8"), common, min=min, max=max)


def UInt16(*, min: int | None = None, max: int | None = None, **common: Unpack[Common]) -> Column:
    """A column of unsigned 16-bit integers."""
    return _column(DType("UInt16"), common, min=min, max=max)


def UInt32(*, min: int | None = None, max: int | None = None, **common: Unpack[Common]) -> Column:
    """A column of unsigned 32-bit integers."""
    return _column(DType("UInt32"), common, min=min, max=max)


def UInt64(*, min: int | None = None, max: int | None = None, **common: Unpack[Common]) -> Column:
    """A column of unsigned 64-bit integers."""
    return _column(DType("UInt64"), common, min=min, max=max)


def Float32(
    *, min: float | None = None, max: float | None = None, **common: Unpack[Common]
) -> Column:
    """A column of 32-bit floats."""
    return _column(DType("Float32"), common, min=min, max=max)


def Float64(
    *, min: float | None = None, max: float | None = None, **common: Unpack[Common]
) -> Column:
    """A column of 64-bit floats."""
    return _column(DType("Float64"), common, min=min, max=max)


def Decimal(precision: int, scale: int = 0, **common: Unpack[Common]) -> Column:
    """A column of exact decimals with `precision` digits, `scale` of them after the point."""
    return _column(DType("Decimal", (precision, scale)), common)


def Bool(**common: Unpack[Common]) -> Column:
    """A column of true and false."""
    return _column(DType("Boolean"), common)


def String(*, regex: str | None = None, **common: Unpack[Common]) -> Column:
    """A column of text; `regex` must match somewhere: anchor it with ^ and $ to mean the whole."""
    return _column(DType("String"), common, regex=regex)


def Binary(**common: Unpack[Common]) -> Column:
    """A column of bytes."""
    return _column(DType("Binary"), common)


def Enum(categories: Sequence[str], **common: Unpack[Common]) -> Column:
    """A column of text that is one of `categories`, in their order."""
    if isinstance(categories, str):
        raise ContractError(f"Enum({categories!r}) must be given a list of its categories")
    return _column(DType("Enum", tuple(categories)), common)


def Categorical(**common: Unpack[Common]) -> Column:
    """A column of repeated text whose categories aren't known beforehand."""
    return _column(DType("Categorical"), common)


def Date(*, min: date | None = None, max: date | None = None, **common: Unpack[Common]) -> Column:
    """A column of calendar days."""
    return _column(DType("Date"), common, min=min, max=max)


def Datetime(
    unit_of_time: Literal["ms", "us", "ns"] = "us",
    time_zone: str | None = None,
    *,
    min: datetime | None = None,
    max: datetime | None = None,
    **common: Unpack[Common],
) -> Column:
    """A column of moments; days, weeks and months are cut in `time_zone`, hours in UTC."""
    return _column(DType("Datetime", (_unit(unit_of_time), time_zone)), common, min=min, max=max)


def Time(**common: Unpack[Common]) -> Column:
    """A column of times of day."""
    return _column(DType("Time"), common)


def Duration(unit_of_time: Literal["ms", "us", "ns"] = "us", **common: Unpack[Common]) -> Column:
    """A column of lengths of time."""
    return _column(DType("Duration", (_unit(unit_of_time),)), common)


def List(inner: Column, **common: Unpack[Common]) -> Column:
    """A column of lists whose items have the type of `inner`."""
    return _column(DType("List", (inner.dtype,)), common)
