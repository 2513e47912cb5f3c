"""The state of an endpoint as plain data, for `tidemill endpoints` and a server's own pages."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.ledger.rollout import EndpointStatus, RolloutAction, RolloutStep
from tidemill.serving.endpoint_state import EndpointState
from tidemill.serving.rollout import needed_requests, planned_steps
from tidemill.workflow.endpoint import Endpoint


def endpoint_status(
    endpoint: Endpoint, state: EndpointState, *, since: float = 0.0, problem: str = ""
) -> EndpointStatus:
    """Describe what an endpoint does; `problem` says why it doesn't do what it should.

    `since` is when the version that answers took over, as `serving_since` finds it; by default the last step
    says it, if it was the one that completed the version.
    """
    rollout, plan, last = state.rollout, endpoint.rollout, state.last
    since = since or serving_since([last] if last is not None else [])
    idle = EndpointStatus(
        name=endpoint.name,
        model=endpoint.model,
        version=state.serving,
        last=last,
        since=since,
        problem=problem,
    )
    if rollout is None or plan is None:
        return idle
    step, totals = planned_steps(plan)[rollout.step], rollout.totals
    return EndpointStatus(
        name=endpoint.name,
        model=endpoint.model,
        version=state.serving,
        since=since,
        candidate=rollout.candidate,
        phase=step.phase,
        share=step.share,
        step_since=rollout.since,
        until=rollout.since + step.least_s,
        # Requests without any of the other version can't be judged.
        requests=totals.candidate.requests if totals.control.requests else 0,
        needed=needed_requests(rollout, plan),
        evidence=rollout.evidence.values,
        total=rollout.evidence.total,
        limit=1 / plan.alpha,
        held=rollout.held,
        last=last,
        problem=problem,
    )


def serving_since(steps: Iterable[RolloutStep]) -> float:
    """When the version that answers took over, by an endpoint's steps, oldest first; 0 if unknown."""
    times = [step.at for step in steps if step.action is RolloutAction.COMPLETED]
    return times[-1] if times else 0.0
