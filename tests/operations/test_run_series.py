"""Judging runs against the runs before them."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.operations.run_series import MEASURES, RunMeasure, RunSeries, is_comparable
from tidemill.workflow.memo import MemoUsage

# A Monday, noon UTC.
MONDAY = 1_704_110_400.0
DAY = 86_400.0
LATENCY, ROWS = MEASURES.index(RunMeasure.LATENCY), MEASURES.index(RunMeasure.ROWS)


def attempt(wall: float = 100.0, rows: float = 5_000, **more: Any) -> Attempt:
    fields: dict[str, Any] = {"cpu_s": 80.0, "bytes_out": 200_000, "quarantined": 10, **more}
    return Attempt(
        stage="a",
        partition="p",
        action="run",
        outcome=Outcome.OK,
        wall_s=wall,
        rows_out=int(rows),
        **fields,
    )


class History:
    """A run a day, with 5 % noise from a fixed seed."""

    def __init__(self) -> None:
        self.series = RunSeries()
        self.day = 0
        self.generator = random.Random(7)

    def run(self, *attempts: Attempt) -> list[int]:
        for each in attempts:
            self.series.add(str(self.day), each, MONDAY + self.day * DAY, "UTC")
        self.series.close("UTC")
        self.day += 1
        return [*self.series.runs[-1].signs] if self.series.runs else []

    def quiet(self, days: int, wall: float = 100.0, rows: float = 5_000) -> list[list[int]]:
        return [self.run(attempt(wall * self._noise(), rows * self._noise())) for _ in range(days)]

    def _noise(self) -> float:
        return math.exp(self.generator.gauss(0, 0.05))


def test_quiet_runs_are_usual() -> None:
    assert not any(map(any, History().quiet(200)))


def test_two_of_three_slow_runs_are_unusual() -> None:
    history = History()
    history.quiet(60)
    assert history.run(attempt(200))[LATENCY] == 0
    assert history.run(attempt(200))[LATENCY] == 1
    newest = history.series.runs[-1]
    assert newest.values[LATENCY] == 200
    assert newest.usual[LATENCY] == pytest.approx(100, rel=0.1)
    assert newest.weekday_runs == 8
    assert history.run(attempt(100))[LATENCY] == 1
    assert history.run(attempt(100))[LATENCY] == 0


def test_one_slow_run_is_none() -> None:
    history = History()
    history.quiet(60)
    history.run(attempt(1000))
    assert not any(map(any, history.quiet(30)))


def test_after_single_slow_runs_all_three_must_be() -> None:
    history = History()
    history.quiet(50)
    history.run(attempt(1000))
    history.quiet(10)
    found = [history.run(attempt(300))[LATENCY] for _ in range(3)]
    assert found == [0, 0, 1]


def test_fewer_rows_matter_and_quicker_runs_do_not() -> None:
    history = History()
    history.quiet(60)
    for _ in range(3):
        signs = history.run(attempt(20, 500))
    assert (signs[LATENCY], signs[ROWS]) == (0, -1)


def test_weekends_are_compared_with_weekends() -> None:
    history, found = History(), []
    for _ in range(12):
        found += history.quiet(5) + history.quiet(2, 30, 1_000)
    assert not any(map(any, found))
    # As slow as on weekdays is too slow for a weekend.
    history.quiet(5)
    history.run(attempt(100, 1_000))
    assert history.run(attempt(100, 1_000))[LATENCY] == 1


def test_data_that_grow_are_usual() -> None:
    history = History()
    found = [
        history.quiet(1, 100 * 1.02**week, 5_000 * 1.02**week)[0]
        for week in range(52)
        for _ in range(7)
    ]
    assert not any(map(any, found))


def test_what_lasts_becomes_usual() -> None:
    history = History()
    history.quiet(60)
    found = [signs[LATENCY] for signs in history.quiet(40, 250)]
    assert found[:2] == [0, 1]
    assert set(found[20:]) == {0}
    for _ in range(3):
        signs = history.run(attempt(600))
    assert signs[LATENCY] == 1


def test_too_few_runs_say_nothing() -> None:
    history = History()
    history.quiet(5)
    assert not any(map(any, [history.run(attempt(10_000)) for _ in range(5)]))
    assert math.isnan(history.series.runs[0].usual[LATENCY])


def test_a_backfill_is_left_out() -> None:
    history = History()
    history.quiet(30)
    known = len(history.series.runs)
    history.run(*[attempt(500)] * 300)
    assert len(history.series.runs) == known
    assert not any(map(any, history.quiet(5)))


def test_a_run_is_the_median_of_its_partitions() -> None:
    history = History()
    history.run(attempt(1), attempt(2), attempt(900))
    (run,) = history.series.runs
    assert (run.values[LATENCY], run.partitions) == (2, 3)
    history.run(*[attempt(5)] * 1_500)
    assert history.series.runs[-1].partitions == 1_500


def test_a_series_without_scatter_is_judged_by_the_factor() -> None:
    history = History()
    for _ in range(60):
        history.run(attempt(100))
    assert not any(any(history.run(attempt(125))) for _ in range(3))
    for _ in range(2):
        signs = history.run(attempt(140))
    assert signs[LATENCY] == 1


def test_a_few_bad_rows_more_are_chance() -> None:
    history, quarantine = History(), MEASURES.index(RunMeasure.QUARANTINE)
    for day in range(60):
        history.run(attempt(rows=400, quarantined=day % 2))
    assert not any(history.run(attempt(rows=400, quarantined=4))[quarantine] for _ in range(3))
    for _ in range(3):
        signs = history.run(attempt(rows=400, quarantined=200))
    assert signs[quarantine] == 1


def test_spending_of_memos_counts() -> None:
    history, spending = History(), MEASURES.index(RunMeasure.SPENDING)
    for _ in range(40):
        history.run(attempt(memo=MemoUsage(spent=1.0)))
    for _ in range(2):
        signs = history.run(attempt(memo=MemoUsage(spent=3.0)))
    assert signs[spending] == 1


NUMBERS = st.floats() | st.just(0.0)


@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=3), max_size=40))
def test_any_figures_can_be_judged(days: list[list[float]]) -> None:
    history = History()
    for walls in days:
        history.run(*(attempt(wall, 0, cpu_s=wall, bytes_out=0, quarantined=0) for wall in walls))
    for run in history.series.runs:
        assert len(run.signs) == len(run.usual) == len(run.residuals) == len(MEASURES)
        assert all(math.isfinite(value) for value in run.values)


def test_the_past_that_is_kept_is_bounded() -> None:
    history = History()
    history.quiet(400)
    assert len(history.series.runs) == 56
    assert max(len(known.medians) for known in history.series.histories) == 112


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        ({"outcome": Outcome.FAILED}, False),
        ({"outcome": Outcome.BOUND}, False),
        ({"action": Action.GATE}, False),
        # Some columns of a partition are less work than all.
        ({"columns": ("x",)}, False),
    ],
)
def test_what_can_be_compared(more: dict[str, Any], expected: bool) -> None:
    fields: dict[str, Any] = {"outcome": Outcome.OK, "action": Action.TRAIN, **more}
    assert is_comparable(Attempt(stage="a", partition="p", **fields)) == expected
