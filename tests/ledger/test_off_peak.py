"""Work that waits, in words."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.ledger.off_peak import describe_late, describe_waiting
from tidemill.testing.off_peak_records import deferred_work


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {},
            "train model waits until 2013-01-01 09:00 UTC, which saves 67 %; it has to end by "
            "2013-01-02 00:26 UTC (`default_deadline`)",
        ),
        ({"price_at_once": None}, "09:00 UTC; it has to end"),
        ({"price": None}, "09:00 UTC; it has to end"),
        ({"price_at_once": 0.0}, "09:00 UTC; it has to end"),
        ({"price": -0.3}, "09:00 UTC, when the price is below 0; it has to end"),
        ({"price": 0.2999}, "09:00 UTC; it has to end"),
        (
            {"late": True},
            "train model can't wait: its deadline is 2013-01-02 00:26 UTC (`default_deadline`), and "
            "it will probably be LATE",
        ),
        (
            {"at_once": True},
            "train model doesn't wait: it doesn't get cheaper before its deadline, 2013-01-02 00:26 UTC "
            "(`default_deadline`)",
        ),
        ({"at_once": True, "price": None}, "no prices are known until its deadline, 2013-01-02"),
        ({"start": 1e300}, "waits until 1e+300 s"),
        (
            {"action": "run", "partitions": ("2013-01-01", "2013-01-02", "2013-01-03")},
            "run model 2013-01-01 .. 2013-01-03 (3) waits",
        ),
    ],
)
def test_what_waits_says_until_when_and_why(changes: dict[str, Any], words: str) -> None:
    assert words in describe_waiting(deferred_work(**changes))


def test_late_work_says_so() -> None:
    work = deferred_work()
    assert "has to end by 2013-01-02 00:26 UTC (`default_deadline`), and will" in describe_late(
        work, work.start
    )
    assert "should have ended by" in describe_late(work, work.deadline + 1)


@pytest.mark.parametrize(("left", "expected"), [(10_000, False), (7_100, True), (-5, True)])
def test_work_has_to_begin_when_an_interruption_would_make_it_late(
    left: float, expected: bool
) -> None:
    work = deferred_work()
    assert work.has_to_begin(work.deadline - left) is expected
