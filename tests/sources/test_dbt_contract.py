"""A contract is made of what dbt declares about the columns of a model."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import SourceError
from tidemill.sources.dbt_contract import contract_of_model
from tidemill.sources.dbt_manifest import DbtModel

MODEL = DbtModel(unique_id="model.shop.orders", relation="orders")


def null_test(column: str, **config: Any) -> dict[str, Any]:
    return {
        "test_metadata": {"name": "not_null"},
        "attached_node": MODEL.unique_id,
        "column_name": column,
        "config": {"severity": "ERROR"} | config,
    }


def contract(columns: dict[str, Any], *tests: dict[str, Any], **more: Any) -> ContractSpec:
    nodes = {MODEL.unique_id: {"columns": columns} | more}
    nodes |= {f"test.{number}": test for number, test in enumerate(tests)}
    return contract_of_model({"nodes": nodes}, MODEL, "Orders")


@pytest.mark.parametrize(
    ("written", "dtype"),
    [
        ("date", DType("Date")),
        ("varchar", DType("String")),
        ("decimal(12, 2)", DType("Decimal", (12, 2))),
        ("timestamptz", DType("Datetime", ("us", "UTC"))),
        ("TIMESTAMP WITH TIME ZONE", DType("Datetime", ("us", "UTC"))),
        ("BIGINT", DType("Int64")),
        ("boolean", DType("Boolean")),
    ],
)
def test_types_of_databases(written: str, dtype: DType) -> None:
    (column,) = contract({"a": {"data_type": written}}).columns
    assert (column.name, column.dtype, column.nullable) == ("a", dtype, True)


def test_what_is_declared_is_taken_over() -> None:
    columns = {
        "number": {"data_type": "varchar", "description": "As the customer sees it."},
        "day": {"data_type": "date", "constraints": [{"type": "not_null"}]},
        "shop": {"data_type": "varchar", "constraints": [{"type": "check"}]},
    }
    found = contract(columns, primary_key=["number"], description="One row per order.")
    assert found.key == ("number",)
    assert found.description == "One row per order."
    assert [column.nullable for column in found.columns] == [False, False, True]
    assert found.columns[0].description == "As the customer sees it."


def test_tests_and_constraints_of_the_model_exclude_nulls() -> None:
    columns = {name: {"data_type": "int"} for name in "abcdef"}
    tests = [
        null_test("a"),
        null_test("b", severity="warn"),
        null_test("c", where="a > 1"),
        null_test("d") | {"attached_node": "model.shop.other"},
        null_test("e") | {"test_metadata": {"name": "unique"}},
    ]
    both = [{"type": "primary_key", "columns": ["f"]}, {"type": "check", "columns": ["b"]}]
    found = contract(columns, *tests, constraints=both)
    assert [column.name for column in found.columns if not column.nullable] == ["a", "f"]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({}, "no column"),
        ({"a": {"data_type": None}, "b": {"data_type": "date"}}, "a (no data_type)"),
        (
            {"a": {"data_type": "decimal"}, "b": {"data_type": "geometry"}},
            "a (decimal), b (geometry)",
        ),
        ({"a": {"data_type": "List"}}, "a (List)"),
    ],
)
def test_a_type_that_is_not_known_is_named(columns: dict[str, Any], says: str) -> None:
    with pytest.raises(SourceError) as found:
        contract(columns)
    assert f"doesn't declare the types of its columns: {says}; write a data_type" in str(
        found.value
    )
