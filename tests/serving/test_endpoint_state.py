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
from tidemill.ledger.rollout import RolloutAction
from tidemill.serving.endpoint_record import EndpointRecord, add_step
from tidemill.serving.endpoint_state import (
    EndpointState,
    follow_live,
    followed_state,
    judge,
    moves_back,
    pause,
    recorded_state,
    suspended,
    taken_over,
)
from tidemill.serving.rollout import planned_steps
from tidemill.serving.rollout_counts import Observed
from tidemill.testing.records import model_artifact, rollout_step, scores
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


def record(state: EndpointState) -> EndpointRecord:
    assert state.last is not None
    return EndpointRecord(last=state.last, since=state.since)


FIRST = follow_live(EndpointState(), live("a"), PLAN, 1.0)
ROLLING = follow_live(FIRST, live("b", 2.0), PLAN, 2.0)


def test_the_first_version_answers_at_once() -> None:
    assert (FIRST.serving, FIRST.rollout) == ("a", None)
    assert actions(FIRST) == [(COMPLETED, "a")]
    assert FIRST.records[0].reason == "the first version here"


def test_a_new_version_is_rolled_out_and_nothing_is_recorded_twice() -> None:
    assert ROLLING.serving == "a"
    assert ROLLING.rollout is not None
    assert (ROLLING.rollout.course.candidate, ROLLING.rollout.course.incumbent) == ("b", "a")
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
    assert (found.rollout.course.candidate, found.rollout.course.incumbent) == ("c", "a")
    assert actions(found) == [(REPLACED, "b"), (STARTED, "c")]
    assert found.records[0].reason == "c went live"


def test_going_back_to_an_older_version_during_a_rollout() -> None:
    found = follow_live(ROLLING, live("z", 3.0, rollback=True, by="ana"), PLAN, 3.0)
    assert (found.serving, found.rollout) == ("z", None)
    assert actions(found) == [(REPLACED, "b"), (COMPLETED, "z")]


def test_a_version_that_was_rolled_back_stays_so_until_it_is_delivered_again() -> None:
    """Also where what is live couldn't be moved back."""
    last = rollout_step(ROLLED_BACK, candidate="b", incumbent="a", at=100.0)
    before = recorded_state(EndpointRecord(last=last), PLAN)
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
    found = follow_live(
        recorded_state(EndpointRecord(last=last), PLAN), live("b", 2.0), PLAN, 200.0
    )
    assert found.serving == "a"
    assert found.rollout is not None
    assert planned_steps(PLAN)[found.rollout.course.step].share == 0.25
    assert found.records == ()


def test_a_restart_without_records_is_a_first_start() -> None:
    assert recorded_state(None, PLAN) == EndpointState()


def test_a_version_that_went_live_while_no_server_ran_is_rolled_out() -> None:
    before = recorded_state(record(FIRST), PLAN)
    assert actions(follow_live(before, live("b", 50.0), PLAN, 60.0)) == [(STARTED, "b")]


def test_a_rollout_whose_plan_was_removed_is_completed() -> None:
    before = recorded_state(record(ROLLING), None)
    found = follow_live(before, live("b", 2.0), None, 9.0)
    assert (found.serving, found.rollout) == ("b", None)
    assert actions(found) == [(COMPLETED, "b")]
    # Or it was rolled back meanwhile.
    back = follow_live(before, live("a", 3.0, rollback=True, by="ana"), None, 9.0)
    assert (back.serving, actions(back)) == ("a", [(COMPLETED, "a")])


VERSIONS = st.sampled_from("abcd")


@given(st.lists(st.tuples(VERSIONS, st.booleans(), st.booleans()), max_size=12))
def test_an_endpoint_restored_from_its_records_does_the_same(
    moves: list[tuple[str, bool, bool]],
) -> None:
    """Whatever goes live, with or without a restart between two moves."""
    found, at = EndpointState(), 0.0
    known: EndpointRecord | None = None
    for version, rollback, restart in moves:
        at += 1.0
        now = live(version, at, rollback=rollback, by="ana" if rollback else "gates")
        found = follow_live(found, now, PLAN, at)
        assert found.records == () or found.records[-1] == found.last
        if found.rollout is None:
            assert found.serving == version
        else:
            assert (found.rollout.course.candidate, found.rollout.course.incumbent) == (
                version,
                found.serving,
            )
            assert not rollback
        assert follow_live(found, now, PLAN, at + 0.5).records == ()
        for step in found.records:
            known = add_step(known, step)
        again = recorded_state(known, PLAN)
        assert again.course == found.course
        # So does a server that only follows, which records nothing.
        followed = followed_state(known, now, PLAN)
        assert (followed.course, followed.records) == (found.course, ())
        assert again.serving == found.serving
        assert (again.rollout is None) == (found.rollout is None)
        if restart:
            found = again


