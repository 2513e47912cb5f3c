"""The state of an endpoint as plain data, for `tidemill endpoints` and a server's own pages."""

from __future__ import annotations

from tidemill.ledger.rollout import EndpointStatus
from tidemill.serving.endpoint_state import EndpointState
from tidemill.serving.rollout import needed_requests, planned_steps
from tidemill.workflow.endpoint import Endpoint


def endpoint_status(
    endpoint: Endpoint, state: EndpointState, *, problem: str = ""
) -> EndpointStatus:
    """Describe what an endpoint does; `problem` says why it doesn't do what it should."""
    rollout, plan, last = state.rollout, endpoint.rollout, state.last
    idle = EndpointStatus(
        name=endpoint.name,
        model=endpoint.model,
        version=state.serving,
        last=last,
        since=state.since,
        problem=problem,
    )
    if rollout is None or plan is None:
        return idle
    step, totals = planned_steps(plan)[rollout.course.step], rollout.totals
    return EndpointStatus(
        name=endpoint.name,
        model=endpoint.model,
        version=state.serving,
        since=state.since,
        candidate=rollout.course.candidate,
        phase=step.phase,
        share=step.share,
        step_since=rollout.course.since,
        until=rollout.course.since + step.least_s,
        # Requests without any of the other version can't be judged.
        requests=totals.candidate.requests if totals.control.requests else 0,
        needed=needed_requests(rollout, plan),
        control_requests=totals.control.requests,
        evidence=rollout.evidence.values,
        total=rollout.evidence.total,
        limit=1 / plan.alpha,
        held=rollout.course.held,
        last=last,
        problem=problem,
    )
