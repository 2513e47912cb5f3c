"""Sample records of retention: a sweep, a pin, and stages that aren't declared."""

from __future__ import annotations

from tidemill.ledger.event import Event
from tidemill.ledger.garbage import MarkedEvents
from tidemill.ledger.retention_events import (
    DataPinned,
    DataUnpinned,
    StagesUndeclared,
    SweepConfirmed,
    SweepMarked,
)
from tidemill.workflow.environment import PRODUCTION


def sweep_marked_event(*events: int, sweep: str = "s1") -> SweepMarked:
    """A sweep that marked superseded results, by the numbers of their events."""
    mark = MarkedEvents(stage="features", reason="superseded", events=events)
    return SweepMarked(sweep=sweep, marks=(mark,), actor="ana")


def retention_events() -> list[Event]:
    """A sweep that removed nothing, a pin that was removed, and a stage that isn't declared."""
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
    ]
