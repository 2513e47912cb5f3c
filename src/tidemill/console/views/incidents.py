"""Incidents: what is wrong and was, what failed and why, who was alerted, and which alerts are silenced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TypeAlias

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.ledger.incident import ClosingReason, FollowingProblem
from tidemill.ledger.run import Attempt
from tidemill.operations.alert_notice import look_command, runbook_address
from tidemill.operations.alerts import AlertKind
from tidemill.operations.incident import IncidentState, IncidentStatus
from tidemill.operations.incident_timeline import (
    TimelineEntry,
    closing_text,
    incident_timeline,
)
from tidemill.operations.incidents import shown_incident
from tidemill.operations.problem import ProblemKind, ProblemSeverity
from tidemill.operations.silences import SilenceState
from tidemill.project.project import Project

_MOST, _MOST_CONSEQUENCES, _MOST_ATTEMPTS = 200, 100, 3
_SEVERITIES = tuple(map(str, ProblemSeverity))
# Whether it is closed, how severe it is if it isn't, and where it stands among those like it.
_Place: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentLine:
    """An incident in a list; it is `silenced_by` somebody if its alerts are held now.

    `command` looks at what is wrong. Times are Unix seconds.
    """

    id: str
    severity: str
    status: IncidentStatus
    state: str
    kind: str
    title: str
    stage: str
    owner: str
    since: float
    closed_at: float | None
    consequences: int
    silenced_by: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceLine:
    """A silence that holds alerts of a stage, kind and severity (patterns); how it ended, if it did."""

    id: str
    stage: str
    kind: str
    severity: str
    reason: str
    actor: str
    at: float
    expires: float
    in_force: bool
    ended: float | None
    ended_by: str
    end_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentsView:
    """Some incidents, the open ones first, the most severe of these before others, then the last ones.

    `next` is where the next page begins; "" if there are no more. `open` counts all that are open, and
    `found` those that fit the filters. `untold` counts what is wrong that no incident tells of. `silences`
    are those in force.
    """

    incidents: tuple[IncidentLine, ...]
    next: str
    open: int
    found: int
    untold: int
    stages: tuple[str, ...]
    severities: tuple[str, ...]
    silences: tuple[SilenceLine, ...]
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAlertLine:
    """An alert that a channel accepted."""

    channel: str
    at: float
    kind: AlertKind


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """An incident: what is wrong and why, what followed from it, and all that happened.

    It lasted from `since` until `recovered`, or lasts. `evidence` is that of now, and `first` that of its
    beginning if it was another. `run` is the run that shows it, and `failures` are the
    last attempts in it that failed. `runbook` is the address of what to do, if the settings have one.
    """

    incident: IncidentLine
    opened_by: str
    detected: float
    recovered: float | None
    how: ClosingReason | None
    closed_by: str
    reason: str
    evidence: Mapping[str, str]
    first: Mapping[str, str]
    run: str
    failures: tuple[Attempt, ...]
    runbook: str
    consequences: tuple[FollowingProblem, ...]
    former: tuple[FollowingProblem, ...]
    timeline: tuple[TimelineEntry, ...]
    alerts: tuple[SentAlertLine, ...]
    silences: tuple[SilenceLine, ...]
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class SilencesView:
    """All silences, the last ones first; `kinds` and `severities` are those that there can be."""

    silences: tuple[SilenceLine, ...]
    next: str
    kinds: tuple[ProblemKind, ...]
    severities: tuple[ProblemSeverity, ...]
    right: ActionRight


def list_incidents(
    project: Project,
    severity: str = "",
    stage: str = "",
    state: str = "",
    after: str = "",
    limit: int = 50,
) -> IncidentsView:
    """List incidents: the open ones first by severity, then the closed ones, the last first.

    Only those of a `severity`, a `stage`, and with `state` those that are `open` or `closed`. `after` is the
    `next` of the page before; `limit` is at most 200.
    """
    project.environments.require(project.environment)
    service = project.incidents
    every = service.every()
    _require_known("severity", severity, _SEVERITIES)
    _require_known("state", state, ("open", "closed"))
    fitting = [
        each
        for each in every
        if severity in ("", each.severity)
        and (not stage or stage in each.stages)
        and (not state or each.is_open == (state == "open"))
    ]
    opened = sum(each.is_open for each in every)
    begin = _parse_place(after)
    left = sorted((each for each in fitting if _place(each) > begin), key=_place)
    shown = left[: min(max(limit, 1), _MOST)]
    silences = [each for each in service.silences() if service.is_in_force(each)]
    problems = project.metrics.problems()
    return IncidentsView(
        incidents=tuple(_line(project, shown_incident(each, problems), silences) for each in shown),
        next="-".join(map(str, _place(shown[-1]))) if len(left) > len(shown) else "",
        open=opened,
        found=len(fitting),
        untold=max(len(project.statuses.read().wrong) - opened, 0),
        stages=tuple(sorted({name for each in every for name in each.stages})),
        severities=_SEVERITIES,
        silences=tuple(_silence(each, in_force=True) for each in reversed(silences)),
        right=action_right(project, Permission.MANAGE_INCIDENTS),
    )


def show_incident(project: Project, incident: str) -> IncidentView:
    """Show an incident: what failed and why, what followed, who was alerted, and what happened when.

    `incident` is an id, or the beginning of one.
    """
    service = project.incidents
    began = service.incident(incident)
    state = shown_incident(began, project.metrics.problems())
    sent = service.alerts_of(state)
    silences = [(each, service.is_in_force(each)) for each in service.silences()]
    closing, run = state.closing, state.cause.evidence.get("run", "")
    return IncidentView(
        incident=_line(project, state, [each for each, in_force in silences if in_force]),
        opened_by=state.incident.actor,
        detected=state.incident.detected,
        recovered=state.recovered,
        how=None if closing is None else closing.how,
        closed_by="" if closing is None else closing.actor,
        reason="" if closing is None else closing.reason,
        evidence=state.cause.evidence,
        first={} if began.cause == state.cause else began.cause.evidence,
        run=run,
        failures=_failures(project, run, state.cause.stage),
        runbook=runbook_address(state, project.settings.alerts),
        consequences=state.consequences[:_MOST_CONSEQUENCES],
        former=state.former[:_MOST_CONSEQUENCES],
        timeline=incident_timeline(state, sent),
        alerts=tuple(
            SentAlertLine(channel=name, at=each.at, kind=AlertKind(each.kind))
            for name, each in sent
        ),
        silences=tuple(
            _silence(each, in_force=in_force) for each, in_force in silences if each.matches(state)
        ),
        right=action_right(project, Permission.MANAGE_INCIDENTS),
    )


def list_silences(project: Project, after: str = "", limit: int = 50) -> SilencesView:
    """List silences of alerts, the last ones first, also those that are over.

    `after` is the `next` of the page before; `limit` is at most 200.
    """
    project.environments.require(project.environment)
    service = project.incidents
    every = service.silences()[::-1]
    ids = [each.silence.id for each in every]
    begin = ids.index(after) + 1 if after in ids else 0
    shown = every[begin : begin + min(max(limit, 1), _MOST)]
    more = begin + len(shown) < len(every)
    return SilencesView(
        silences=tuple(_silence(each, in_force=service.is_in_force(each)) for each in shown),
        next=shown[-1].silence.id if more else "",
        kinds=tuple(ProblemKind),
        severities=tuple(ProblemSeverity),
        right=action_right(project, Permission.MANAGE_INCIDENTS),
    )


def _require_known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value and value not in known:
        raise UsageError(f"{name} {value!r}: {did_you_mean(value, known)}")


def _place(state: IncidentState) -> _Place:
    """Where an incident stands in the list, also after others were opened or closed."""
    if state.is_open:
        return 0, _SEVERITIES.index(state.severity), state.opened
    return 1, 0, -state.opened


def _parse_place(text: str) -> _Place:
    if not text:
        return -1, 0, 0
    closed, rank, opened = (*text.split("-", 2), "", "")[:3]
    try:
        return int(closed), int(rank), int(opened)
    except ValueError:
        raise UsageError(f"after = {text!r} isn't the next of a page") from None


def _line(project: Project, state: IncidentState, silences: Iterable[SilenceState]) -> IncidentLine:
    held = next((each.silence.actor for each in silences if each.matches(state)), "")
    return IncidentLine(
        id=state.id,
        severity=state.severity,
        status=state.status,
        state=closing_text(state),
        kind=state.cause.kind,
        title=state.cause.title,
        stage=state.cause.stage,
        owner=project.incidents.owner(state.cause.stage),
        since=state.incident.since,
        closed_at=state.closed_at,
        consequences=len(state.consequences),
        silenced_by=held if state.is_open else "",
        command=look_command(state),
    )


def _silence(state: SilenceState, *, in_force: bool) -> SilenceLine:
    silence = state.silence
    return SilenceLine(
        id=silence.id,
        stage=silence.stage,
        kind=silence.kind,
        severity=silence.severity,
        reason=silence.reason,
        actor=silence.actor,
        at=silence.at,
        expires=silence.expires,
        in_force=in_force,
        ended=state.ended,
        ended_by=state.ended_by,
        end_reason=state.reason,
    )


def _failures(project: Project, run: str, stage: str) -> tuple[Attempt, ...]:
    """The last attempts at a stage that failed in a run."""
    if not run or not stage:
        return ()
    found = project.history.summed_attempts(run).failures.get(stage, ())
    return tuple(islice(reversed(found), _MOST_ATTEMPTS))
