"""Rollouts: step by step to all requests, back when the candidate is worse, never on silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rollout_traffic import Behaviour, look
from tidemill.adapters.codec.events import decode_event, encode_event
from tidemill.ledger.event import RolloutStepped
from tidemill.ledger.rollout import Phase, RolloutAction, RolloutStep
from tidemill.serving.rollout import (
    RolloutState,
    advance,
    begin,
    describe_evidence,
    has_enough_traffic,
    hold,
    needed_requests,
    planned_steps,
    restore,
    resume,
    suspend,
    take_over,
)
from tidemill.serving.rollout_counts import Arm, Observed, OutputComparison
from tidemill.serving.rollout_evidence import GATES
from tidemill.workflow.endpoint import Rollout

PLAN = Rollout(shadow_s=60.0, canary=(0.1, 0.5, 1.0), step_s=60.0)


def start(plan: Rollout = PLAN) -> RolloutState:
    state, _ = begin(model="mod", candidate="new", incumbent="old", plan=plan, now=0.0)
    return state


def at_step(number: int, plan: Rollout = PLAN) -> RolloutState:
    state = start(plan)
    return replace(state, course=replace(state.course, step=number))


def run(
    how: Behaviour, *, requests: float = 100, plan: Rollout = PLAN, most: int = 2000, seed: int = 0
) -> list[RolloutStep]:
    """Look every second until the rollout ends; at most so many times."""
    rng = np.random.default_rng(seed)
    state: RolloutState | None = start(plan)
    records: list[RolloutStep] = []
    for now in range(1, most + 1):
        assert state is not None
        share = planned_steps(plan)[state.course.step].share
        state, record = advance(state, look(rng, requests, share, how), float(now), plan)
        records += [record] if record else []
        if state is None:
            break
    return records


def test_the_steps_of_a_plan() -> None:
    assert [(step.phase, step.share) for step in planned_steps(PLAN)] == [
        (Phase.SHADOW, 0.0),
        (Phase.CANARY, 0.1),
        (Phase.CANARY, 0.5),
        (Phase.FULL, 1.0),
    ]
    assert planned_steps(replace(PLAN, shadow_s=0.0))[0].phase is Phase.CANARY


def test_a_good_version_takes_over_step_by_step() -> None:
    records = run(Behaviour())
    assert [(step.action, step.share) for step in records] == [
        (RolloutAction.PROMOTED, 0.1),
        (RolloutAction.PROMOTED, 0.5),
        (RolloutAction.COMPLETED, 1.0),
    ]
    assert [step.at for step in records] == [60.0, 120.0, 180.0]
    assert records[-1].served == "new"
    assert all(step.total < 20 for step in records)
    assert records[0].requests == records[0].control_requests > 5000
    assert records[0].figures["p99_s"] > 0


@pytest.mark.parametrize(
    ("how", "gate"),
    [
        (Behaviour(errors=0.05), "errors"),
        (Behaviour(outside=0.05), "outside"),
        (Behaviour(mean=2.0), "shift"),
        (Behaviour(slow=0.1), "slow"),
    ],
)
def test_a_worse_version_goes_back_and_says_why(how: Behaviour, gate: str) -> None:
    last = run(how)[-1]
    assert (last.action, last.share, last.served) == (RolloutAction.ROLLED_BACK, 0.0, "old")
    assert last.reason.startswith(f"{gate}: ")
    assert last.total >= 20
    assert last.evidence[gate] == max(last.evidence.values())
    # Latency is judged when the candidate answers.
    assert (last.phase is Phase.SHADOW) == (gate != "slow")


def test_silence_never_promotes() -> None:
    state: RolloutState | None = start()
    for now in range(1, 1000):
        assert state is not None
        state, record = advance(state, Observed(), now * 1e4, PLAN)
        assert record is None
    assert state is not None
    assert state.course.step == 0


def test_with_little_traffic_a_step_lasts_until_it_can_be_judged() -> None:
    records = run(Behaviour(errors=0.0), requests=2, most=4000)
    assert records[0].at > 200
    assert records[-1].action is RolloutAction.COMPLETED


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**4))
def test_more_requests_are_never_less_to_judge_by(ours: int, theirs: int, errors: int) -> None:
    state = replace(
        at_step(1),
        totals=Observed(
            candidate=Arm(requests=ours), control=Arm(requests=theirs, errors=min(errors, theirs))
        ),
    )
    assert needed_requests(state, PLAN) >= 1
    if has_enough_traffic(state, PLAN):
        assert min(ours, theirs) > 0


def test_what_is_needed_grows_with_the_base_rate_and_falls_with_the_regression() -> None:
    quiet, busy = (
        replace(
            start(),
            totals=Observed(candidate=Arm(requests=100), control=Arm(requests=100, errors=errors)),
        )
        for errors in (0, 5)
    )
    assert needed_requests(quiet, PLAN) < needed_requests(busy, PLAN)
    assert needed_requests(quiet, replace(PLAN, detect=0.1)) < needed_requests(quiet, PLAN)
    assert not has_enough_traffic(quiet, PLAN)


def test_where_the_version_before_fails_always_nothing_is_worse() -> None:
    failing = Observed(
        candidate=Arm(requests=100, errors=100), control=Arm(requests=100, errors=100)
    )
    state = replace(start(), totals=failing)
    assert needed_requests(state, PLAN) == 101
    assert not has_enough_traffic(state, PLAN)


def test_a_held_rollout_is_never_promoted_but_still_goes_back() -> None:
    rng = np.random.default_rng(0)
    state, record = hold(start(), PLAN, 5.0, actor="ana", reason="until Monday")
    assert (record.action, record.actor, record.reason) == (
        RolloutAction.HELD,
        "ana",
        "until Monday",
    )
    for now in range(200):
        kept, step = advance(state, look(rng, 100, 0.0, Behaviour()), float(now), PLAN)
        assert step is None
        assert kept is not None
        state = kept
    going, record = resume(state, PLAN, 201.0, actor="ana")
    assert (record.action, record.since) == (RolloutAction.RESUMED, 0.0)
    _, step = advance(going, Observed(), 202.0, PLAN)
    assert step is not None
    assert step.action is RolloutAction.PROMOTED
    bad, seconds = None, 0.0
    held: RolloutState | None = state
    while held is not None:
        held, bad = advance(held, look(rng, 100, 0.0, Behaviour(errors=0.2)), seconds, PLAN)
        seconds += 1.0
    assert bad is not None
    assert bad.action is RolloutAction.ROLLED_BACK


def test_what_differs_in_the_shadow_phase_is_recorded() -> None:
    rng = np.random.default_rng(0)
    seen = look(rng, 10_000, 0.0, Behaviour())
    pairs = OutputComparison(pairs=100, changed=20, largest=1.5)
    _, record = advance(start(), replace(seen, comparison=pairs), 60.0, PLAN)
    assert record is not None
    assert record.figures["changed_share"] == 0.2
    assert record.figures["largest_difference"] == 1.5


def test_figures_without_bounds_are_left_out() -> None:
    """The ledger can't keep them."""
    seen = look(np.random.default_rng(0), 10_000, 0.0, Behaviour())
    endless = OutputComparison(pairs=1, changed=1, largest=float("inf"))
    _, record = advance(start(), replace(seen, comparison=endless), 60.0, PLAN)
    assert record is not None
    assert "largest_difference" not in record.figures
    event = RolloutStepped(environment="prod", endpoint="delays", step=record)
    assert decode_event(encode_event(event)) == event


