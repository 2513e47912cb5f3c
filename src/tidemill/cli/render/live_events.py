"""What happens in a project, in a line each, for whoever watches it live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidemill.cli.render.figures import size
from tidemill.cli.render.off_peak import saving_line
from tidemill.ledger.event import Attempted, Delivered, Event, RunEnded
from tidemill.ledger.incident_events import AlertSent, IncidentClosed, IncidentOpened
from tidemill.ledger.off_peak import describe_waiting
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ledger.retention_events import SweepConfirmed
from tidemill.ledger.run import Action, Outcome


def event_line(event: Event) -> str:
    """What an event tells whoever watches; "" for one of which a later event tells more."""
    describe = _LINES.get(type(event))
    return "" if describe is None else describe(event)


def _run_line(event: RunEnded) -> str:
    if event.receipt is None:
        return f"run {event.run} was lost"
    saved = event.receipt.off_peak
    return f"run {event.receipt.outcome_line}" + (f"; {saving_line(saved)}" if saved else "")


def _attempt_line(event: Attempted) -> str:
    attempt = event.attempt
    if attempt.action == Action.TRAIN and attempt.outcome is Outcome.OK:
        return f"trained {attempt.stage}: {'; '.join(attempt.reasons)}"
    return ""


def _delivery_line(event: Delivered) -> str:
    return f"live: {event.delivery.name} {event.delivery.artifact.id[:12]}"


def _opening_line(event: IncidentOpened) -> str:
    return f"incident {event.incident.id}: {event.incident.cause.title}"


def _closing_line(event: IncidentClosed) -> str:
    return f"incident {event.incident} is over: {event.how}"


def _alert_line(event: AlertSent) -> str:
    return f"alert to {event.channel}: incident {event.incident} {event.kind}"


def _sweep_line(event: SweepConfirmed) -> str:
    freed = event.bytes + event.orphan_bytes + sum(event.removed.values())
    return f"sweep: {event.objects + event.orphans:,} objects, {size(freed)}" if freed else ""


def _deferral_line(event: WorkDeferred) -> str:
    return "; ".join(map(describe_waiting, event.works))


_LINES: Mapping[type[Event], Callable[[Any], str]] = {
    RunEnded: _run_line,
    Attempted: _attempt_line,
    Delivered: _delivery_line,
    IncidentOpened: _opening_line,
    IncidentClosed: _closing_line,
    AlertSent: _alert_line,
    SweepConfirmed: _sweep_line,
    WorkDeferred: _deferral_line,
}
