"""Cases as Python functions."""

from __future__ import annotations

from typing import Any

import tidemill as tm
from tidemill.cases.python_case import PythonCase


def daily() -> None:
    """A stage."""


def test_a_function_becomes_a_case() -> None:
    @tm.case(daily, partition="2026-01-05")
    def sums_the_orders() -> dict[str, Any]:
        return {"expect": {"count": 1}}

    assert isinstance(sums_the_orders, PythonCase)
    assert sums_the_orders() == {"expect": {"count": 1}}
    assert sums_the_orders.table() == {
        "name": "sums the orders",
        "stage": "daily",
        "partition": "2026-01-05",
        "expect": {"count": 1},
    }


def test_names_can_be_given() -> None:
    assert tm.case("daily", name="a b")(dict).name == "a b"
    assert tm.case("daily")(dict).stage == "daily"
