"""What people are told by an alert: what is wrong, since when, whose it is, and the one command to look."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tidemill.core.counts import plural
from tidemill.core.printable import printable
from tidemill.notices.notice import Notice, notice_text, url_part
from tidemill.operations.alert_settings import AlertSettings
from tidemill.operations.alerts import AlertKind, DueAlert, owner_of
from tidemill.operations.incident import IncidentState, open_incidents
from tidemill.operations.silences import SilenceState
from tidemill.workflow.environment import environment_option

# How many alerts of one message are told in full; the others are counted.
_IN_FULL = 5
_NAMED = 5
_EVIDENCE = 4
_WORDS = {
    AlertKind.OPENED: "",
    AlertKind.WORSENED: "worse: ",
    AlertKind.REMINDER: "still: ",
    AlertKind.RESOLVED: "resolved: ",
}


def alert_notice(
    alerts: Sequence[DueAlert],
    settings: AlertSettings,
    owners: Mapping[str, str],
    *,
    workflow: str,
    now: float,
) -> Notice:
    """The one message about alerts that are due to a channel, the most urgent ones first.

    Its id is that of the alert if it is one, and the same for the same alerts.
    """
    first = alerts[0]
    shown = alerts[:_IN_FULL]
    more = len(alerts) - len(shown)
    lines = [
        line
        for number, alert in enumerate(shown)
        for line in (*([""] if number else []), *_lines(alert, owners, now, alone=len(alerts) == 1))
    ]
    if more:
        lines.append(
            f"and {more:,} more: tidemill incidents{environment_option(first.state.environment)}"
        )
    return Notice(
        id=_message_id(alerts),
        title=_title(alerts, workflow),
        lines=tuple(notice_text(line) for line in lines),
        command=look_command(first.state),
        link=runbook_address(first.state, settings) if len(alerts) == 1 else "",
        link_text="Open the runbook",
        document={
            "schema": "tidemill.alerts/1",
            "id": _message_id(alerts),
            "workflow": workflow,
            "environment": first.state.environment,
            "alerts": [_document(alert, settings, owners) for alert in alerts],
        },
    )


def look_command(state: IncidentState) -> str:
    """The command that shows more of what is wrong."""
    return printable(state.cause.command) or show_command(state)


def show_command(state: IncidentState) -> str:
    """The command that shows an incident."""
    return f"tidemill incidents show {state.id}{environment_option(state.environment)}"


def incident_line(state: IncidentState, owners: Mapping[str, str], now: float) -> str:
    """An incident in one line: how bad, what, since when, whose, and the command to look."""
    owner = owner_of(state.cause.stage, owners)
    parts = [
        f"{state.severity}: {state.cause.title}",
        f"for {duration(now - state.incident.since)}",
        *([f"{plural(len(state.consequences), 'consequence')}"] if state.consequences else []),
        *([f"owner {owner}"] if owner else []),
        look_command(state),
    ]
    return printable("; ".join(parts))


def incident_lines(
    states: Iterable[IncidentState],
    silences: Sequence[SilenceState],
    owners: Mapping[str, str],
    now: float,
) -> tuple[str, ...]:
    """The open incidents, each in one line; it also says by whom it is silenced by `silences` in force."""
    lines = []
    for state in open_incidents(states):
        held = next((each for each in silences if each.matches(state)), None)
        silenced = printable(f"; silenced by {held.silence.actor}") if held else ""
        lines.append(incident_line(state, owners, now) + silenced)
    return tuple(lines)


def duration(seconds: float) -> str:
    """A length of time in its largest unit: `12 min`, `3 h`, `2 d`; a negative one is `0 s`."""
    for length, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def _title(alerts: Sequence[DueAlert], workflow: str) -> str:
    first = alerts[0]
    state = first.state
    title = f"{_WORDS[first.kind]}{state.cause.title}"
    if len(alerts) > 1:
        title = f"{len(alerts):,} incidents: {title}, and {len(alerts) - 1:,} more"
    return notice_text(f"[{state.severity}] {workflow}: {title}")


def _lines(alert: DueAlert, owners: Mapping[str, str], now: float, *, alone: bool) -> Iterator[str]:
    state = alert.state
    if not alone:
        yield f"[{state.severity}] {_WORDS[alert.kind]}{state.cause.title}"
    yield f"since {_moment(state.incident.since)} ({duration(now - state.incident.since)})"
    if state.closing is not None:
        yield f"{state.closing.how}; all is well since {_moment(state.closing.recovered)}"
    if owner := owner_of(state.cause.stage, owners):
        yield f"owner: {owner}"
    for name, value in [*state.cause.evidence.items()][:_EVIDENCE]:
        yield f"{name}: {value}"
    if state.consequences:
        yield f"{plural(len(state.consequences), 'consequence')}: {_stages(state)}"
    if state.former:
        yield f"over: {'; '.join(each.title for each in state.former)}"
    yield f"look: {look_command(state)}"
    yield f"incident {state.id}: {show_command(state)}"


def _stages(state: IncidentState) -> str:
    names = [each.stage or each.title for each in state.consequences]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _document(
    alert: DueAlert, settings: AlertSettings, owners: Mapping[str, str]
) -> Mapping[str, Any]:
    state, cause = alert.state, alert.state.cause
    closing = state.closing
    return {
        "id": alert.id,
        "event": f"incident.{alert.kind}",
        "incident": state.id,
        "kind": cause.kind,
        "severity": state.severity,
        "status": str(state.status),
        "stage": cause.stage,
        "owner": owner_of(cause.stage, owners),
        "title": notice_text(cause.title),
        "since": state.incident.since,
        "detected": state.incident.detected,
        "recovered": None if closing is None else closing.recovered,
        "how": "" if closing is None else str(closing.how),
        "evidence": {name: notice_text(value) for name, value in cause.evidence.items()},
        "consequences": [notice_text(each.title) for each in state.consequences],
        "runbook": runbook_address(state, settings),
        "command": look_command(state),
    }


def runbook_address(state: IncidentState, settings: AlertSettings) -> str:
    """The address of the runbook for an incident; "" without one."""
    stage = state.cause.stage
    address = settings.runbooks.get(stage, settings.runbook)
    if "{stage}" in address and not stage:
        return ""
    return address.replace("{stage}", url_part(stage))


def _message_id(alerts: Sequence[DueAlert]) -> str:
    if len(alerts) == 1:
        return alerts[0].id
    ids = "\n".join(sorted(alert.id for alert in alerts))
    return f"a{hashlib.sha256(ids.encode()).hexdigest()[:16]}"


def _moment(at: float) -> str:
    """A time in UTC, because who reads it may be anywhere; the seconds for one beyond the calendar."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OSError, OverflowError, ValueError):
        return f"{at:.0f} s"
