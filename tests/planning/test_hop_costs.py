"""How long a step has to take to be worth a hop, by what hops cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.run import Action
from tidemill.planning.hop_costs import HopCosts, StepTrials, first_unknown, least_seconds
from tidemill.planning.plan import Step

STEP = Step(stage="features", partition="1", action=Action.RUN, reasons=())
SECONDS = st.floats(min_value=0.0, max_value=1e6)


@pytest.mark.parametrize(
    ("hop_s", "gain", "least"),
    [
        # None is known yet.
        (0.0, 1.0, 0.02),
        (0.1, 1.0, 1.0),
        # Few workers are no gain, and no reason to ask for more either.
        (0.1, 0.5, 1.0),
        (0.1, 4.0, 0.25),
        # A worker is busy with a step for at least as long as the step is on its way.
        (0.1, 1000.0, 0.1),
    ],
)
def test_a_hop_costs_several_steps(hop_s: float, gain: float, least: float) -> None:
    assert least_seconds(hop_s, gain=gain) == pytest.approx(least)


@given(SECONDS, SECONDS, st.floats(min_value=0.01, max_value=1e6))
def test_dearer_hops_and_fewer_workers_never_send_more(one: float, two: float, gain: float) -> None:
    low, high = sorted((one, two))
    assert low <= least_seconds(low, gain=gain) <= least_seconds(high, gain=gain)
    assert least_seconds(low, gain=2 * gain) <= least_seconds(low, gain=gain)


@given(st.lists(SECONDS, min_size=1))
def test_means_stay_between_what_was_measured(values: list[float]) -> None:
    costs = HopCosts()
    for value in values:
        costs.note_hop(value)
    assert costs.is_measured
    assert min(values) * (1 - 1e-9) <= costs.hop_s <= max(values) * (1 + 1e-9)


def test_newer_hops_weigh_more() -> None:
    costs = HopCosts(1.0)
    assert not costs.is_measured
    costs.note_hop(0.0)
    assert costs.hop_s == pytest.approx(0.9)
    for _ in range(50):
        costs.note_hop(0.0)
    assert costs.hop_s < 0.01
    # Clocks that were set back don't make hops cheaper than nothing.
    costs.note_hop(-60.0)
    assert costs.hop_s >= 0.0


def test_steps_are_known_by_stage_and_action() -> None:
    costs = HopCosts()
    costs.note_step(STEP, 0.5)
    assert costs.measured_s(replace(STEP, partition="2")) == 0.5
    assert costs.measured_s(replace(STEP, action=Action.TRIAL)) is None
    assert costs.measured_s(replace(STEP, stage="total")) is None
    assert costs.measured_s(replace(STEP, wall_s=0.1)) == 0.1


def test_the_middle_of_the_last_ones_counts() -> None:
    """The first one in a process also loads what it imports."""
    costs = HopCosts()
    for seconds in (2.0, 0.01, 0.02):
        costs.note_step(STEP, seconds)
    assert costs.measured_s(STEP) == 0.02
    for seconds in (5.0, 6.0):
        costs.note_step(STEP, seconds)
    assert costs.measured_s(STEP) == 5.0


def test_some_of_many_steps_without_history_are_tried() -> None:
    days = [replace(STEP, partition=str(number)) for number in range(100)]
    assert first_unknown(days, 2) == {("features", "0"), ("features", "1")}
    known = [replace(days[0], wall_s=1.0), *days[1:], replace(STEP, stage="total")]
    assert first_unknown(known, 2) == set()
    assert first_unknown([*known, replace(STEP, partition="x")], 1) == {("features", "1")}


def test_steps_wait_while_others_of_their_stage_are_tried_but_not_for_long() -> None:
    one, two, three = (replace(STEP, partition=partition) for partition in "123")
    trials = StepTrials({("features", "1"), ("features", "2")})
    trials.begin(three, 0.0)
    assert not trials.decides(three, 0.0)
    trials.begin(one, 0.0)
    trials.begin(two, 2.0)
    assert trials.decides(three, 14.9)
    assert not trials.decides(replace(three, stage="total"), 14.9)
    # What takes so long is worth a hop.
    assert not trials.decides(three, 15.1)
    trials.end(one)
    assert trials.decides(three, 15.1)
    trials.end(two)
    trials.end(three)
    assert not trials.decides(three, 15.1)
