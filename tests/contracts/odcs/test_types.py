"""Types of a document, and the types of columns that they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.odcs.documents import AT, column, only, read
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType

MICRO = ("us", None)


# What a property says of its type, the type, and what of it stays unsaid.
@pytest.mark.parametrize(
    ("told", "dtype", "unsaid"),
    [
        ({"logicalType": "string"}, DType("String"), ""),
        ({"logicalType": "integer"}, DType("Int64"), ""),
        ({"logicalType": "number"}, DType("Float64"), ""),
        ({"logicalType": "boolean"}, DType("Boolean"), ""),
        ({"logicalType": "date"}, DType("Date"), ""),
        ({"logicalType": "time"}, DType("Time"), ""),
        ({"logicalType": "timestamp"}, DType("Datetime", MICRO), ""),
        # A format tells the width, a physical type too.
        ({"logicalType": "integer", "logicalTypeOptions": {"format": "u16"}}, DType("UInt16"), ""),
        ({"logicalType": "number", "logicalTypeOptions": {"format": "f32"}}, DType("Float32"), ""),
        (
            {"logicalType": "string", "logicalTypeOptions": {"format": "binary"}},
            DType("Binary"),
            "",
        ),
        (
            {"logicalType": "string", "logicalTypeOptions": {"format": "uuid"}},
            DType("String"),
            "logicalTypeOptions.format: uuid",
        ),
        ({"logicalType": "integer", "physicalType": "SMALLINT"}, DType("Int16"), ""),
        ({"physicalType": "bigint"}, DType("Int64"), ""),
        # An integer is a number, and version 3.0 had no other word for moments than date.
        ({"logicalType": "number", "physicalType": "serial"}, DType("Int32"), ""),
        ({"logicalType": "date", "physicalType": "timestamp"}, DType("Datetime", MICRO), ""),
        ({"logicalType": "date", "physicalType": "time"}, DType("Time"), ""),
        ({"physicalType": "double precision"}, DType("Float64"), ""),
        ({"physicalType": "real"}, DType("Float32"), ""),
        ({"physicalType": "decimal(10, 2)"}, DType("Decimal", (10, 2)), ""),
        ({"physicalType": "NUMERIC(5)"}, DType("Decimal", (5, 0)), ""),
        ({"physicalType": "bytea"}, DType("Binary"), ""),
        ({"physicalType": "timestamptz"}, DType("Datetime", ("us", "UTC")), ""),
        ({"physicalType": "timestamp with time zone"}, DType("Datetime", ("us", "UTC")), ""),
        (
            {"physicalType": "timestamp(6) with time zone"},
            DType("Datetime", ("us", "UTC")),
            "physicalType: timestamp(6) with time zone (its precision isn't kept)",
        ),
        (
            {"logicalType": "string", "physicalType": "varchar(18)"},
            DType("String"),
            "physicalType: varchar(18) (read as String)",
        ),
        (
            {"logicalType": "string", "physicalType": "geography"},
            DType("String"),
            "physicalType: geography",
        ),
        # They don't agree, so the logical type counts.
        (
            {"logicalType": "integer", "physicalType": "NUMBER(38,0)"},
            DType("Int64"),
            "physicalType: NUMBER(38,0)",
        ),
        (
            {"logicalType": "string", "physicalType": "Int64"},
            DType("String"),
            "physicalType: Int64",
        ),
        (
            {"logicalType": "number", "physicalType": "decimal(99,2)"},
            DType("Float64"),
            "physicalType: decimal(99,2)",
        ),
        (
            {"logicalType": "number", "physicalType": "Decimal(x, 2)"},
            DType("Float64"),
            "physicalType: Decimal(x, 2)",
        ),
        (
            {"logicalType": "timestamp", "physicalType": "Datetime('h', None)"},
            DType("Datetime", MICRO),
            "physicalType: Datetime('h', None) (its precision isn't kept)",
        ),
        (
            {"logicalType": "string", "physicalType": "<any>"},
            DType("String"),
            "physicalType: <any>",
        ),
        (
            {"logicalType": "string", "physicalType": "Duration('ms')"},
            DType("Duration", ("ms",)),
            "",
        ),
        # An Enum whose categories nobody says is text.
        ({"logicalType": "string", "physicalType": "Enum"}, DType("String"), ""),
        (
            {"logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}},
            DType("Datetime", ("us", "UTC")),
            "",
        ),
        (
            {
                "logicalType": "timestamp",
                "logicalTypeOptions": {"timezone": True, "defaultTimezone": "Asia/Tokyo"},
            },
            DType("Datetime", ("us", "Asia/Tokyo")),
            "",
        ),
        (
            {
                "logicalType": "timestamp",
                "logicalTypeOptions": {"timezone": True, "defaultTimezone": "Mars"},
            },
            DType("Datetime", ("us", "UTC")),
            "logicalTypeOptions.defaultTimezone: Mars is not a time zone; UTC is used",
        ),
        (
            {"logicalType": "array", "items": {"logicalType": "integer"}},
            DType("List", (DType("Int64"),)),
            "",
        ),
        ({"items": {"logicalType": "integer"}}, DType("List", (DType("Int64"),)), ""),
        (
            {"logicalType": "array", "items": {"logicalType": "integer", "required": True}},
            DType("List", (DType("Int64"),)),
            "items.required: True",
        ),
        (
            {"logicalType": "object", "properties": [{"name": "x", "logicalType": "date"}]},
            DType("Struct", ("x", DType("Date"))),
            "",
        ),
        (
            {"properties": [{"name": "x", "logicalType": "date"}]},
            DType("Struct", ("x", DType("Date"))),
            "",
        ),
        (
            {
                "logicalType": "map",
                "map": {"key": {"logicalType": "string"}, "value": {"logicalType": "integer"}},
            },
            DType("List", (DType("Struct", ("key", DType("String"), "value", DType("Int64"))),)),
            "logicalType: map is read as a list of structs with key and value",
        ),
        (
            {"logicalType": "vector", "logicalTypeOptions": {"dimensions": 3}},
            DType("Array", (DType("Float32"), 3)),
            "",
        ),
        (
            {
                "logicalType": "vector",
                "logicalTypeOptions": {"dimensions": 3, "elementType": "int8"},
            },
            DType("Array", (DType("Int8"), 3)),
            "",
        ),
    ],
)
def test_types(told: dict[str, Any], dtype: DType, unsaid: str) -> None:
    found, unrepresented = column(**told)
    assert found == Column(name="c0", dtype=dtype, nullable=True)
    assert unrepresented == ((f"{AT}.{unsaid}",) if unsaid else ())


def test_the_categories_may_stand_anywhere_among_the_checks() -> None:
    known = {"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": ["a", "b"]}}
    checks = [{"metric": "nullValues", "mustBe": 0}, {"name": "categories", **known}]
    found, unrepresented = column(logicalType="string", physicalType="Enum", quality=checks)
    assert (found.dtype, found.nullable) == (DType("Enum", ("a", "b")), False)
    assert unrepresented == ()


@pytest.mark.parametrize("width", [-1, True, 1.5])
def test_what_is_no_width_makes_no_vector(width: Any) -> None:
    vector = {"logicalType": "vector", "logicalTypeOptions": {"dimensions": width}}
    found = read({"logicalType": "integer"}, vector)
    assert only(found).names == ("c0",)
    assert found.unrepresented == (
        f"schema[0].properties[1]: a vector of float32 with {width} dimensions",
    )


def test_a_field_without_a_name_is_listed() -> None:
    fields = [{"logicalType": "date"}, {"name": "x", "logicalType": "date"}]
    found, unrepresented = column(logicalType="object", properties=fields)
    assert found.dtype == DType("Struct", ("x", DType("Date")))
    assert unrepresented == (f"{AT}.properties[0]: a property without a name",)


def test_a_logical_type_that_is_none_is_listed() -> None:
    found, [line] = column(logicalType="word", physicalType="text")
    assert found.dtype == DType("String")
    assert line.startswith(f"{AT}.logicalType: word is none of string, date, ")


# A column that has no type, and why.
@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, "the property has no type"),
        (
            {"physicalType": "geography"},
            "unknown physical type geography",
        ),
        ({"logicalType": "array"}, "an array without items has no item type"),
        (
            {"logicalType": "array", "items": {"logicalType": "array"}},
            "the type of its items can't be read",
        ),
        ({"logicalType": "object"}, "an object without typed properties"),
        (
            {"logicalType": "object", "properties": [{"name": "x"}]},
            "an object without typed properties",
        ),
        ({"logicalType": "map"}, "a map without types for its keys and values"),
        ({"logicalType": "vector"}, "a vector of float32 with unknown dimensions"),
        (
            {
                "logicalType": "vector",
                "logicalTypeOptions": {"dimensions": 8, "elementType": "binary"},
            },
            "a vector of binary with 8 dimensions",
        ),
        # An element type that can't be a key of a dict.
        (
            {
                "logicalType": "vector",
                "logicalTypeOptions": {"dimensions": 8, "elementType": [None]},
            },
            "a vector of [None] with 8 dimensions",
        ),
        ({"name": ""}, "a property without a name"),
        ({"name": "good", "logicalType": "date"}, "a second property 'good'"),
    ],
)
def test_what_is_no_column_is_listed(told: dict[str, Any], why: str) -> None:
    found = read({"name": "good", "logicalType": "date"}, told)
    assert only(found).names == ("good",)
    assert found.unrepresented == (f"schema[0].properties[1]: {why}",)
