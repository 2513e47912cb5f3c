"""What happened in an incident, in the order of time, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.incident import IncidentChange
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.operations.alerts import SentAlert
from tidemill.operations.incident import IncidentState


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """Something that happened at a time; if the words say "since", it is so since another time.

    Times are Unix seconds.
    """

    at: float
    text: str
    since: float | None = None


def incident_timeline(
    state: IncidentState, sent: Sequence[tuple[str, SentAlert]]
) -> tuple[TimelineEntry, ...]:
    """All that happened in an incident; `sent` are its alerts, with the channels that accepted them."""
    alerts = (
        TimelineEntry(at=alert.at, text=f"alert to {channel}: {alert.kind}")
        for channel, alert in sent
    )
    return tuple(sorted((*_events(state), *alerts), key=lambda entry: entry.at))


def closing_text(state: IncidentState) -> str:
    """Whether an incident lasts, or how it was closed, by whom and why."""
    closing = state.closing
    if closing is None:
        return str(state.status)
    who = f" ({closing.actor}: {closing.reason})" if closing.actor else ""
    return f"closed: {closing.how}{who}"


def _events(state: IncidentState) -> Iterator[TimelineEntry]:
    yield TimelineEntry(at=state.incident.since, text="it began")
    is_closed = False
    for fact in state.events:
        event = fact.event
        if isinstance(event, IncidentOpened):
            by = f" by {event.incident.actor}" if event.incident.actor else ""
            yield TimelineEntry(at=fact.at, text=f"opened{by}: {event.incident.cause.title}")
        elif isinstance(event, IncidentChanged):
            yield _change(fact.at, event, is_closed=is_closed)
            is_closed &= event.change is not IncidentChange.REOPENED
        elif isinstance(event, IncidentClosed):
            by = f" by {event.actor}: {event.reason}" if event.actor else f": {event.how}"
            yield TimelineEntry(at=fact.at, text=f"closed{by}")
            is_closed = True


def _change(at: float, event: IncidentChanged, *, is_closed: bool) -> TimelineEntry:
    if event.change is IncidentChange.GREW:
        more = f"{plural(len(event.consequences), 'consequence')} more"
        return TimelineEntry(at=at, text=more)
    if event.change is IncidentChange.WORSENED:
        return TimelineEntry(at=at, text=f"worse: {event.severity}")
    if event.change is IncidentChange.MOVED and event.cause is not None:
        why = "because" if event.consequences else "what remains"
        return TimelineEntry(at=at, text=f"{why}: {event.cause.title}")
    if event.change is IncidentChange.RECOVERING and is_closed:
        return TimelineEntry(at=at, text="its problem is gone, and would open it again")
    return TimelineEntry(at=at, text=f"{event.change} since", since=event.since)
