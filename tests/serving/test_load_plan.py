from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.serving.load_plan import DEFAULT_CONNECTIONS, LoadPlan


def test_an_open_loop_has_a_moment_for_each_request() -> None:
    plan = LoadPlan(rate=400, duration=2)
    assert plan.is_open
    assert plan.requests == 800
    assert [plan.due(number) for number in (0, 1, 799)] == [0, 2_500_000, 1_997_500_000]
    assert plan.due(799) < plan.end == 2_000_000_000
    assert plan.most_connections == DEFAULT_CONNECTIONS


def test_a_closed_loop_has_a_connection_for_each_caller() -> None:
    plan = LoadPlan(callers=3)
    assert not plan.is_open
    assert plan.most_connections == 3


def test_an_open_loop_sends_at_least_one_request() -> None:
    assert LoadPlan(rate=0.01, duration=1).requests == 1
    assert LoadPlan(rate=1, connections=7).most_connections == 7


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "choose either a rate"),
        ({"rate": 5, "callers": 5}, "choose either a rate"),
        ({"rate": float("nan")}, "rate = nan is more than"),
        ({"rate": 1e9}, "at most 100,000"),
        ({"rate": 5, "duration": float("inf")}, "duration = inf s is not"),
        ({"rate": -5}, "rate = -5 is negative"),
        ({"rate": 5, "connections": -1}, "connections = -1 is negative"),
        ({"rate": 5, "duration": 0}, "duration = 0 s is not a positive time"),
        ({"callers": 5, "timeout": float("nan")}, "timeout = nan s is not"),
    ],
)
def test_what_can_not_be_sent(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LoadPlan(**fields)
