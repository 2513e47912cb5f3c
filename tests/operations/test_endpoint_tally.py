"""Sums of what endpoints served."""

from __future__ import annotations

import pytest

from tidemill.ledger.price import Price
from tidemill.ledger.usage import ServedUsage
from tidemill.operations.endpoint_tally import (
    EndpointTally,
    failed_requests,
    merged_endpoints,
    slow_requests,
)
from tidemill.serving.buckets import latency_ends

USAGE = ServedUsage(
    endpoint="delays", version="1", requests=10, rows=20, cpu_s=3600, idle_cpu_s=1800,
    memory_gb_s=7200, wall_s=1, errors={"500": 2, "503": 1, "422": 4}, latency=(3, 0, 5, 2),
)  # fmt: skip


def test_the_sums_of_some_periods() -> None:
    price = Price(cpu_hour=0.1, memory_gb_hour=0.01)
    tally = EndpointTally()
    tally.add(USAGE, price)
    whole = merged_endpoints([tally, tally])
    assert (whole.requests, whole.failed, whole.rows) == (20, 6, 40)
    assert whole.amounts == {"USD": pytest.approx(0.34)}
    assert whole.latency[:5] == [6, 0, 10, 4, 0]
    assert merged_endpoints([]) == EndpointTally()


def test_errors_of_the_caller_are_not_the_servers() -> None:
    assert failed_requests(USAGE) == 3


def test_slow_requests_are_those_of_buckets_that_end_later() -> None:
    ends = latency_ends()
    assert slow_requests(USAGE, ends[1]) == 7
    assert slow_requests(USAGE, ends[2]) == 2
    assert slow_requests(USAGE, 100) == 0
    assert slow_requests(USAGE, 0) == 10
