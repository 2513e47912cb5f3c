"""A rollout and the ledger: its steps survive a restart, and what is live follows it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.behaviour.test_live_models import Harbour, harbour
from tests.support.rollout_traffic import Behaviour, look
from tests.support.users import USER
from tidemill.core.errors import ConflictError, UsageError
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.rollout import Phase, RolloutAction
from tidemill.ports.ledger import Lease
from tidemill.project.project import Project
from tidemill.project.served_rollouts import ServedRollouts
from tidemill.serving.endpoint_state import EndpointState, follow_live, judge, recorded_state
from tidemill.serving.rollout_counts import Observed
from tidemill.workflow.endpoint import Rollout

PLAN = Rollout(shadow_s=60.0)
ENDPOINT = 'flow.endpoint("tides", model=live, rollout=tm.rollout(shadow="1m"))\n'


@pytest.fixture
def sea(tmp_path: Path) -> Harbour:
    found = harbour(tmp_path)
    found.text = found.text.replace("flow.table(", f"{ENDPOINT}flow.table(", 1)
    assert ENDPOINT in found.text
    return found


def delivery(project: Project) -> Delivery:
    return project.state().live["model"]


def follow(project: Project, state: EndpointState) -> EndpointState:
    """Follow what is live, and record it, as a server does."""
    live = delivery(project)
    found = follow_live(state, live, PLAN, live.at)
    with judging(project) as (records, lease):
        records.record("tides", found.records, lease)
    return found


@contextmanager
def judging(project: Project) -> Iterator[tuple[ServedRollouts, Lease]]:
    """The records of rollouts, with the lease to write them."""
    records = ServedRollouts(project.workspace)
    lease = records.acquire()
    yield records, lease
    records.release(lease)


def recorded(project: Project) -> EndpointState:
    """What the endpoint does by its record."""
    return recorded_state(ServedRollouts(project.workspace).read(project.state())["tides"], PLAN)


def test_a_worse_version_goes_back_with_what_is_live(sea: Harbour) -> None:
    first = sea.train(9.0)
    with sea.open() as project:
        state = follow(project, EndpointState())
        assert state.serving == first
    second = sea.train(9.5)
    with sea.open() as project:
        # The server is started again.
        before = recorded(project)
        assert before.serving == first
        state = follow(project, before)
        assert (state.serving, state.rollout is not None) == (first, True)
        [status] = project.rollouts.statuses()
        assert (status.version, status.candidate, status.phase) == (first, second, Phase.SHADOW)
        assert status.since > 0
        seen = look(np.random.default_rng(0), 5000, 0.0, Behaviour(errors=0.2))
        state = judge(state, seen, delivery(project).at, PLAN)
        [step] = state.records
        with judging(project) as (records, lease):
            moved = records.move_back("tides", step, lease)
            records.record("tides", state.records, lease)
            # Once is enough.
            assert records.move_back("tides", step, lease) is None
        assert moved is not None
        assert (moved.version, moved.replaced) == (first, second)
        assert moved.actor == "rollout of endpoint tides"
        assert moved.reason.startswith("errors: ")
        assert follow(project, state).records == ()
    assert sea.live == first
    # The candidate is withdrawn: no run makes it live again.
    assert sea.run().exit_code == 0
    assert sea.live == first
    with sea.open() as project:
        actions = [step.action for step in project.rollouts.steps("tides")]
        assert actions == [
            RolloutAction.COMPLETED, RolloutAction.STARTED, RolloutAction.ROLLED_BACK,
        ]  # fmt: skip
        [status] = project.rollouts.statuses()
        assert (status.version, status.candidate) == (first, "")
        # A person may try it again.
        assert sea.deliver(second, note="ana").moved
        assert follow(project, state).rollout is not None


def test_a_server_that_lost_its_lease_moves_nothing(sea: Harbour) -> None:
    first = sea.train(9.0)
    with sea.open() as project:
        state = follow(project, EndpointState())
    second = sea.train(9.5)
    with sea.open() as project:
        state = follow(project, state)
        seen = look(np.random.default_rng(0), 5000, 0.0, Behaviour(errors=0.2))
        state = judge(state, seen, delivery(project).at, PLAN)
        records = ServedRollouts(project.workspace)
        lease = records.acquire()
        records.release(lease)
        with judging(project) as (others, now):
            taken = others.take_over(now)
            assert taken.endpoints["tides"].rollout is not None
            with pytest.raises(ConflictError, match=r"'serve:prod'.* no longer ours"):
                records.move_back("tides", state.records[0], lease)
            with pytest.raises(ConflictError, match="no longer ours"):
                records.record("tides", state.records, lease)
            with pytest.raises(ConflictError, match="no longer ours"):
                records.take_over(lease)
            with pytest.raises(ConflictError, match=r"is held by .*tidemill serve"):
                records.acquire()
        assert [step.action for step in project.rollouts.steps("tides")] == [
            RolloutAction.COMPLETED, RolloutAction.STARTED, RolloutAction.CONTINUED,
        ]  # fmt: skip
    assert sea.live == second != first


def test_a_person_goes_back_during_a_rollout(sea: Harbour) -> None:
    first = sea.train(9.0)
    with sea.open() as project:
        state = follow(project, EndpointState())
    sea.train(9.5)
    with sea.open() as project:
        state = follow(project, state)
        sea.rollback(reason="night shift complained", note="ana")
        state = follow(project, state)
        assert (state.serving, state.rollout) == (first, None)
        assert state.last is not None
        assert (state.last.actor, state.last.reason) == (USER, "night shift complained")


def test_a_rollout_is_held_and_resumed(sea: Harbour) -> None:
    sea.train(9.0)
    with sea.open() as project:
        state = follow(project, EndpointState())
        with pytest.raises(UsageError, match="no rollout is under way at endpoint 'tides'"):
            project.rollouts.hold("tides")
        with pytest.raises(UsageError, match=r"no endpoint 'tide' \(did you mean 'tides'"):
            project.rollouts.steps("tide")
    sea.train(9.5)
    with sea.open() as project:
        follow(project, state)
        held = project.rollouts.hold("tides", reason="until Monday", note="ana")
        assert (held.action, held.actor, held.reason) == (
            RolloutAction.HELD, USER, "until Monday",
        )  # fmt: skip
        assert project.rollouts.hold("tides", note="ben") == held
        [status] = project.rollouts.statuses()
        assert status.held
        again = recorded(project)
        kept = judge(again, Observed(), 1e12, PLAN)
        assert kept.records == ()
        assert project.rollouts.resume("tides").action is RolloutAction.RESUMED
        assert [replace(s, held=False) == s for s in project.rollouts.statuses()] == [True]
