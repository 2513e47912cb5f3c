"""Draw an incident as text: what is wrong, and what happened when."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.cli.render.figures import local_time, plain_text
from tidemill.core.counts import plural
from tidemill.operations.alert_notice import duration, look_command
from tidemill.operations.alerts import SentAlert
from tidemill.operations.incident import IncidentState
from tidemill.operations.incident_timeline import TimelineEntry, closing_text, incident_timeline

_NAMED = 8


def timeline_text(
    state: IncidentState, sent: Sequence[tuple[str, SentAlert]], owner: str, now: float
) -> str:
    """The incident, and its timeline in order; `sent` are alerts with the channels that accepted them."""
    end = state.recovered if state.recovered is not None else now
    lines = [
        f"{state.id} [{state.severity}] {state.cause.title}",
        f"{closing_text(state)}; it lasted {duration(end - state.incident.since)}",
        *([f"owner: {owner}"] if owner else []),
        *(f"{name}: {value}" for name, value in state.cause.evidence.items()),
        f"look: {look_command(state)}",
    ]
    if state.consequences:
        names = [each.stage or each.title for each in state.consequences]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        lines.append(f"{plural(len(names), 'consequence')}: {', '.join(names[:_NAMED])}{more}")
    lines += [f"over: {each.title}" for each in state.former]
    lines += ["", *map(_line, incident_timeline(state, sent))]
    return "\n".join(plain_text(line) for line in lines)


def _line(entry: TimelineEntry) -> str:
    since = "" if entry.since is None else f" {local_time(entry.since)}"
    return f"{local_time(entry.at)}  {entry.text}{since}"
