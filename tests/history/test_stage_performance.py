"""The figures of stages."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.history.stage_performance import AttemptTally, percentiles, stage_performances
from tidemill.ledger.performance import Percentiles, Performance
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.workflow.memo import MemoUsage


def attempt(stage: str = "a", outcome: Outcome = Outcome.OK, **more: object) -> Attempt:
    fields = {"partition": "p", "action": "run", **more}
    return Attempt(stage=stage, outcome=outcome, **fields)  # type: ignore[arg-type]


def test_the_figures_of_a_stage() -> None:
    tried = [
        ("1", attempt(wall_s=1.0, queued_s=0.1, rows_in=10, bytes_in=100, cpu_s=0.5, worker="7")),
        ("1", attempt(wall_s=3.0, queued_s=0.3, rows_in=30, bytes_in=700, peak_rss=5, worker="8")),
        ("1", attempt(outcome=Outcome.RETRIED, wall_s=60.0, cpu_s=2.0, peak_rss=9, worker="8")),
        ("2", attempt(outcome=Outcome.FAILED, wall_s=60.0, rows_in=5000)),
    ]
    assert stage_performances(tried) == (
        Performance(
            stage="a",
            runs=2,
            attempts=4,
            failed=2,
            retried=1,
            error_rate=0.5,
            wall=Percentiles(p50=1.0, p95=3.0),
            queue=Percentiles(p50=0.0, p95=0.3),
            rows_per_s=10.0,
            bytes_per_s=200.0,
            cpu_s=2.5,
            peak_rss=9,
            workers=2,
            rows_in=5040,
            bytes_in=800,
            charged_cpu_s=2.5,
        ),
    )


def test_stages_in_their_order_without_those_that_did_nothing() -> None:
    tried = [
        ("1", attempt("b")),
        ("1", attempt("a", Outcome.BOUND)),
        ("1", attempt("c", Outcome.SKIPPED)),
        ("1", attempt("d", action=Action.GATE)),
        ("1", attempt("e", action=Action.RECHECK)),
        ("2", attempt("f", Outcome.FAILED)),
        ("2", attempt("b")),
    ]
    b, f = stage_performances(tried)
    assert (b.stage, b.runs, b.attempts, b.rows_per_s) == ("b", 2, 2, None)
    assert (f.stage, f.wall, f.queue, f.error_rate) == (
        "f",
        Percentiles(),
        Percentiles(p50=0.0, p95=0.0),
        1,
    )
    assert stage_performances([]) == ()


@pytest.mark.parametrize(
    ("seconds", "p50", "p95"),
    [
        ([1.0], 1.0, 1.0),
        ([2.0, 1.0], 1.0, 2.0),
        ([3.0, 1.0, 2.0], 2.0, 3.0),
        ([float(n) for n in range(1, 21)], 10.0, 19.0),
        ([float(n) for n in range(1, 101)], 50.0, 95.0),
        ([float(n) for n in range(1, 102)], 51.0, 96.0),
    ],
)
def test_nearest_rank(seconds: list[float], p50: float, p95: float) -> None:
    assert percentiles(Counter(seconds)) == Percentiles(p50=p50, p95=p95)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_so_many_took_at_most_that(seconds: list[float]) -> None:
    found = percentiles(Counter(seconds))
    assert found.p50 in seconds
    assert found.p95 in seconds
    for share, value in ((50, found.p50), (95, found.p95)):
        assert value is not None
        assert sum(one <= value for one in seconds) >= ceil(share * len(seconds) / 100)
        assert sum(one < value for one in seconds) < ceil(share * len(seconds) / 100)


def test_cost_counts_what_computes_nothing_too() -> None:
    tally = AttemptTally()
    tally.add("1", attempt(action=Action.TRIAL, cpu_s=2.0, memo=MemoUsage(spent=0.25)))
    tally.add("1", attempt(cpu_s=1.0, rows_out=90, quarantined=10))
    found = tally.performance("a")
    assert (found.attempts, found.cpu_s, found.charged_cpu_s, found.spent) == (1, 1.0, 3.0, 0.25)
    assert found.quarantine_rate == 0.1


@pytest.mark.parametrize("odd", [math.nan, math.inf, -1.0])
def test_a_figure_that_cannot_be_counts_as_nothing(odd: float) -> None:
    tally = AttemptTally()
    tally.add("1", attempt(wall_s=odd, cpu_s=odd, queued_s=odd, memo=MemoUsage(spent=odd)))
    found = tally.performance("a")
    assert (found.wall.p50, found.queue.p50, found.charged_cpu_s, found.spent) == (0, 0, 0, 0)
    assert found.rows_per_s is None


def test_the_figures_of_no_attempt() -> None:
    assert AttemptTally().performance("a").error_rate == 0


ATTEMPTS = st.builds(
    attempt,
    outcome=st.sampled_from([Outcome.OK, Outcome.FAILED, Outcome.RETRIED, Outcome.BOUND]),
    wall_s=st.floats(0, 1e5),
    cpu_s=st.floats(0, 1e5),
    queued_s=st.floats(0, 10),
    rows_in=st.integers(0, 99),
    rows_out=st.integers(0, 99),
    bytes_in=st.integers(0, 99),
    bytes_out=st.integers(0, 99),
    quarantined=st.integers(0, 9),
    peak_rss=st.integers(0, 99),
    worker=st.sampled_from(["1", "2", "3"]),
    memo=st.none() | st.builds(MemoUsage, spent=st.floats(0, 9)),
)


@given(st.lists(st.lists(ATTEMPTS, max_size=4), max_size=5), st.data())
def test_merged_parts_are_the_whole(runs: list[list[Attempt]], data: st.DataObject) -> None:
    tried = [(str(run), one) for run, attempts in enumerate(runs) for one in attempts]
    cuts = data.draw(st.lists(st.integers(0, len(tried)), max_size=3).map(sorted))
    merged = AttemptTally()
    for start, end in pairwise([0, *cuts, len(tried)]):
        part = AttemptTally()
        for run, one in tried[start:end]:
            part.add(run, one)
        merged.merge(part)
    whole = AttemptTally()
    for run, one in tried:
        whole.add(run, one)
    found, expected = merged.performance("a"), whole.performance("a")
    # A run that is cut in two may have had more processes than either part.
    assert replace(found, workers=0) == replace(expected, workers=0)
    assert found.workers <= expected.workers
