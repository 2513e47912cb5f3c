from __future__ import annotations

from typing import Any

import pytest

from tidemill.contracts.odcs.counts import CountRange, count_of, format_operators
from tidemill.contracts.odcs.document import DocumentNode


# The operators of a check, and the counts that they allow.
@pytest.mark.parametrize(
    ("check", "allowed"),
    [
        ({"mustBe": 3}, CountRange(least=3, most=3)),
        ({"mustBe": 3.5}, None),
        ({"mustNotBe": 0}, CountRange(least=1)),
        ({"mustNotBe": 1}, None),
        ({"mustBeGreaterThan": 2}, CountRange(least=3)),
        ({"mustBeGreaterThan": 2.5}, CountRange(least=3)),
        ({"mustBeGreaterOrEqualTo": 2.5}, CountRange(least=3)),
        ({"mustBeLessThan": 2}, CountRange(most=1)),
        ({"mustBeLessThan": 2.5}, CountRange(most=2)),
        ({"mustBeLessOrEqualTo": 2.5}, CountRange(most=2)),
        ({"mustBeBetween": [1, 3]}, CountRange(least=1, most=3)),
        ({"mustBeBetween": [0.5, 3.5]}, CountRange(least=1, most=3)),
        ({"mustNotBeBetween": [1, 3]}, None),
        ({"mustBeLessThan": True}, None),
        ({"mustBeLessThan": float("inf")}, None),
        # One operator only.
        ({}, None),
        ({"mustBe": 1, "mustNotBe": 0}, None),
        # A share of the rows is a count only if it is 0.
        ({"mustBe": 3, "unit": "rows"}, CountRange(least=3, most=3)),
        ({"mustBe": 0, "unit": "percent"}, CountRange(least=0, most=0)),
        ({"mustBeLessOrEqualTo": 0, "unit": "percent"}, CountRange(least=0, most=0)),
        ({"mustBeLessThan": 5, "unit": "percent"}, None),
    ],
)
def test_allowed_counts(check: dict[str, Any], allowed: CountRange | None) -> None:
    assert count_of(DocumentNode(check)) == allowed


def test_only_nothing() -> None:
    assert CountRange(least=0, most=0).is_zero
    assert not CountRange(most=1).is_zero
    assert not CountRange().is_zero


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ({"mustBeLessThan": 5, "unit": "percent"}, "mustBeLessThan 5 percent"),
        ({"mustBeGreaterThan": 1, "mustBeLessThan": 3}, "mustBeGreaterThan 1 and mustBeLessThan 3"),
        ({}, ""),
    ],
)
def test_operators_as_text(check: dict[str, Any], text: str) -> None:
    assert format_operators(DocumentNode(check)) == text
