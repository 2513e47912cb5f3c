"""Endpoints as text: the version that answers, and how far the rollout of another one is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.cli.render.figures import approximate_seconds, local_time
from tidemill.core.printable import printable
from tidemill.core.signature import signature
from tidemill.core.text_table import text_table
from tidemill.ledger.rollout import EndpointStatus, RolloutAction, RolloutStep
from tidemill.serving.rollout_text import doing_text, gate_limits, next_step_text, rollout_text
from tidemill.serving.running_servers import ObservedEndpoints
from tidemill.serving.step_text import step_done

_HEADERS = ("endpoint", "model", "version", "since", "rollout")


def render_observed(found: ObservedEndpoints, now: float) -> str:
    """The endpoints as `render_endpoints`, and below them which servers said it."""
    judges = {True: "it judges rollouts", False: "it follows the server that judges"}
    servers = [f"process {each.process} serves: {judges[each.judges]}" for each in found.servers]
    faults = [f"process {each.process}: {fault}" for each in found.servers for fault in each.faults]
    notes = "\n".join(printable(line) for line in (*servers, *faults, *found.problems))
    text = render_endpoints(found.endpoints, now)
    return f"{text}\n\n{notes}" if notes else text


def render_endpoints(statuses: Sequence[EndpointStatus], now: float) -> str:
    """A table with a row per endpoint; below it the rollouts that are under way, and what failed last."""
    rows = [
        (
            each.name,
            each.model,
            each.version or "none yet",
            local_time(each.since) if each.version else "-",
            rollout_text(each),
        )
        for each in statuses
    ]
    details = [
        f"{printable(each.name)}:\n" + "\n".join(f"  {printable(line)}" for line in lines)
        for each in statuses
        if (lines := list(_details(each, now)))
    ]
    return "\n\n".join((text_table(_HEADERS, rows), *details))


def _details(status: EndpointStatus, now: float) -> Iterator[str]:
    if status.problem:
        yield status.problem
    elif not status.version:
        yield "not served yet: `tidemill serve` answers with the version that is live"
    if status.candidate:
        age = approximate_seconds(max(0.0, now - status.step_since))
        since = local_time(status.step_since)
        yield f"{status.candidate} {doing_text(status)} since {since} ({age})"
        yield f"next step: {next_step_text(status, now, local_time)}"
        if status.judged:
            yield f"in this step: {_counted(status)}"
        yield f"evidence that it is worse: {status.total:.3g} of {status.limit:.3g} (the mean of the gates)"
        yield from _gates(status)
        if not status.judged:
            yield "that is what was recorded last: no server that judges was found on this machine"
    elif status.last is not None and status.last.action is RolloutAction.ROLLED_BACK:
        yield describe_step(status.last)


def _counted(status: EndpointStatus) -> str:
    control = f"{status.control_requests:,} of {status.version}"
    return f"{status.requests:,} requests of {status.candidate} counted, {control}"


def _gates(status: EndpointStatus) -> Iterator[str]:
    """The evidence of each gate, and with which it would send the candidate back if the others stayed."""
    for gate, limit in gate_limits(status).items():
        yield f"  {gate}: {status.evidence[gate]:.3g} of {limit:.3g}"


def describe_step(step: RolloutStep) -> str:
    """A recorded step of a rollout on one line: when, which version, what, by whom and why."""
    evidence = f", evidence {step.total:.3g}" if step.evidence and not step.reason else ""
    reason = f": {step.reason}" if step.reason else ""
    who = signature(step.actor, step.note)
    return f"{local_time(step.at)} {step.candidate} {step_done(step)} (by {who}{evidence}){reason}"


def render_steps(steps: Sequence[RolloutStep]) -> str:
    """The history of an endpoint, oldest first, a line per step."""
    return "\n".join(printable(describe_step(step)) for step in steps)
