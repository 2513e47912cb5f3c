"""Convert between contract types and Polars types, and check schemas without data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import polars as pl

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError, Fault, did_you_mean

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

_PLAIN: Mapping[str, type[pl.DataType]] = {
    kind.__name__: kind
    for kind in (
        pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128,
        pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128,
        pl.Float16, pl.Float32, pl.Float64,
        pl.Boolean, pl.String, pl.Binary, pl.Categorical, pl.Date, pl.Time, pl.Null, pl.Object,
    )
}  # fmt: skip

# The types whose values are text.
TEXT_TYPES = (pl.String, pl.Enum, pl.Categorical)


def polars_type(dtype: DType) -> pl.DataType:
    """Return the Polars type of a contract type; ContractError for an unknown name."""
    args = dtype.args
    match dtype.name:
        case "Decimal":
            return pl.Decimal(_int(args[0]), _int(args[1]))
        case "Datetime":
            return pl.Datetime(str(args[0]), args[1])  # type: ignore[arg-type]
        case "Duration":
            return pl.Duration(str(args[0]))  # type: ignore[arg-type]
        case "Enum":
            return pl.Enum([str(category) for category in args])
        case "List":
            return pl.List(_inner(args[0]))
        case "Array":
            return pl.Array(_inner(args[0]), _int(args[1]))
        case "Struct":
            return pl.Struct(dict(zip(map(str, args[::2]), map(_inner, args[1::2]), strict=True)))
        case name if name in _PLAIN:
            return _PLAIN[name]()
    raise ContractError(f"type {dtype} is unknown ({did_you_mean(dtype.name, _PLAIN)})")


def dtype_of(actual: pl.DataType) -> DType:
    """Return the contract type of a Polars type; the inverse of `polars_type`."""
    name = type(actual).__name__
    match actual:
        case pl.Decimal():
            return DType(name, (actual.precision, actual.scale))
        case pl.Datetime():
            return DType(name, (actual.time_unit, actual.time_zone))
        case pl.Duration():
            return DType(name, (actual.time_unit,))
        case pl.Enum():
            return DType(name, tuple(actual.categories))
        case pl.Array():
            return DType(name, (dtype_of(_instance(actual.inner)), actual.size))
        case pl.List():
            return DType(name, (dtype_of(_instance(actual.inner)),))
        case pl.Struct():
            parts = ((field.name, dtype_of(_instance(field.dtype))) for field in actual.fields)
            return DType(name, tuple(part for pair in parts for part in pair))
    return DType(name)


def schema_of(spec: ContractSpec) -> dict[str, pl.DataType]:
    """Return the Polars type of every column of a contract, in its order."""
    return {column.name: polars_type(column.dtype) for column in spec.columns}


def schema_faults(
    spec: ContractSpec, actual: Mapping[str, pl.DataType], *, where: str
) -> list[Fault]:
    """Return the faults of an output schema that can never pass its contract."""
    faults = [
        fault for column in spec.columns if (fault := _output_fault(spec, column, actual, where))
    ]
    if spec.unknown_columns == "fail":
        faults += _unknown_faults(spec, actual, where)
    return faults


def _output_fault(
    spec: ContractSpec, column: Column, actual: Mapping[str, pl.DataType], where: str
) -> Fault | None:
    if column.name not in actual:
        if column.optional:
            return None
        return Fault(
            message=f"the output has no column {column.name!r} of contract {spec.name}",
            where=where,
            # A declared column can't be the missing one under another name.
            hint=did_you_mean(column.name, set(actual).difference(spec.names) or actual),
        )
    found = dtype_of(actual[column.name])
    if column.dtype.includes(found):
        return None
    return Fault(
        message=f"column {column.name!r} is {found}, but contract {spec.name} declares {column.dtype}",
        where=where,
        hint="cast it in the stage, or change the declared type",
    )


def _unknown_faults(
    spec: ContractSpec, actual: Mapping[str, pl.DataType], where: str
) -> Iterable[Fault]:
    known = set(spec.names)
    for name in actual:
        if name not in known:
            yield Fault(
                message=f"the output has a column {name!r} that contract {spec.name} doesn't declare",
                where=where,
                hint='declare it, leave it out, or set unknown_columns="drop" or "keep"',
            )


def _int(arg: object) -> int:
    assert isinstance(arg, int)
    return arg


def _inner(arg: object) -> pl.DataType:
    assert isinstance(arg, DType)
    return polars_type(arg)


def _instance(actual: PolarsDataType) -> pl.DataType:
    # Polars accepts `List(Int64)` for `List(Int64())`: the inner type may be a class.
    return actual if isinstance(actual, pl.DataType) else actual()
