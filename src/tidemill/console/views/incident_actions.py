"""What people do about incidents: report, resolve, and hold alerts for a time."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.project.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedIncident:
    """The incident that was opened or closed; `told` says so."""

    incident: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedSilence:
    """The silence that was begun or ended, and until when it holds alerts; `told` says so."""

    silence: str
    expires: float
    told: str


def report_incident(
    project: Project, title: str, severity: str = "ticket", stage: str = "", reason: str = ""
) -> ChangedIncident:
    """Open an incident that a person saw; it lasts until a person closes it.

    `severity` is page, ticket or note; `reason` says what was seen.
    """
    made = project.incidents.report(title, severity=severity, stage=stage, reason=reason)
    return ChangedIncident(incident=made.id, told=f"Opened the incident {made.id}.")


def resolve_incident(project: Project, incident: str, reason: str) -> ChangedIncident:
    """Close an incident, which stays closed until its problem begins once more."""
    done = project.incidents.resolve(incident, reason=reason)
    return ChangedIncident(incident=done.id, told=f"Closed the incident {done.id}.")


def silence_incident(project: Project, incident: str, ttl: str, reason: str) -> ChangedSilence:
    """Hold the alerts of an incident, and of others of its kind and stage, for a time such as 4h."""
    cause = project.incidents.incident(incident).cause
    return add_silence(project, ttl, reason, cause.stage, cause.kind)


def add_silence(
    project: Project,
    ttl: str,
    reason: str,
    stage: str = "*",
    kind: str = "*",
    severity: str = "*",
) -> ChangedSilence:
    """Hold the alerts of incidents that match all patterns, for a time such as 4h, at most 30 days."""
    made = project.incidents.silence(
        reason=reason, ttl=ttl, stage=stage, kind=kind, severity=severity
    )
    return ChangedSilence(
        silence=made.id, expires=made.expires, told=f"{made.id} holds these alerts for {ttl}."
    )


def end_silence(project: Project, silence: str, reason: str = "") -> ChangedSilence:
    """End a silence before it expires."""
    done = project.incidents.end_silence(silence, reason=reason)
    return ChangedSilence(
        silence=silence, expires=done.ended or done.silence.expires, told=f"{silence} is over."
    )
