"""`tidemill incidents list`, `show`, `open` and `resolve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from tidemill.cli.incidents.timeline import timeline_text
from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time, plural
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.printable import printable
from tidemill.core.text_table import text_table
from tidemill.core.units import parse_seconds
from tidemill.operations.alert_notice import duration, look_command
from tidemill.operations.alerts import owner_of
from tidemill.operations.incident import IncidentState
from tidemill.operations.incidents import shown_incident

_RECENT_S = 7 * 86_400.0
_SEVERITY = click.option(
    "--severity", default="ticket", metavar="NAME", show_default=True,
    help="How soon a person should act: page, ticket or note.",
)  # fmt: skip
_REASON = click.option("--reason", required=True, metavar="TEXT", help="Record why.")


@click.command("list")
@click.option("--since", default="7d", show_default=True, metavar="TIME",
              help="Also those that were closed within this time.")  # fmt: skip
@json_option
@project_options
def list_(since: str, as_json: bool) -> None:
    """List the incidents that are open, and those that were closed lately."""
    try:
        length = parse_seconds(since)
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from None
    with project_session() as project:
        now, owners = project.tools.clock(), project.incidents.owners()
        found = [
            state
            for state in project.incidents.every()
            if state.closed_at is None or state.closed_at >= now - length
        ]
        problems = project.metrics.problems()
        found = [shown_incident(state, problems) for state in found]
    print_result(
        _list_text(found, owners, now),
        as_json,
        "tidemill.incidents/1",
        lambda: {"incidents": [incident_document(state, owners) for state in found]},
    )


def _list_text(found: Sequence[IncidentState], owners: Mapping[str, str], now: float) -> str:
    opened = sum(state.is_open for state in found)
    head = f"{plural(opened, 'open incident')}, {len(found) - opened} closed lately"
    if not found:
        return "no incidents"
    rows = [
        (
            state.id,
            state.severity,
            _status(state),
            f"{local_time(state.incident.since)} ({duration(now - state.incident.since)})",
            state.cause.title + _followers(state),
            owner_of(state.cause.stage, owners),
            look_command(state) if state.is_open else "",
        )
        for state in sorted(found, key=lambda state: not state.is_open)
    ]
    headers = ("incident", "severity", "state", "since", "what", "owner", "look")
    return f"{head}\n{text_table(headers, rows)}"


def _status(state: IncidentState) -> str:
    return str(state.status) if state.closing is None else f"closed: {state.closing.how}"


def _followers(state: IncidentState) -> str:
    number = len(state.consequences)
    return f" (+ {plural(number, 'consequence')})" if number else ""


def incident_document(state: IncidentState, owners: Mapping[str, str]) -> dict[str, Any]:
    """An incident for programs."""
    closing = state.closing
    return {
        "incident": state.id,
        "status": state.status,
        "severity": state.severity,
        "kind": state.cause.kind,
        "stage": state.cause.stage,
        "owner": owner_of(state.cause.stage, owners),
        "title": state.cause.title,
        "since": state.incident.since,
        "detected": state.incident.detected,
        "recovered": state.recovered,
        "closed": state.closed_at,
        "how": None if closing is None else closing.how,
        "actor": "" if closing is None else closing.actor,
        "reason": "" if closing is None else closing.reason,
        "opened_by": state.incident.actor,
        "evidence": state.cause.evidence,
        "consequences": state.consequences,
        "over": state.former,
        "command": look_command(state),
    }


@click.command()
@click.argument("incident")
@json_option
@project_options
def show(incident: str, as_json: bool) -> None:
    """Show INCIDENT, named by the beginning of its id, with all that happened in it."""
    with project_session() as project:
        state = shown_incident(project.incidents.incident(incident), project.metrics.problems())
        owners, sent = project.incidents.owners(), project.incidents.alerts_of(state)
        now = project.tools.clock()
    print_result(
        timeline_text(state, sent, owner_of(state.cause.stage, owners), now),
        as_json,
        "tidemill.incident/1",
        lambda: {
            **incident_document(state, owners),
            "events": [{"seq": e.seq, "at": e.at, "event": e.event} for e in state.events],
            "alerts": [{"channel": name, **_alert(each)} for name, each in sent],
        },
    )


def _alert(each: Any) -> dict[str, Any]:
    return {"at": each.at, "about": each.about, "kind": each.kind}


@click.command("open")
@click.argument("title")
@_SEVERITY
@click.option("--stage", default="", metavar="NAME", help="The stage that it is about.")
@click.option("--reason", default="", metavar="TEXT", help="Record what you saw.")
@json_option
@project_options
def open_(title: str, severity: str, stage: str, reason: str, as_json: bool) -> None:
    """Open an incident with a TITLE, which lasts until it is resolved."""
    with project_session() as project:
        made = project.incidents.report(title, severity=severity, stage=stage, reason=reason)
        owners = project.incidents.owners()
    print_result(
        f"{made.id} is open: {printable(made.cause.title)}; close it with `tidemill incidents resolve "
        f"{made.id}`",
        as_json,
        "tidemill.incident/1",
        lambda: incident_document(made, owners),
    )


@click.command()
@click.argument("incident")
@_REASON
@json_option
@project_options
def resolve(incident: str, reason: str, as_json: bool) -> None:
    """Close INCIDENT. It opens again if its problem ends and begins once more.

    To hold only its alerts while you work on it, use `tidemill silence add`.
    """
    with project_session() as project:
        done = project.incidents.resolve(incident, reason=reason)
        owners = project.incidents.owners()
    print_result(
        f"{done.id} {_status(done)}: {done.cause.title}",
        as_json,
        "tidemill.incident/1",
        lambda: incident_document(done, owners),
    )
