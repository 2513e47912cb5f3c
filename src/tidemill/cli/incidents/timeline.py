"""Draw an incident as text: what is wrong, and what happened when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.cli.render.figures import local_time, plain_text
from tidemill.core.counts import plural
from tidemill.ledger.incident import IncidentChange
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.operations.alert_notice import duration, look_command
from tidemill.operations.alerts import SentAlert
from tidemill.operations.incident import IncidentState

_NAMED = 8


def timeline_text(
    state: IncidentState, sent: Sequence[tuple[str, SentAlert]], owner: str, now: float
) -> str:
    """The incident, and its timeline in order; `sent` are alerts with the channels that accepted them."""
    end = state.recovered if state.recovered is not None else now
    lines = [
        f"{state.id} [{state.severity}] {state.cause.title}",
        f"{_status(state)}; it lasted {duration(end - state.incident.since)}",
        *([f"owner: {owner}"] if owner else []),
        *(f"{name}: {value}" for name, value in state.cause.evidence.items()),
        f"look: {look_command(state)}",
    ]
    if state.consequences:
        names = [each.stage or each.title for each in state.consequences]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        lines.append(f"{plural(len(names), 'consequence')}: {', '.join(names[:_NAMED])}{more}")
    lines += [f"over: {each.title}" for each in state.former]
    events = [*_events(state), *_alerts(sent)]
    lines += ["", *(f"{local_time(at)}  {text}" for at, text in sorted(events, key=lambda e: e[0]))]
    return "\n".join(plain_text(line) for line in lines)


def _status(state: IncidentState) -> str:
    closing = state.closing
    if closing is None:
        return str(state.status)
    who = f" ({closing.actor}: {closing.reason})" if closing.actor else ""
    return f"closed: {closing.how}{who}"


def _events(state: IncidentState) -> Iterator[tuple[float, str]]:
    yield state.incident.since, "it began"
    is_closed = False
    for fact in state.events:
        event = fact.event
        if isinstance(event, IncidentOpened):
            by = f" by {event.incident.actor}" if event.incident.actor else ""
            yield fact.at, f"opened{by}: {event.incident.cause.title}"
        elif isinstance(event, IncidentChanged):
            yield fact.at, _change(event, is_closed=is_closed)
            is_closed &= event.change is not IncidentChange.REOPENED
        elif isinstance(event, IncidentClosed):
            by = f" by {event.actor}: {event.reason}" if event.actor else f": {event.how}"
            yield fact.at, f"closed{by}"
            is_closed = True


def _change(event: IncidentChanged, *, is_closed: bool) -> str:
    if event.change is IncidentChange.GREW:
        return f"{plural(len(event.consequences), 'consequence')} more"
    if event.change is IncidentChange.WORSENED:
        return f"worse: {event.severity}"
    if event.change is IncidentChange.MOVED and event.cause is not None:
        return f"{'because' if event.consequences else 'what remains'}: {event.cause.title}"
    if event.change is IncidentChange.RECOVERING and is_closed:
        return "its problem is gone, and would open it again"
    return f"{event.change} since {local_time(event.since)}"


def _alerts(sent: Sequence[tuple[str, SentAlert]]) -> Iterator[tuple[float, str]]:
    for channel, alert in sent:
        yield alert.at, f"alert to {channel}: {alert.kind}"