def test_a_restart_continues_in_the_same_step_with_earlier_evidence() -> None:
    records = run(Behaviour())
    first, second, last = records
    for record, step in ((first, 1), (second, 2)):
        state = restore(record, PLAN)
        assert state is not None
        assert (state.course.step, state.course.since, state.course.candidate) == (
            step,
            record.at,
            "new",
        )
        assert state.evidence.values == pytest.approx(dict(record.evidence))
        assert state.totals == Observed()
    assert restore(last, PLAN) is None


SEGMENTS = st.lists(
    st.tuples(st.integers(0, 1000), st.floats(0.0, 0.4), st.booleans()), min_size=1, max_size=4
)


@given(SEGMENTS)
@settings(max_examples=50, deadline=None)
def test_with_changes_of_the_judge_evidence_is_never_more_than_what_was_seen(
    segments: list[tuple[int, float, bool]],
) -> None:
    """So the bound on false rollbacks holds, whenever servers are killed, and however often."""
    state, record = begin(model="mod", candidate="new", incumbent="old", plan=PLAN, now=0.0)
    seen_by_all = dict.fromkeys(GATES, 1.0)
    any_lost = False
    for seed, errors, is_killed in segments:
        rng = np.random.default_rng(seed)
        for _ in range(3):
            seen = look(rng, 100, 0.0, Behaviour(errors=errors), Behaviour(errors=0.1))
            state = replace(state, evidence=state.evidence.add(seen, PLAN, shadow=True))
        began = record.evidence or dict.fromkeys(GATES, 1.0)
        for gate, one in state.evidence.values.items():
            seen_by_all[gate] *= one / began[gate]
        any_lost = any_lost or is_killed
        left = record if is_killed else suspend(state, PLAN, 1.0)
        continued = take_over(left, PLAN, 2.0)
        assert continued is not None
        state, record = continued
        assert record.action is RolloutAction.CONTINUED
        for gate, one in state.evidence.values.items():
            assert one <= seen_by_all[gate] * (1 + 1e-9)
            assert any_lost or one == pytest.approx(seen_by_all[gate])
        assert record.evidence == state.evidence.values


