"""What an endpoint answers with: what is live, at once or by a rollout; and after a restart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rollout_traffic import Behaviour, look
from tidemill.core.errors import UsageError
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.event import Event, RecordedEvent, Ticked
from tidemill.ledger.rollout import RolloutAction, RolloutStep
from tidemill.serving.endpoint_state import (
    EndpointState,
    after_restart,
    follow_live,
    judge,
    last_steps,
    moves_back,
    pause,
    steps_of,
)
from tidemill.serving.rollout import planned_steps
from tidemill.serving.rollout_counts import Observed
from tidemill.testing.records import model_artifact, rollout_event, rollout_step, scores
from tidemill.workflow.endpoint import Rollout

PLAN = Rollout()
STARTED, COMPLETED = RolloutAction.STARTED, RolloutAction.COMPLETED
ROLLED_BACK, REPLACED = RolloutAction.ROLLED_BACK, RolloutAction.REPLACED


def live(version: str, at: float = 1.0, *, rollback: bool = False, by: str = "gates") -> Delivery:
    return Delivery(
        name="mod",
        artifact=model_artifact(version),
        decision="d",
        scores=scores(),
        at=at,
        actor=by,
        reason="" if by == "gates" else "it is better",
        rollback=rollback,
    )


def actions(found: EndpointState) -> list[tuple[str, str]]:
    return [(step.action, step.candidate) for step in found.records]


FIRST = follow_live(EndpointState(), live("a"), PLAN, 1.0)
ROLLING = follow_live(FIRST, live("b", 2.0), PLAN, 2.0)


def test_the_first_version_answers_at_once() -> None:
    assert (FIRST.serving, FIRST.rollout) == ("a", None)
    assert actions(FIRST) == [(COMPLETED, "a")]
    assert FIRST.records[0].reason == "the first version here"


def test_a_new_version_is_rolled_out_and_nothing_is_recorded_twice() -> None:
    assert ROLLING.serving == "a"
    assert ROLLING.rollout is not None
    assert (ROLLING.rollout.candidate, ROLLING.rollout.incumbent) == ("b", "a")
    assert actions(ROLLING) == [(STARTED, "b")]
    again = follow_live(ROLLING, live("b", 2.0), PLAN, 3.0)
    assert again.rollout is ROLLING.rollout
    assert again.records == ()
    assert follow_live(FIRST, live("a"), PLAN, 3.0).records == ()


def test_without_a_rollout_a_new_version_answers_at_once() -> None:
    found = follow_live(FIRST, live("b", 2.0), None, 2.0)
    assert (found.serving, found.rollout) == ("b", None)
    assert [step.reason for step in found.records] == ["without a rollout"]


def test_a_person_who_goes_back_ends_a_rollout_at_once() -> None:
    found = follow_live(ROLLING, live("a", 3.0, rollback=True, by="ana"), PLAN, 3.0)
    assert (found.serving, found.rollout) == ("a", None)
    assert actions(found) == [(ROLLED_BACK, "b")]
    assert (found.records[0].actor, found.records[0].reason) == ("ana", "it is better")
    # It is served already, so the next look records nothing.
    assert follow_live(found, live("a", 3.0, rollback=True, by="ana"), PLAN, 4.0).records == ()


def test_a_person_who_goes_back_after_a_rollout_needs_none() -> None:
    done = EndpointState(serving="b", last=rollout_step(COMPLETED, candidate="b", incumbent="a"))
    found = follow_live(done, live("a", 200.0, rollback=True, by="ana"), PLAN, 200.0)
    assert (found.serving, found.rollout) == ("a", None)
    assert [step.reason for step in found.records] == ["rollback: it is better"]


def test_another_version_replaces_the_candidate() -> None:
    found = follow_live(ROLLING, live("c", 3.0), PLAN, 3.0)
    assert found.serving == "a"
    assert found.rollout is not None
    assert (found.rollout.candidate, found.rollout.incumbent) == ("c", "a")
    assert actions(found) == [(REPLACED, "b"), (STARTED, "c")]
    assert found.records[0].reason == "c went live"


def test_going_back_to_an_older_version_during_a_rollout() -> None:
    found = follow_live(ROLLING, live("z", 3.0, rollback=True, by="ana"), PLAN, 3.0)
    assert (found.serving, found.rollout) == ("z", None)
    assert actions(found) == [(REPLACED, "b"), (COMPLETED, "z")]


def test_a_version_that_was_rolled_back_stays_so_until_it_is_delivered_again() -> None:
    """Also where what is live couldn't be moved back."""
    last = rollout_step(ROLLED_BACK, candidate="b", incumbent="a", at=100.0)
    before = after_restart(last, PLAN)
    assert (before.serving, before.rollout) == ("a", None)
    stays = follow_live(before, live("b", 2.0), PLAN, 101.0)
    assert (stays.serving, stays.rollout, stays.records) == ("a", None, ())
    assert moves_back(last, {"delay_model": live("b", 2.0)})
    again = follow_live(before, live("b", 150.0, by="ana"), PLAN, 151.0)
    assert actions(again) == [(STARTED, "b")]
    assert not moves_back(last, {"delay_model": live("b", 150.0)})
    assert not moves_back(last, {"delay_model": live("a", 99.0)})
    assert not moves_back(last, {})
    assert not moves_back(rollout_step(), {"delay_model": live("new", 2.0)})


def test_a_restart_continues_a_rollout() -> None:
    last = rollout_step(candidate="b", incumbent="a", share=0.25)
    found = follow_live(after_restart(last, PLAN), live("b", 2.0), PLAN, 200.0)
    assert found.serving == "a"
    assert found.rollout is not None
    assert planned_steps(PLAN)[found.rollout.step].share == 0.25
    assert found.records == ()


