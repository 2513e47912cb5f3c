"""The state of an endpoint as plain data, for `tidemill endpoints` and a server's own pages."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.ledger.rollout import EndpointStatus, RolloutAction, RolloutStep
from tidemill.serving.live_version import Following
from tidemill.serving.rollout import needed_requests, planned_steps
from tidemill.workflow.endpoint import Endpoint


def endpoint_status(
    endpoint: Endpoint, following: Following, *, since: float = 0.0, problem: str = ""
) -> EndpointStatus:
    """Describe what an endpoint does; `problem` says why it doesn't do what it should.

    `since` is when the version that answers took over, as `serving_since` finds it.
    """
    state, plan, last = following.rollout, endpoint.rollout, following.last
    idle = EndpointStatus(
        name=endpoint.name,
        model=endpoint.model,
        version=following.serving,
        last=last,
        since=since,
        problem=problem,
    )
    if state is None or plan is None:
        return idle
    step, totals = planned_steps(plan)[state.step], state.totals
    return EndpointStatus(
        name=endpoint.name,
        model=endpoint.model,
        version=following.serving,
        since=since,
        candidate=state.candidate,
        phase=step.phase,
        share=step.share,
        step_since=state.since,
        until=state.since + step.least_s,
        # Requests without any of the other version can't be judged.
        requests=totals.candidate.requests if totals.control.requests else 0,
        needed=needed_requests(state, plan),
        evidence=state.evidence.values,
        total=state.evidence.total,
        limit=1 / plan.alpha,
        held=state.held,
        last=last,
        problem=problem,
    )


def serving_since(steps: Iterable[RolloutStep]) -> float:
    """When the version that answers took over, by an endpoint's steps, oldest first; 0 if unknown."""
    times = [step.at for step in steps if step.action is RolloutAction.COMPLETED]
    return times[-1] if times else 0.0
