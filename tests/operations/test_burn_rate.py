"""Burn rates over two windows."""

from __future__ import annotations

import pytest

from tidemill.operations.burn_rate import BURN_WINDOWS, measure_burns
from tidemill.operations.problem import ProblemSeverity


def test_no_events_burn_nothing() -> None:
    for burn in measure_burns(lambda _: (0, 0), 0.01):
        assert (burn.long, burn.short, burn.exceeds, burn.events) == (None, None, False, 0)


@pytest.mark.parametrize(
    ("share", "exceeded"),
    [(0.01, [1]), (0.0099, []), (0.06, [1, 6]), (0.144, [1, 6, 14.4]), (1.0, [1, 6, 14.4])],
)
def test_which_windows_a_constant_share_exceeds(share: float, exceeded: list[float]) -> None:
    burns = measure_burns(lambda _: (share * 1000, 1000), 0.01)
    assert [burn.windows.rate for burn in reversed(burns) if burn.exceeds] == exceeded


def test_errors_that_ended_are_no_alert() -> None:
    (first, *_) = measure_burns(lambda seconds: (500 if seconds > 300 else 0, 1000), 0.01)
    assert (first.long, first.short, first.exceeds) == (50, 0, False)


def test_the_windows_of_the_workbook() -> None:
    page, ticket = ProblemSeverity.PAGE, ProblemSeverity.TICKET
    assert [(w.rate, w.long, w.short, w.severity) for w in BURN_WINDOWS] == [
        (14.4, 3600, 300, page),
        (6, 21600, 1800, page),
        (1, 259200, 21600, ticket),
    ]
