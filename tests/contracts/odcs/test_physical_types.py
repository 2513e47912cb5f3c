from __future__ import annotations

import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.odcs.physical_types import FAMILIES, PhysicalType, physical_type


@pytest.mark.parametrize(
    "column",
    [
        *(tm.Int8(), tm.UInt128(), tm.Float16(), tm.Decimal(9, 2), tm.Bool(), tm.String()),
        *(tm.Binary(), tm.Categorical(), tm.Date(), tm.Time(), tm.Duration("ms")),
        *(tm.Datetime("ns"), tm.Datetime("us", "Europe/Paris")),
    ],
)
def test_own_types_are_read_by_their_text(column: Column) -> None:
    found = physical_type(str(column.dtype), None)
    assert found == PhysicalType(dtype=column.dtype)
    assert physical_type(str(column.dtype), FAMILIES[column.dtype.name]) == found


@pytest.mark.parametrize(
    ("text", "dtype", "more"),
    [
        ("BIGINT", "Int64", ""),
        ("double precision", "Float64", ""),
        ("varchar(20)", "String", "read as String"),
        (
            "timestamp(3) with time zone",
            DType("Datetime", ("us", "UTC")),
            "its precision isn't kept",
        ),
        ("timestamp", DType("Datetime", ("us", None)), ""),
        ("numeric(9)", DType("Decimal", (9, 0)), ""),
        ("NUMERIC(9, 2)", DType("Decimal", (9, 2)), ""),
    ],
)
def test_types_of_databases(text: str, dtype: DType | str, more: str) -> None:
    expected = DType(dtype) if isinstance(dtype, str) else dtype
    assert physical_type(text, None) == PhysicalType(dtype=expected, remark=more)


@pytest.mark.parametrize(
    ("text", "outer"), [("List", "List"), ("Struct", "Struct"), ("Enum", "Enum")]
)
def test_types_with_parts_are_read_by_their_outer_type(text: str, outer: str) -> None:
    assert physical_type(text, None) == PhysicalType(dtype=DType(outer), outer=outer)


@pytest.mark.parametrize(
    "text",
    [
        *("", "geography", "numeric", "numeric(x)", "numeric(0)", "numeric(39)", "numeric(2, 3)"),
        *("Duration()", "Duration('s')", "List(Int8)", "!"),
    ],
)
def test_unknown_types(text: str) -> None:
    assert physical_type(text, None) is None


@pytest.mark.parametrize(
    ("text", "logical", "agrees"),
    [
        ("int", "integer", True),
        ("int", "number", True),
        ("int", "string", False),
        ("timestamp", "date", True),
        ("timestamp", "time", False),
    ],
)
def test_the_logical_type_must_agree(text: str, logical: str, agrees: bool) -> None:
    assert (physical_type(text, logical) is not None) is agrees
