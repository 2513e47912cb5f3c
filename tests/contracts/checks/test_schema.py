from __future__ import annotations

import polars as pl
import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.schema import dtype_of, polars_type, schema_faults, schema_of
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, UnknownColumns
from tidemill.core.errors import ContractError

TYPES: list[pl.DataType] = [
    pl.Int8(),
    pl.Int128(),
    pl.UInt64(),
    pl.Float16(),
    pl.Float32(),
    pl.Boolean(),
    pl.String(),
    pl.Binary(),
    pl.Categorical(),
    pl.Date(),
    pl.Time(),
    pl.Null(),
    pl.Object(),
    pl.Decimal(10, 2),
    pl.Datetime("ms"),
    pl.Datetime("us", "America/New_York"),
    pl.Duration("ns"),
    pl.Enum(["b", "a"]),
    pl.List(pl.Int8),
    pl.List(pl.List(pl.Enum(["a"]))),
    pl.Array(pl.Int8, (2, 3)),
    pl.Struct({"a": pl.Int8(), "b": pl.List(pl.String)}),
]


@pytest.mark.parametrize("actual", TYPES, ids=str)
def test_every_type_goes_there_and_back(actual: pl.DataType) -> None:
    assert polars_type(dtype_of(actual)) == actual


def test_a_type_that_polars_does_not_have_is_named() -> None:
    with pytest.raises(ContractError, match=r"type Int63 is unknown \(did you mean 'Int"):
        polars_type(DType("Int63"))


def flights(unknown: UnknownColumns = "fail") -> ContractSpec:
    class Flights(DeclaredContract, unknown_columns=unknown):
        day = tm.Date()
        flight = tm.Int64()
        origin = tm.Enum(["EWR", "JFK"])
        delay = tm.Float64(nullable=True)

    return Flights.__tidemill_contract__


def test_the_schema_is_in_the_order_of_the_contract() -> None:
    assert list(schema_of(flights()).items()) == [
        ("day", pl.Date()),
        ("flight", pl.Int64()),
        ("origin", pl.Enum(["EWR", "JFK"])),
        ("delay", pl.Float64()),
    ]


def test_an_output_that_fits_has_no_faults() -> None:
    spec = flights()
    assert schema_faults(spec, schema_of(spec), where="f.py:3") == []


def test_an_output_may_have_types_that_widen_without_loss() -> None:
    spec = flights()
    narrow = schema_of(spec) | {
        "flight": pl.Int32(),
        "delay": pl.Null(),
        "origin": pl.Enum(["JFK"]),
    }
    assert schema_faults(spec, narrow, where="f.py:3") == []


def test_all_faults_of_an_output_are_found_at_once() -> None:
    actual: dict[str, pl.DataType] = {
        "dya": pl.Date(),
        "flight": pl.Float64(),
        "origin": pl.String(),
        "delay": pl.Float64(),
    }
    faults = [str(fault) for fault in schema_faults(flights(), actual, where="f.py:3")]
    assert faults == [
        "f.py:3: the output has no column 'day' of contract Flights (did you mean 'dya'?)",
        "f.py:3: column 'flight' is Float64, but contract Flights declares Int64 "
        "(cast it in the stage, or change the declared type)",
        "f.py:3: column 'origin' is String, but contract Flights declares Enum('EWR', 'JFK') "
        "(cast it in the stage, or change the declared type)",
        "f.py:3: the output has a column 'dya' that contract Flights doesn't declare "
        '(declare it, leave it out, or set unknown_columns="drop" or "keep")',
    ]


def test_an_optional_column_may_be_missing_but_not_of_another_type() -> None:
    class More(DeclaredContract):
        a = tm.Int64(optional=True, default=1)
        b = tm.Struct({"x": tm.Int64()}, optional=True, nullable=True)

    spec = More.__tidemill_contract__
    assert schema_faults(spec, {}, where="f.py:3") == []
    assert schema_faults(spec, {"b": pl.Struct({"x": pl.Int8()})}, where="f.py:3") == []
    (fault,) = schema_faults(spec, {"b": pl.Struct({"y": pl.Int8()})}, where="f.py:3")
    assert "column 'b' is Struct('y', Int8), but contract More declares Struct('x', Int64)" in str(
        fault
    )


@pytest.mark.parametrize(("unknown", "count"), [("fail", 1), ("drop", 0), ("keep", 0)])
def test_unknown_columns_are_a_fault_when_the_contract_says_so(
    unknown: UnknownColumns, count: int
) -> None:
    spec = flights(unknown)
    actual = schema_of(spec) | {"more": pl.Int8()}
    assert len(schema_faults(spec, actual, where="f.py:3")) == count
