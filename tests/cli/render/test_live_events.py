"""Each event that matters to whoever watches has a line; the others have none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.cli.render.live_events import event_line
from tidemill.ledger.event import Attempted, Event, RunEnded
from tidemill.ledger.incident import ClosingReason, Incident, IncidentCause
from tidemill.ledger.incident_events import AlertSent, IncidentClosed, IncidentOpened
from tidemill.ledger.off_peak import OffPeakSaving
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ledger.retention_events import SweepConfirmed
from tidemill.ledger.run import Action, Attempt, Outcome, Receipt, StageTotals, Status
from tidemill.testing.records import delivered_event, events_of_every_kind

RAN = Receipt(
    run="r1",
    status=Status.OK,
    stages=(StageTotals(stage="flights", ran=2), StageTotals(stage="labels")),
    wall_s=0.25,
)
TRAINED = Attempt(
    stage="model",
    partition="",
    action=Action.TRAIN,
    outcome=Outcome.OK,
    reasons=("volume(0.2)", "every(14d)"),
)
SAVED = OffPeakSaving(stages=("model",), waited_s=7_200.0, share=2 / 3)
OPENED = Incident(
    id="i1",
    cause=IncidentCause(key="k", kind="failed stage", title="flights failed"),
    severity="error",
    since=0.0,
    detected=0.0,
)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (RunEnded(run="r1", status=Status.OK, receipt=RAN), "run ok: flights 2 in 0.2 s"),
        (
            RunEnded(run="r1", status=Status.OK, receipt=Receipt(run="r1", status=Status.OK)),
            "run ok: nothing ran in 0.0 s",
        ),
        (RunEnded(run="r1", status=Status.LOST), "run r1 was lost"),
        (
            Attempted(run="r1", environment="prod", attempt=TRAINED),
            "trained model: volume(0.2); every(14d)",
        ),
        (delivered_event(), "live: "),
        (IncidentOpened(environment="prod", incident=OPENED), "incident i1: flights failed"),
        (
            IncidentClosed(
                environment="prod", incident="i1", how=ClosingReason.RETRIED, recovered=1.0
            ),
            "incident i1 is over: retried",
        ),
        (
            AlertSent(environment="prod", incident="i1", channel="log", about=3, kind="opened"),
            "alert to log: incident i1 opened",
        ),
        (
            SweepConfirmed(sweep="s1", objects=3, bytes=1000, orphans=1, removed={"logs": 500}),
            "sweep: 4 objects, 1.5 kB",
        ),
        (SweepConfirmed(sweep="s1"), ""),
        (
            RunEnded(run="r1", status=Status.OK, receipt=replace(RAN, off_peak=SAVED)),
            "run ok: flights 2 in 0.2 s; off-peak: model waited up to 2.0 h, saved 67 %",
        ),
        (WorkDeferred(environment="prod"), ""),
    ],
)
def test_a_line(event: Event, line: str) -> None:
    assert event_line(event).startswith(line)
    assert bool(event_line(event)) == bool(line)


def test_every_kind_has_a_line_or_none() -> None:
    assert all("\n" not in event_line(event) for event in events_of_every_kind())
