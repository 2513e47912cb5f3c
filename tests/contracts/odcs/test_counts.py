from __future__ import annotations

from typing import Any

import pytest

from tidemill.contracts.odcs.counts import Count, count_of, said
from tidemill.contracts.odcs.document import Node


# The operators of a check, and the counts that they allow.
@pytest.mark.parametrize(
    ("check", "allowed"),
    [
        ({"mustBe": 3}, Count(least=3, most=3)),
        ({"mustBe": 3.5}, None),
        ({"mustNotBe": 0}, Count(least=1)),
        ({"mustNotBe": 1}, None),
        ({"mustBeGreaterThan": 2}, Count(least=3)),
        ({"mustBeGreaterThan": 2.5}, Count(least=3)),
        ({"mustBeGreaterOrEqualTo": 2.5}, Count(least=3)),
        ({"mustBeLessThan": 2}, Count(most=1)),
        ({"mustBeLessThan": 2.5}, Count(most=2)),
        ({"mustBeLessOrEqualTo": 2.5}, Count(most=2)),
        ({"mustBeBetween": [1, 3]}, Count(least=1, most=3)),
        ({"mustBeBetween": [0.5, 3.5]}, Count(least=1, most=3)),
        ({"mustNotBeBetween": [1, 3]}, None),
        ({"mustBeLessThan": True}, None),
        ({"mustBeLessThan": float("inf")}, None),
        # One operator only.
        ({}, None),
        ({"mustBe": 1, "mustNotBe": 0}, None),
        # A share of the rows is a count only if it is 0.
        ({"mustBe": 3, "unit": "rows"}, Count(least=3, most=3)),
        ({"mustBe": 0, "unit": "percent"}, Count(least=0, most=0)),
        ({"mustBeLessOrEqualTo": 0, "unit": "percent"}, Count(least=0, most=0)),
        ({"mustBeLessThan": 5, "unit": "percent"}, None),
    ],
)
def test_allowed_counts(check: dict[str, Any], allowed: Count | None) -> None:
    assert count_of(Node(check)) == allowed


def test_only_nothing() -> None:
    assert Count(least=0, most=0).is_none
    assert not Count(most=1).is_none
    assert not Count().is_none


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ({"mustBeLessThan": 5, "unit": "percent"}, "mustBeLessThan 5 percent"),
        ({"mustBeGreaterThan": 1, "mustBeLessThan": 3}, "mustBeGreaterThan 1 and mustBeLessThan 3"),
        ({}, ""),
    ],
)
def test_operators_as_text(check: dict[str, Any], text: str) -> None:
    assert said(Node(check)) == text
