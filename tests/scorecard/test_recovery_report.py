"""The time to recover from errors in a window, and what lasts at its end."""

from __future__ import annotations

import pytest

from tests.scorecard.test_recovery_times import (
    FAILED,
    NOW,
    OK,
    read,
    recorded,
    report,
    tried,
)
from tidemill.scorecard.change_times import BLAME_S
from tidemill.scorecard.recovery_report import RecoveryReport, report_recoveries
from tidemill.testing.change_records import changes_seen_event


def test_what_lasts_is_at_least_as_long_as_so_far() -> None:
    found = report(tried(FAILED, code=3), tried(OK, run="r2"), now=1000.0)
    (lasting,) = found.lasting
    assert (lasting.kind, lasting.over, lasting.healthy) == ("broken contract", False, 110.0)
    assert (lasting.lasted, found.took.p50_grows) == (10.0, True)
    (lasting,) = report(tried(FAILED), now=1000.0).lasting
    assert (lasting.healthy, lasting.lasted) == (None, 900.0)


def test_the_past_is_as_it_was() -> None:
    times = read(recorded(tried(FAILED), tried(OK), tried(OK, run="r2")))
    assert report_recoveries(times, 99.0, 50.0) == RecoveryReport()
    (lasting,) = report_recoveries(times, 105.0, 50.0).lasting
    assert (lasting.healthy, lasting.lasted) == (None, 5.0)
    assert len(report_recoveries(times, 110.0, 5.0).recovered) == 1
    # It was healthy before that window.
    assert report_recoveries(times, 120.0, 10.0).recovered == ()


@pytest.mark.parametrize(("after", "caused"), [(0.0, True), (BLAME_S, True), (BLAME_S + 1, False)])
def test_a_delivery_is_blamed_for_what_follows_soon(after: float, caused: bool) -> None:
    seen = changes_seen_event(stages=("a",), delivers=())
    facts = recorded(seen, tried(FAILED), at=[0.0, after])
    found = report_recoveries(read(facts), NOW, NOW)
    assert found.lasting[0].by_delivery is caused
    assert found.after_delivery.n == caused
