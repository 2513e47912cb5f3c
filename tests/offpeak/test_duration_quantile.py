"""How long steps may take: their expected time, and what is reserved for a slow day."""

from __future__ import annotations

import pytest

from tidemill.ledger.run import Action
from tidemill.offpeak.duration_quantile import PastAttempt, StepDuration, step_duration
from tidemill.planning.plan import Step


def step(action: Action = Action.RUN, wall_s: float | None = None) -> Step:
    return Step(stage="a", partition="all", action=action, reasons=(), wall_s=wall_s)


@pytest.mark.parametrize(("action", "seconds"), [(Action.RUN, 600), (Action.TRAIN, 3_600)])
def test_without_history_the_guess_is_cautious(action: Action, seconds: float) -> None:
    assert step_duration(step(action), ()) == StepDuration(seconds=seconds, reserve=seconds)


@pytest.mark.parametrize(
    ("past", "reserve"),
    [
        # Few attempts don't say how durations vary.
        ([10.0] * 4, 100.0),
        # Always the same.
        ([10.0] * 20, 0.0),
        # Two of ten took twice as long: the mean is 12 s.
        ([10.0] * 8 + [20.0] * 2, 100 * (20 / 12 - 1)),
        # One in a hundred isn't planned for.
        ([10.0] * 99 + [500.0], 0.0),
        # However far they are apart, there is a limit.
        ([0.01] * 89 + [100.0] * 11, 100 * (100 / (11 + 0.0089) - 1)),
        ([0.001] * 89 + [1e6] + [1e9] * 10, 900.0),
        ([0.0] * 10, 0.0),
    ],
)
def test_the_reserve_is_for_the_slow_ones(past: list[float], reserve: float) -> None:
    found = step_duration(step(wall_s=100.0), [PastAttempt(wall_s=wall) for wall in past])
    assert found.seconds == 100.0
    assert found.reserve == pytest.approx(reserve, rel=0.02)


def test_durations_that_grow_with_rows_dont_vary() -> None:
    past = [PastAttempt(wall_s=rows / 10, rows=rows) for rows in range(10, 100)]
    assert step_duration(step(wall_s=5.0), past).reserve == pytest.approx(0)
