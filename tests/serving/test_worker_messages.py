"""What processes send each other arrives as it was, without the evidence of rollouts."""

from __future__ import annotations

import math

import msgspec

from tidemill.ledger.rollout import Phase, RolloutAction, RolloutStep
from tidemill.serving.endpoint_state import EndpointState
from tidemill.serving.rollout import RolloutCourse, RolloutState
from tidemill.serving.rollout_counts import Arm, Observed
from tidemill.serving.worker_messages import (
    EndpointView,
    ServerView,
    StepObserved,
)

STEP = RolloutStep(
    model="demand",
    candidate="v2",
    incumbent="v1",
    action=RolloutAction.STARTED,
    phase=Phase.CANARY,
    share=0.1,
    at=5.25,
    since=5.25,
)
ROLLOUT = RolloutState(
    course=RolloutCourse(
        model="demand", candidate="v2", incumbent="v1", step=1, since=5.1, held=True
    ),
    totals=Observed(candidate=Arm(requests=7)),
)


def test_a_state_is_shared_without_what_was_observed() -> None:
    before = EndpointState(serving="v1", since=3.5, rollout=ROLLOUT, last=STEP)
    view = ServerView(processes=2, endpoints={"demand": EndpointView(course=before.course)})
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(view), type=ServerView)
    assert sent == view
    state = sent.endpoints["demand"].course.state
    assert (state.serving, state.since, state.last, state.records) == ("v1", 3.5, STEP, ())
    assert state.rollout is not None
    assert (state.rollout.course, state.rollout.totals) == (ROLLOUT.course, Observed())


def test_a_state_without_a_rollout() -> None:
    assert EndpointState(serving="v1").course.state == EndpointState(serving="v1")


def test_outputs_arrive_in_their_type() -> None:
    outputs = (1.0, 1, "rye", True, None, math.inf)
    found = StepObserved(since=1.5, observed=Observed(control=Arm(requests=6, outputs=outputs)))
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=StepObserved)
    assert sent == found
    assert [type(value) for value in sent.observed.control.outputs] == [*map(type, outputs)]


def test_all_versions_that_are_named_are_needed_once() -> None:
    course = EndpointState(serving="v1", rollout=ROLLOUT).course
    assert EndpointView(course=course, prepare=("v2", "v3")).needed == ("v1", "v2", "v3")
    assert EndpointView().needed == ()