def test_a_rollout_that_has_ended_is_not_continued() -> None:
    assert take_over(run(Behaviour())[-1], PLAN, 2.0) is None


def test_a_restart_during_a_hold_holds() -> None:
    state = restore(
        begin(model="m", candidate="b", incumbent="a", plan=PLAN, now=0.0)[1], PLAN, held=True
    )
    assert state is not None
    assert state.course.held


def test_a_changed_plan_never_gives_more_requests_after_a_restart() -> None:
    record = run(Behaviour())[1]
    assert record.share == 0.5
    for canary, share in (((0.2, 0.4, 1.0), 0.4), ((0.6, 1.0), 0.0), ((1.0,), 0.0)):
        plan = replace(PLAN, canary=canary)
        state = restore(record, plan)
        assert state is not None
        assert planned_steps(plan)[state.course.step].share == share


def test_before_any_request_the_share_is_the_planned_one() -> None:
    shadow, canary = start(), at_step(1)
    assert needed_requests(shadow, PLAN) > needed_requests(canary, PLAN) > 10


def test_the_reason_names_the_gate_and_its_figures() -> None:
    totals = Observed(
        candidate=Arm(requests=1200, errors=30), control=Arm(requests=22_000, errors=110)
    )
    state = at_step(1)
    state = replace(state, evidence=state.evidence.add(totals, PLAN, shadow=False), totals=totals)
    assert describe_evidence(state, PLAN).startswith(
        "errors: 30 of 1,200 answers failed, 110 of 22,000 answers of the version before in this step "
        "(evidence "
    )


@pytest.mark.untraced
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_with_enough_traffic_the_regression_is_found_more_often_than_not(share: float) -> None:
    step = [each.share for each in planned_steps(PLAN)].index(share)
    # Each step ends as soon as it had the requests.
    plan = replace(PLAN, step_s=1.0, shadow_s=1.0)
    worse = Behaviour(errors=0.005 + PLAN.detect)
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        state, record, now = at_step(step, plan), None, 1.0
        while record is None:
            kept, record = advance(state, look(rng, 100, share, worse), now, plan)
            state, now = kept or state, now + 1.0
        found += record.action is RolloutAction.ROLLED_BACK
    assert found > 20