def test_a_restart_without_records_is_a_first_start() -> None:
    assert after_restart(None, PLAN) == EndpointState()


def test_a_version_that_went_live_while_no_server_ran_is_rolled_out() -> None:
    before = after_restart(FIRST.last, PLAN)
    assert actions(follow_live(before, live("b", 50.0), PLAN, 60.0)) == [(STARTED, "b")]


def test_a_rollout_whose_plan_was_removed_is_completed() -> None:
    before = after_restart(ROLLING.last, None)
    found = follow_live(before, live("b", 2.0), None, 9.0)
    assert (found.serving, found.rollout) == ("b", None)
    assert actions(found) == [(COMPLETED, "b")]
    # Or it was rolled back meanwhile.
    back = follow_live(before, live("a", 3.0, rollback=True, by="ana"), None, 9.0)
    assert (back.serving, actions(back)) == ("a", [(COMPLETED, "a")])


def test_steps_are_read_from_events() -> None:
    first, second = rollout_step(STARTED), rollout_step()
    events: list[Event] = [
        rollout_event(first, environment="dev"),
        rollout_event(first),
        Ticked(schedule="s", tick="1"),
        rollout_event(second),
        rollout_event(first, "other"),
    ]
    facts = [RecordedEvent(seq=seq, at=1.0, event=each) for seq, each in enumerate(events)]

    def ours(environment: str, seq: int) -> bool:
        return environment == "prod"

    assert last_steps(facts, ours) == {"delays": second, "other": first}
    assert steps_of(facts, "delays", ours) == (first, second)
    assert steps_of(facts, "unknown", ours) == ()


VERSIONS = st.sampled_from("abcd")


@given(st.lists(st.tuples(VERSIONS, st.booleans(), st.booleans()), max_size=12))
def test_an_endpoint_restored_from_its_records_does_the_same(
    moves: list[tuple[str, bool, bool]],
) -> None:
    """Whatever goes live, with or without a restart between two moves."""
    found, at = EndpointState(), 0.0
    for version, rollback, restart in moves:
        at += 1.0
        now = live(version, at, rollback=rollback, by="ana" if rollback else "gates")
        found = follow_live(found, now, PLAN, at)
        assert found.records == () or found.records[-1] == found.last
        if found.rollout is None:
            assert found.serving == version
        else:
            assert (found.rollout.candidate, found.rollout.incumbent) == (version, found.serving)
            assert not rollback
        assert follow_live(found, now, PLAN, at + 0.5).records == ()
        again = after_restart(found.last, PLAN)
        assert again.serving == found.serving
        assert (again.rollout is None) == (found.rollout is None)
        if restart:
            found = again


def test_what_is_observed_ends_a_rollout_either_way() -> None:
    rng = np.random.default_rng(0)
    plan = Rollout(shadow_s=1.0, canary=(1.0,), step_s=1.0)
    going = follow_live(FIRST, live("b", 2.0), plan, 2.0)
    waits = judge(going, Observed(), 9.0, plan)
    assert (waits.serving, waits.records, waits.last) == ("a", (), going.last)
    done = judge(waits, look(rng, 5000, 0.0, Behaviour()), 9.0, plan)
    assert (done.serving, done.rollout, actions(done)) == ("b", None, [(COMPLETED, "b")])
    back = judge(waits, look(rng, 5000, 0.0, Behaviour(errors=0.1)), 9.0, plan)
    assert (back.serving, back.rollout, actions(back)) == ("a", None, [(ROLLED_BACK, "b")])
    assert judge(done, Observed(), 10.0, plan) == replace(done, records=())
    # What is live moves back, and nothing more happens.
    after = follow_live(back, live("a", 9.5, rollback=True, by="rollout of endpoint x"), plan, 9.6)
    assert (after.serving, after.records) == ("a", ())


def test_a_rollout_is_held_and_resumed_once() -> None:
    held = pause(ROLLING, PLAN, 3.0, held=True, actor="ana", reason="until Monday")
    assert held.rollout is not None
    assert held.rollout.held
    assert actions(held) == [(RolloutAction.HELD, "b")]
    assert pause(held, PLAN, 4.0, held=True, actor="ana").records == ()
    going = pause(held, PLAN, 5.0, held=False, actor="ana")
    assert actions(going) == [(RolloutAction.RESUMED, "b")]
    with pytest.raises(UsageError, match="no rollout is under way"):
        pause(FIRST, PLAN, 5.0, held=True, actor="ana")


def test_a_hold_counts_until_it_is_resumed() -> None:
    """A server took a step before it knew of the hold."""
    held = rollout_step(RolloutAction.HELD, share=0.05, at=10.0)
    promoted = rollout_step(share=0.25, at=10.2)
    resumed = rollout_step(RolloutAction.RESUMED, share=0.25, at=11.0)
    other = rollout_step(candidate="other", at=12.0)
    ended = rollout_step(ROLLED_BACK, at=12.0)

    def last(*steps: RolloutStep) -> RolloutStep:
        facts = [
            RecordedEvent(seq=seq, at=1.0, event=rollout_event(step))
            for seq, step in enumerate(steps)
        ]
        return last_steps(facts, lambda environment, seq: True)["delays"]

    still = last(promoted, held, promoted)
    assert (still.action, still.share, still.at, still.reason) == (
        RolloutAction.HELD, 0.25, 10.2, held.reason,
    )  # fmt: skip
    assert last(held, promoted, promoted).action is RolloutAction.HELD
    for steps in ((held, promoted, resumed), (held, other), (held, ended), (resumed, promoted)):
        assert last(*steps) == steps[-1]
