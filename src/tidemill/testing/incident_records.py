"""Sample records of incidents and alerts, with defaults for everything the caller omits."""

from __future__ import annotations

from tidemill.ledger.event import Event
from tidemill.ledger.incident import (
    ClosingReason,
    FollowingProblem,
    Incident,
    IncidentCause,
    IncidentChange,
    Silence,
)
from tidemill.ledger.incident_events import (
    AlertFailed,
    AlertSent,
    IncidentChanged,
    IncidentClosed,
    IncidentOpened,
    Silenced,
    SilenceEnded,
)
from tidemill.workflow.environment import PRODUCTION


def incident_cause(
    key: str = "failed-stage/prod/features", kind: str = "failed stage"
) -> IncidentCause:
    """A stage that failed."""
    return IncidentCause(
        key=key,
        kind=kind,
        title="features failed 3 times",
        stage="features",
        evidence={"error": "ValueError: no rows"},
        command="tidemill runs logs run-1 features",
    )


def consequence(stage: str = "labels") -> FollowingProblem:
    """A stage that became stale."""
    return FollowingProblem(
        key=f"stale-stage/prod/{stage}", kind="stale stage", title=f"{stage} is stale", stage=stage
    )


def incident(id: str = "i1", *, severity: str = "page", since: float = 100.0) -> Incident:
    """An incident with one consequence, which was detected after 20 s."""
    return Incident(
        id=id,
        cause=incident_cause(),
        severity=severity,
        since=since,
        detected=since + 20.0,
        consequences=(consequence(),),
    )


def silence(id: str = "s1", *, at: float = 100.0, expires: float = 900.0) -> Silence:
    """A silence of one stage."""
    return Silence(
        id=id, reason="known, fixed tomorrow", actor="ana", at=at, expires=expires, stage="features"
    )


def incident_events() -> list[Event]:
    """An incident that worsened, moved and closed, its alerts, and a silence that was ended."""
    changed = IncidentChanged(
        environment=PRODUCTION,
        incident="i1",
        change=IncidentChange.WORSENED,
        since=130.0,
        severity="page",
    )
    moved = IncidentChanged(
        environment=PRODUCTION,
        incident="i1",
        change=IncidentChange.MOVED,
        since=140.0,
        cause=incident_cause("stale-stage/prod/labels", "stale stage"),
        consequences=(consequence("scores"),),
    )
    return [
        IncidentOpened(environment=PRODUCTION, incident=incident()),
        changed,
        moved,
        AlertSent(environment=PRODUCTION, incident="i1", channel="oncall", about=5, kind="opened"),
        AlertFailed(
            environment=PRODUCTION, channel="mail", reason="it answered with status 500", failures=1
        ),
        Silenced(environment=PRODUCTION, silence=silence()),
        SilenceEnded(environment=PRODUCTION, silence="s1", actor="ben", reason="fixed"),
        IncidentClosed(
            environment=PRODUCTION, incident="i1", how=ClosingReason.FIXED, recovered=200.0
        ),
    ]
