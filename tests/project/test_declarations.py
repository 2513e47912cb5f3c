"""A budget is declared, or the settings are refused."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.project.declarations import check_declarations

PLACE = "pyproject.toml: [tool.tidemill"


@pytest.mark.parametrize(
    "table",
    [{}, {"budget": {"monthly": 500}}, {"budget": {"monthly": 0.5}}],
)
def test_declarations_are_read(table: dict[str, Any]) -> None:
    check_declarations(PLACE, table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"budget": 500}, r"budget = 500 is not a table: write \[tool.tidemill.budget\]"),
        ({"budget": {}}, r"budget\] has no monthly"),
        ({"budget": {"montly": 5}}, r"budget\] montly: did you mean 'monthly'"),
        ({"budget": {"monthly": True}}, "monthly = True is not an amount, such as 500"),
        ({"budget": {"monthly": "5"}}, "monthly = '5' is not an amount"),
        ({"budget": {"monthly": float("nan")}}, "monthly = nan is not an amount"),
        ({"budget": {"monthly": 0}}, "monthly = 0 is not an amount"),
    ],
)
def test_other_declarations_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_declarations(PLACE, table)
