"""Columns as JSON Schema."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import tidemill as tm
from tests.support.contracts import declare
from tidemill.contracts.column import Column
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.json_schema import column_schema, example_row, row_schema

CASES: list[tuple[Column, dict[str, Any]]] = [
    (tm.Int8(min=0), {"type": "integer", "minimum": 0, "maximum": 127}),
    (
        tm.UInt8(max_exclusive=9),
        {"type": "integer", "minimum": 0, "maximum": 255, "exclusiveMaximum": 9},
    ),
    (tm.Float64(nullable=True, max=float("inf")), {"type": ["number", "null"]}),
    (tm.Decimal(4, 2, min=Decimal("0.5")), {"type": "number", "minimum": 0.5}),
    (tm.Bool(), {"type": "boolean"}),
    (
        tm.String(min_length=1, max_length=2, regex="^a"),
        {"type": "string", "minLength": 1, "maxLength": 2, "pattern": "^a"},
    ),
    (tm.String(regex=r"\p{L}"), {"type": "string"}),
    (tm.Enum(["a", "b"], nullable=True), {"type": ["string", "null"], "enum": ["a", "b", None]}),
    (tm.Int64(isin=[1, 5]), {"enum": [1, 5]}),
    (tm.Enum(["a", "b"], isin=["b"]), {"enum": ["b"]}),
    (tm.Date(), {"type": "string", "format": "date"}),
    (tm.Datetime(), {"type": "string"}),
    (tm.Datetime(time_zone="UTC"), {"type": "string", "format": "date-time"}),
    (tm.Duration(), {"type": "number"}),
    (
        tm.List(tm.Bool(), max_length=3),
        {"type": "array", "items": {"type": ["boolean", "null"]}, "maxItems": 3},
    ),
    (tm.Array(tm.Bool(), 2), {"minItems": 2, "maxItems": 2}),
    (
        tm.Struct({"a": tm.Bool()}),
        {"type": "object", "properties": {"a": {"type": ["boolean", "null"]}}},
    ),
    (tm.Bool(optional=True, default=True), {"default": True}),
    (tm.Float64(unit="mph", description="Wind."), {"description": "Wind. never null, in mph"}),
]


@pytest.mark.parametrize(("column", "wanted"), CASES)
def test_a_column_has_its_type_and_its_rules(column: Column, wanted: dict[str, Any]) -> None:
    found = column_schema(replace(column, name="x"))
    Draft202012Validator.check_schema(found)
    assert {name: found.get(name) for name in wanted} == wanted
    assert ("pattern" in found) is ("pattern" in wanted)


def test_a_row_may_leave_out_what_is_optional_or_null() -> None:
    columns = [
        replace(column, name=name)
        for name, column in (
            ("a", tm.Int64()),
            ("b", tm.Int64(nullable=True)),
            ("c", tm.Int64(optional=True, default=1)),
        )
    ]
    assert row_schema(columns)["required"] == ["a"]
    assert "required" not in row_schema(columns[1:])


def test_an_example_is_accepted() -> None:
    spec = declare(
        {
            **{
                f"c{at}": column for at, (column, _) in enumerate(CASES) if column.regex != r"\p{L}"
            },
            "rule": tm.rule(pl.col("c0") > pl.col("c1")),
            "unread": tm.String(),
        }
    )
    names = spec.names[:-1]
    row = example_row(spec, names, np.random.default_rng(1))
    schema = InputSchema(spec, names)
    assert schema.decode_rows(json.dumps([row]).encode()).rows.count == 1
    assert row is not None
    assert not [*Draft202012Validator(row_schema(schema.columns)).iter_errors(row)]


def test_rounding_an_example_keeps_its_bounds() -> None:
    spec = declare({"x": tm.Float64(min=1.23456789, max=1.234567891)})
    row = example_row(spec, spec.names, np.random.default_rng(1))
    assert row is not None
    assert 1.23456789 <= row["x"] <= 1.234567891


def test_there_may_be_no_example() -> None:
    spec = declare({"x": tm.Int64(), "never": tm.rule(pl.col("x") != pl.col("x"))})
    assert example_row(spec, spec.names, np.random.default_rng(1)) is None