def test_what_judged_ends_a_rollout_either_way() -> None:
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
    step = pause(ROLLING, PLAN, 3.0, held=True, actor="ana", reason="until Monday")
    assert step is not None
    assert (step.action, step.candidate) == (RolloutAction.HELD, "b")
    held = recorded_state(add_step(record(ROLLING), step), PLAN)
    assert pause(held, PLAN, 4.0, held=True, actor="ana") is None
    going = pause(held, PLAN, 5.0, held=False, actor="ana")
    assert going is not None
    assert (going.action, going.candidate) == (RolloutAction.RESUMED, "b")
    with pytest.raises(UsageError, match="no rollout is under way"):
        pause(FIRST, PLAN, 5.0, held=True, actor="ana")


def test_a_server_that_follows_waits_for_the_record_of_a_rollout() -> None:
    before, new = record(FIRST), live("b", 2.0)
    assert followed_state(before, new, PLAN).course == recorded_state(before, PLAN).course
    rolling = followed_state(record(ROLLING), new, PLAN)
    assert rolling.rollout is not None
    assert rolling.course == ROLLING.course


def test_a_server_that_follows_goes_back_at_once() -> None:
    back = live("a", 3.0, rollback=True, by="ana")
    found = followed_state(record(ROLLING), back, PLAN)
    assert (found.serving, found.rollout, found.records) == ("a", None, ())
    older = followed_state(record(ROLLING), live("z", 3.0, rollback=True, by="ana"), PLAN)
    assert (older.serving, older.rollout, older.since) == ("z", None, 3.0)
    # It does the same at each look.
    assert followed_state(record(ROLLING), back, PLAN).course == found.course
    for at_once in (followed_state(None, live("a"), PLAN), followed_state(None, live("a"), None)):
        assert (at_once.serving, at_once.records) == ("a", ())


def test_a_server_that_begins_to_judge_records_that_a_rollout_continues() -> None:
    found = taken_over(record(ROLLING), live("b", 2.0), PLAN, 9.0)
    assert actions(found) == [(RolloutAction.CONTINUED, "b")]
    assert found.last == found.records[0]
    assert found.rollout is not None
    assert found.rollout.course == ROLLING.course.rollout
    # Nothing to continue, or something else went live.
    assert taken_over(None, live("a"), PLAN, 9.0) == EndpointState()
    for before, now, plan in (
        (FIRST, live("a"), PLAN),
        (FIRST, live("b", 2.0), PLAN),
        (ROLLING, live("c", 3.0), PLAN),
        (ROLLING, live("b", 3.0, rollback=True, by="ana"), PLAN),
        (ROLLING, None, PLAN),
        (ROLLING, live("b", 2.0), None),
    ):
        found = taken_over(record(before), now, plan, 9.0)
        assert found.course == recorded_state(record(before), plan).course
        assert found.records == ()


def test_evidence_is_carried_from_one_server_to_the_next() -> None:
    seen = look(np.random.default_rng(0), 300, 0.0, Behaviour(errors=0.02))
    judged = judge(ROLLING, seen, 3.0, PLAN)
    assert judged.rollout is not None
    stopped = suspended(judged, PLAN, 4.0)
    assert actions(stopped) == [(RolloutAction.SUSPENDED, "b")]
    evidence = judged.rollout.evidence.values
    assert stopped.records[0].evidence == evidence
    next_server = taken_over(record(stopped), live("b", 2.0), PLAN, 5.0)
    assert next_server.rollout is not None
    assert next_server.rollout.evidence.values == evidence
    # One that is killed then leaves less.
    third = taken_over(record(next_server), live("b", 2.0), PLAN, 6.0)
    assert third.rollout is not None
    assert third.rollout.evidence.values == {gate: one / 4 for gate, one in evidence.items()}
    assert suspended(FIRST, PLAN, 4.0).records == suspended(ROLLING, None, 4.0).records == ()
