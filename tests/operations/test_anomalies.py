"""Lists of what is unusual now."""

from __future__ import annotations

from tests.operations.test_run_series import DAY, MONDAY, History, attempt
from tidemill.operations.anomalies import find_anomalies
from tidemill.operations.run_series import RunMeasure, RunSeries


def test_a_stage_that_became_slower() -> None:
    history = History()
    history.quiet(60)
    for _ in range(4):
        history.run(attempt(300))
    empty = RunSeries()
    (found,) = find_anomalies({"b": {"run": empty}, "a": {"train": history.series}})
    assert (found.stage, found.action, found.measure) == ("a", "train", RunMeasure.LATENCY)
    assert (found.since, found.run, found.runs) == (MONDAY + 60 * DAY, "63", 4)
    assert (found.value, round(found.usual, -1)) == (300, 100)
    assert found.weekday_runs == 9


def test_nothing_is_unusual_any_more() -> None:
    history = History()
    history.quiet(60)
    for _ in range(4):
        history.run(attempt(300))
    history.quiet(3)
    assert [*find_anomalies({"a": {"run": history.series}})] == []
