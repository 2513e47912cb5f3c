"""Sample records of retention: a sweep, a pin, and stages that aren't declared."""

from __future__ import annotations

from typing import Any

from tidemill.ledger.event import Event
from tidemill.ledger.garbage import MarkedEvents
from tidemill.ledger.retention_events import (
    DataPinned,
    DataUnpinned,
    RetentionDeclared,
    StagesUndeclared,
    SweepConfirmed,
    SweepMarked,
)
from tidemill.ledger.retention_settings import RetentionSettings, StageRetention
from tidemill.workflow.environment import PRODUCTION


def sweep_marked_event(*events: int, sweep: str = "s1") -> SweepMarked:
    """A sweep that marked superseded results, by the numbers of their events."""
    mark = MarkedEvents(stage="features", reason="superseded", events=events)
    return SweepMarked(sweep=sweep, marks=(mark,), actor="ana")


def retention_declared_event(workflow: str, **changes: Any) -> RetentionDeclared:
    """The settings of a workflow, by default those without any of its own; one stage is held."""
    stages = {"labels": StageRetention(hold=True)}
    settings = RetentionSettings(**({"stages": stages} | changes))
    return RetentionDeclared(workflow=workflow, settings=settings)


def retention_events() -> list[Event]:
    """A sweep that removed nothing, a pin that was removed, a stage that isn't declared, and settings."""
    return [
        sweep_marked_event(),
        SweepConfirmed(
            sweep="s1",
            marked=(7,),
            objects=2,
            bytes=900,
            stages={"features": 900},
            orphans=1,
            orphan_bytes=100,
            removed={"logs": 50},
            actor="ana",
        ),
        DataPinned(
            environment=PRODUCTION, pin="p1", target="features@q", actor="ana", reason="audit"
        ),
        DataUnpinned(environment=PRODUCTION, pin="p1", actor="ben", reason="audit is over"),
        StagesUndeclared(environment=PRODUCTION, stages=("labels",)),
        retention_declared_event("shop", keep_for=None),
    ]
