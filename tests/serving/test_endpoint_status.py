"""The state of an endpoint as plain data."""

from __future__ import annotations

import numpy as np

from tests.support.rollout_traffic import Behaviour, look
from tidemill.ledger.rollout import EndpointStatus, Phase, RolloutAction
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.endpoint_state import EndpointState, judge, recorded_state
from tidemill.serving.endpoint_status import endpoint_status
from tidemill.serving.rollout_counts import Arm, Observed
from tidemill.testing.records import rollout_step
from tidemill.workflow.endpoint import Endpoint, Rollout

PLAN = Rollout(alpha=0.1)
ENDPOINT = Endpoint(name="delays", model="delay_model", rollout=PLAN)
ROLLING = recorded_state(EndpointRecord(last=rollout_step(), since=50.0), PLAN)


def test_an_endpoint_without_a_rollout() -> None:
    last = rollout_step(RolloutAction.COMPLETED)
    found = endpoint_status(ENDPOINT, recorded_state(EndpointRecord(last=last, since=100.0), PLAN))
    assert found == EndpointStatus(
        name="delays", model="delay_model", version="new", since=100.0, last=last
    )


def test_an_endpoint_that_has_nothing_to_serve() -> None:
    found = endpoint_status(ENDPOINT, EndpointState(), problem="no version is approved yet")
    assert (found.version, found.problem) == ("", "no version is approved yet")


def test_a_rollout_says_what_it_waits_for() -> None:
    seen = look(np.random.default_rng(0), 300, 0.05, Behaviour(errors=0.0))
    found = endpoint_status(ENDPOINT, judge(ROLLING, seen, 101.0, PLAN))
    assert (found.version, found.candidate, found.since) == ("old", "new", 50.0)
    assert (found.phase, found.share, found.step_since) == (Phase.CANARY, 0.05, 100.0)
    assert found.until == 100.0 + PLAN.step_s
    assert 0 < found.requests < found.needed
    assert set(found.evidence) == {"errors", "outside", "slow", "shift"}
    assert (found.limit, found.held) == (10.0, False)


def test_requests_without_any_of_the_other_version_judge_nothing() -> None:
    alone = judge(ROLLING, Observed(candidate=Arm(requests=5000)), 101.0, PLAN)
    assert endpoint_status(ENDPOINT, alone).requests == 0
