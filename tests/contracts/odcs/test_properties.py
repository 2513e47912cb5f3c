"""Read properties of a document as columns, and list what columns can't express."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.support.odcs.documents import AT, INT, TEXT, column
from tidemill.contracts.column import Column


# What a property says besides its type, what the column says, and what stays unsaid.
@pytest.mark.parametrize(
    ("told", "said", "unsaid"),
    [
        ({**INT, "required": True}, {"nullable": False}, []),
        ({**INT, "unique": True}, {"unique": True}, []),
        (
            {**INT, "logicalTypeOptions": {"minimum": 1, "exclusiveMaximum": 9}},
            {"min": 1, "max_exclusive": 9},
            [],
        ),
        (
            {**INT, "logicalTypeOptions": {"multipleOf": 5}},
            {},
            ["logicalTypeOptions.multipleOf: 5"],
        ),
        (
            {**INT, "logicalTypeOptions": {"minimum": "low"}},
            {},
            ["logicalTypeOptions.minimum: low is not a bound of a Int64: 'low' is not a number"],
        ),
        (
            {"physicalType": "decimal(5,2)", "logicalTypeOptions": {"minimum": 0.5, "maximum": 2}},
            {"min": Decimal("0.5"), "max": 2},
            [],
        ),
        (
            {"physicalType": "decimal(5,2)", "logicalTypeOptions": {"minimum": "x"}},
            {},
            [
                "logicalTypeOptions.minimum: x is not a bound of a Decimal(5, 2): 'x' is not a decimal"
            ],
        ),
        (
            {"logicalType": "date", "logicalTypeOptions": {"minimum": "2026-01-01"}},
            {"min": date(2026, 1, 1)},
            [],
        ),
        (
            {"logicalType": "date", "logicalTypeOptions": {"minimum": date(2026, 1, 1)}},
            {"min": date(2026, 1, 1)},
            [],
        ),
        (
            {"logicalType": "date", "logicalTypeOptions": {"minimum": datetime(2026, 1, 1)}},
            {},
            [
                "logicalTypeOptions.minimum: 2026-01-01 00:00:00 is not a bound of a Date: "
                "2026-01-01 00:00:00 is a timestamp, not a date"
            ],
        ),
        (
            {"logicalType": "timestamp", "logicalTypeOptions": {"maximum": date(2026, 1, 1)}},
            {"max": datetime(2026, 1, 1)},
            [],
        ),
        (
            {"logicalType": "timestamp", "logicalTypeOptions": {"maximum": "2026-01-01T00:00:00Z"}},
            {},
            [
                "logicalTypeOptions.maximum: 2026-01-01T00:00:00Z is not a bound of a Datetime('us', None): "
                "2026-01-01T00:00:00Z has a time zone, but the column has none"
            ],
        ),
        (
            {
                "physicalType": "timestamptz",
                "logicalTypeOptions": {"minimum": "2026-01-01T00:00:00"},
            },
            {"min": datetime(2026, 1, 1, tzinfo=UTC)},
            [],
        ),
        (
            {**TEXT, "logicalTypeOptions": {"minLength": 0, "maxLength": 5, "pattern": "^a"}},
            {"min_length": 0, "max_length": 5, "regex": "^a"},
            [],
        ),
        ({**TEXT, "logicalTypeOptions": {"minimum": 1}}, {}, ["logicalTypeOptions.minimum: 1"]),
        ({**TEXT, "classification": "PII"}, {"pii": "pii"}, []),
        ({**TEXT, "classification": "public"}, {}, ["classification: public"]),
        ({**TEXT, "criticalDataElement": False, "deprecated": False, "tags": []}, {}, []),
        ({**TEXT, "criticalDataElement": True}, {}, ["criticalDataElement: True"]),
        (
            {**TEXT, "enum": [{"value": "a", "label": "A"}, {"value": "b"}]},
            {"isin": ("a", "b")},
            ["enum[0].label: A"],
        ),
        ({**INT, "enum": [{"value": "a"}]}, {}, ["enum: values of a Int64: 'a' is not a number"]),
        (
            {
                "logicalType": "array",
                "items": INT,
                "unique": True,
                "logicalTypeOptions": {"minItems": 1},
            },
            {"min_length": 1},
            ["unique: values of a List aren't compared"],
        ),
        (
            {**TEXT, "partitioned": True},
            {},
            ["partitioned: a nullable column can't be the partition column"],
        ),
        (
            {**TEXT, "partitioned": True, "required": True},
            {"partition": "value", "nullable": False},
            [],
        ),
        (
            {"logicalType": "number", "partitioned": True, "required": True},
            {"nullable": False},
            ["partitioned: a Float64 can't be the partition column"],
        ),
        (
            {
                **TEXT,
                "primaryKey": False,
                "primaryKeyPosition": -1,
                "partitioned": False,
                "partitionKeyPosition": -1,
            },
            {},
            [],
        ),
        ({**TEXT, "primaryKey": False, "primaryKeyPosition": 2}, {}, ["primaryKeyPosition: 2"]),
        (
            {**TEXT, "customProperties": [{"property": "colour", "value": "red"}]},
            {},
            ["customProperties[0]: the custom property colour"],
        ),
        (
            {**TEXT, "customProperties": [{"property": "tidemillOnFail", "value": "stop"}]},
            {},
            ["customProperties[0]: the custom property tidemillOnFail can't be 'stop'"],
        ),
        (
            {**TEXT, "customProperties": [{"property": "tidemillPii", "value": "email"}]},
            {},
            ["customProperties[0]: the custom property tidemillPii"],
        ),
        (
            {
                "logicalType": "date",
                "customProperties": [{"property": "tidemillDefault", "value": "soon"}],
            },
            {},
            [
                "customProperties[0]: the custom property tidemillDefault: Invalid isoformat string: 'soon'"
            ],
        ),
        (
            {**TEXT, "examples": ["a", "b"], "businessName": "x " * 60},
            {},
            ["examples: 2 entries", f"businessName: {('x ' * 60)[:56]} ..."],
        ),
        ({**TEXT, "examples": ["a"]}, {}, ["examples: 1 entry"]),
    ],
)
def test_properties(told: dict[str, Any], said: dict[str, Any], unsaid: list[str]) -> None:
    found, unrepresented = column(**told)
    plain = Column(name="c0", dtype=found.dtype, nullable=True)
    assert {name: getattr(found, name) for name in plain.__slots__} == {
        **{name: getattr(plain, name) for name in plain.__slots__},
        **said,
    }
    assert unrepresented == tuple(f"{AT}.{line}" for line in unsaid)


def test_a_pattern_that_polars_can_not_do_is_listed() -> None:
    found, [line] = column(**TEXT, logicalTypeOptions={"pattern": "a(?!b)"})
    assert found.regex is None
    assert line.startswith(
        f"{AT}.logicalTypeOptions.pattern: Polars doesn't support the pattern 'a(?!b)'"
    )


def test_the_exact_text_of_a_bound_yields_to_an_edit_of_the_number() -> None:
    exact = [{"property": "tidemillExact", "value": {"min": "0.10"}}]
    told = {"physicalType": "decimal(5,2)", "customProperties": exact}
    kept, _ = column(**told, logicalTypeOptions={"minimum": 0.1})
    edited, _ = column(**told, logicalTypeOptions={"minimum": 0.2})
    assert (str(kept.min), str(edited.min)) == ("0.10", "0.2")
    nonsense = [{"property": "tidemillExact", "value": {"min": "x"}}]
    _, unrepresented = column(**INT, logicalTypeOptions={"minimum": 1}, customProperties=nonsense)
    assert "minimum: 1 is not a bound of a Int64" in unrepresented[0]
