"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from tidemill.operations.backoff import RetriedFailure, add_failure


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    known: RetriedFailure | None = None
    waits = []
    for _ in range(6):
        known = add_failure(known, "no", 100.0, first=10.0, longest=60.0)
        waits.append(known.retry_at - 100.0)
    assert waits == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    assert known is not None
    assert (known.count, known.why) == (6, "no")


def test_no_number_of_failures_overflows() -> None:
    known = RetriedFailure(count=10_000, why="no", retry_at=0.0)
    assert add_failure(known, "no", 0.0, first=10.0, longest=60.0).retry_at == 60.0
