"""What answers at each endpoint, how far rollouts are, and people who hold and resume them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.signature import signature
from tidemill.governance.permissions import Permission
from tidemill.governance.review_page import moment
from tidemill.ledger.rollout import EndpointStatus, RolloutStep
from tidemill.operations.stage_figures import EndpointFigures
from tidemill.project.project import Project
from tidemill.serving.rollout_text import (
    doing_text,
    gate_limits,
    next_step_text,
    rollout_text,
)
from tidemill.serving.running_servers import ObservedEndpoints, ServerStatus
from tidemill.serving.step_text import step_done

_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """The version with which a running server, by its first process, answers at an endpoint; "" if none."""

    process: int
    version: str
    judges: bool
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLine:
    """How strongly the candidate seems worse by a gate, and with how much it would go back."""

    gate: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointLine:
    """An endpoint: its `status`, the version of its model that is `live`, what each server says, its figures.

    The rollout is told in words as well: in short, what the candidate does, and what its next step waits for.
    `figures` are of the last 28 days; None if nothing was counted.
    """

    status: EndpointStatus
    live: str
    rollout: str
    doing: str
    next_step: str
    evidence: tuple[EvidenceLine, ...]
    servers: tuple[ServerAnswer, ...]
    figures: EndpointFigures | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLine:
    """A running server on this machine: its first process, whether it judges rollouts, and its faults."""

    process: int
    judges: bool
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsView:
    """All endpoints, the running servers, and why others don't reply."""

    endpoints: tuple[EndpointLine, ...]
    servers: tuple[ServerLine, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutNow:
    """Which version a rollout brings to an endpoint ("" without one), and whether a person holds it."""

    endpoint: str
    candidate: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLine:
    """A recorded step of a rollout, and what it did in words."""

    step: RolloutStep
    done: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedEndpointView:
    """An endpoint, the `rollout` as it is recorded, and its steps, newest first.

    `next` is the `before` of the next page of steps; 0 if there are no more.
    """

    endpoint: EndpointLine
    rollout: RolloutNow
    right: ActionRight
    features: str
    is_rolled_out: bool
    steps: tuple[StepLine, ...]
    next: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeredView:
    """What holding or resuming a rollout recorded, in words and as it is recorded."""

    told: str
    step: RolloutStep


def list_endpoints(project: Project) -> EndpointsView:
    """List the endpoints: what answers by server, the rollout of another version, traffic and latency.

    Running servers on this machine are asked for the evidence up to now. Without one it is that of the last
    recorded step.
    """
    project.workspace.require(Permission.READ)
    found = project.rollouts.observed()
    return EndpointsView(
        endpoints=tuple(_lines(project, found)),
        servers=tuple(
            ServerLine(process=each.process, judges=each.judges, faults=each.faults)
            for each in found.servers
        ),
        problems=found.problems,
    )


def show_endpoint(
    project: Project, endpoint: str, before: int = 0, limit: int = 50
) -> ServedEndpointView:
    """Show an endpoint: what answers, the evidence about its candidate, and the steps of all rollouts.

    `before` is the `next` of the page of steps before; `limit` is at most 200.
    """
    project.workspace.require(Permission.READ)
    # It names the endpoints there are.
    steps = project.rollouts.steps(endpoint)
    found = project.rollouts.observed()
    [line] = (each for each in _lines(project, found) if each.status.name == endpoint)
    [declared] = (each for each in project.flow.endpoints if each.name == endpoint)
    end = min(before, len(steps)) if before > 0 else len(steps)
    start = max(end - min(max(limit, 1), _MOST), 0)
    return ServedEndpointView(
        endpoint=line,
        rollout=show_rollout(project, endpoint),
        right=action_right(project, Permission.STEER_ROLLOUT),
        features=declared.features,
        is_rolled_out=declared.rollout is not None,
        steps=tuple(map(_step_line, reversed(steps[start:end]))),
        next=start,
        problems=found.problems,
    )


def show_rollout(project: Project, endpoint: str) -> RolloutNow:
    """Show which version a rollout brings to an endpoint; the entity tag of this guards steering it."""
    project.workspace.require(Permission.READ)
    statuses = {each.name: each for each in project.rollouts.statuses()}
    if endpoint not in statuses:
        raise UsageError(f"there is no endpoint {endpoint!r} ({did_you_mean(endpoint, statuses)})")
    found = statuses[endpoint]
    return RolloutNow(endpoint=endpoint, candidate=found.candidate, held=found.held)


def hold_rollout(project: Project, endpoint: str, reason: str, note: str = "") -> SteeredView:
    """Keep the candidate of an endpoint at its share until somebody resumes, for a reason.

    It is still rolled back if it is worse.
    """
    return _steered_view(endpoint, project.rollouts.hold(endpoint, reason=reason, note=note))


def resume_rollout(project: Project, endpoint: str, reason: str, note: str = "") -> SteeredView:
    """Let a rollout go on that was held, for a reason."""
    return _steered_view(endpoint, project.rollouts.resume(endpoint, reason=reason, note=note))


def _steered_view(endpoint: str, step: RolloutStep) -> SteeredView:
    who = signature(step.actor, step.note)
    why = f": {step.reason}" if step.reason else ""
    told = f"{endpoint}: {step.candidate} {step_done(step)} by {who}, {moment(step.at)}{why}"
    return SteeredView(told=told, step=step)


def _step_line(step: RolloutStep) -> StepLine:
    return StepLine(step=step, done=step_done(step), by=signature(step.actor, step.note))


def _lines(project: Project, found: ObservedEndpoints) -> Iterator[EndpointLine]:
    if not found.endpoints:
        return
    live, now = project.state().live, project.tools.clock()
    figures = {each.endpoint: each for each in project.metrics.report().endpoints}
    for status in found.endpoints:
        delivery, limits = live.get(status.model), gate_limits(status)
        yield EndpointLine(
            status=status,
            live=delivery.artifact.id if delivery is not None else "",
            rollout=rollout_text(status),
            doing=doing_text(status) if status.candidate else "",
            next_step=next_step_text(status, now, moment) if status.candidate else "",
            evidence=tuple(
                EvidenceLine(gate=gate, value=status.evidence[gate], limit=limit)
                for gate, limit in limits.items()
            ),
            servers=tuple(_served_versions(status.name, found.servers)),
            figures=figures.get(status.name),
        )


def _served_versions(endpoint: str, servers: Iterable[ServerStatus]) -> Iterator[ServerAnswer]:
    for server in servers:
        said = server.endpoints.get(endpoint)
        if said is not None:
            yield ServerAnswer(
                process=server.process,
                version=said.version,
                judges=server.judges,
                problem=said.problem,
            )
