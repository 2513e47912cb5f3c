from __future__ import annotations

import pytest

from tidemill.contracts.dtype import DType


def enum(*categories: str) -> DType:
    return DType("Enum", categories)


def struct(**fields: str) -> DType:
    return DType("Struct", tuple(p for name, kind in fields.items() for p in (name, DType(kind))))


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (DType("Int64"), DType("Int64")),
        (DType("Int64"), DType("UInt32")),
        (DType("Float64"), DType("Int32")),
        (DType("Float64"), DType("Float32")),
        (DType("Decimal", (12, 3)), DType("Decimal", (10, 2))),
        (enum("b", "a"), enum("a")),
        (DType("String"), enum("a")),
        (DType("String"), DType("Categorical")),
        (DType("List", (DType("Int64"),)), DType("List", (DType("Int8"),))),
        (DType("Date"), DType("Null")),
        (DType("Int128"), DType("UInt64")),
        (DType("Float32"), DType("Float16")),
        (DType("Array", (DType("Int64"), 2)), DType("Array", (DType("Int8"), 2))),
        (struct(a="Int64", b="String"), struct(a="Int8", b="Categorical")),
    ],
)
def test_a_wider_type_holds_a_narrower_one(wide: DType, narrow: DType) -> None:
    assert wide.includes(narrow)
    assert wide == narrow or not narrow.includes(wide)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (DType("Float64"), DType("Int64")),  # 2**53 + 1
        (DType("Float32"), DType("Int32")),
        (DType("Int32"), DType("UInt32")),
        (DType("Decimal", (12, 3)), DType("Decimal", (12, 2))),  # one digit less before the point
        (DType("Decimal", (12, 1)), DType("Decimal", (10, 2))),
        (enum("a"), enum("a", "b")),
        (enum("a"), DType("String")),
        (DType("Datetime", ("us", None)), DType("Datetime", ("ms", None))),
        (DType("Datetime", ("us", None)), DType("Datetime", ("us", "UTC"))),
        (DType("List", (DType("Int8"),)), DType("List", (DType("Int64"),))),
        (DType("List", (DType("Int8"),)), DType("Int8")),
        (DType("String"), DType("Int8")),
        (DType("Null"), DType("Int8")),
        (DType("Int128"), DType("UInt128")),
        (DType("Float16"), DType("Int16")),
        (DType("Array", (DType("Int8"), 2)), DType("Array", (DType("Int8"), 3))),
        (struct(a="Int8"), struct(b="Int8")),
        (struct(a="Int8", b="Int8"), struct(b="Int8", a="Int8")),
        (struct(a="Int8", b="Int8"), struct(a="Int8", b="Int64")),
    ],
)
def test_a_type_holds_nothing_that_could_lose_a_value(one: DType, other: DType) -> None:
    assert not one.includes(other)


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (DType("Int64"), "Int64"),
        (DType("Datetime", ("us", "UTC")), "Datetime('us', 'UTC')"),
        (DType("Datetime", ("us", None)), "Datetime('us', None)"),
        (DType("List", (DType("Decimal", (10, 2)),)), "List(Decimal(10, 2))"),
        (enum("EWR", "JFK"), "Enum('EWR', 'JFK')"),
    ],
)
def test_a_type_reads_as_it_is_written(dtype: DType, text: str) -> None:
    assert str(dtype) == text


@pytest.mark.parametrize(
    ("name", "number", "time", "nested"),
    [
        ("UInt8", True, False, False),
        ("Decimal", True, False, False),
        ("Float32", True, False, False),
        ("Date", False, True, False),
        ("Datetime", False, True, False),
        ("Time", False, False, False),
        ("Struct", False, False, True),
        ("String", False, False, False),
    ],
)
def test_a_type_knows_its_kind(name: str, number: bool, time: bool, nested: bool) -> None:
    dtype = DType(name)
    assert (dtype.is_number, dtype.is_time, dtype.is_nested) == (number, time, nested)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Int8", (-128, 127)),
        ("UInt16", (0, 65_535)),
        ("Int128", (-(2**127), 2**127 - 1)),
        ("Float64", None),
        ("Boolean", None),
    ],
)
def test_integers_have_a_range(name: str, expected: tuple[int, int] | None) -> None:
    assert DType(name).integer_range == expected
