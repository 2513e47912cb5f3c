"""The note for whoever takes over."""

from __future__ import annotations

from dataclasses import replace

from tidemill.core.partition import WHOLE
from tidemill.governance.page_text import text_page
from tidemill.ledger.incident import Silence
from tidemill.ledger.run import RunInfo, Status
from tidemill.operations.problem import Problem, ProblemKind, ProblemSeverity
from tidemill.operations.schedule import SchedulePause, Upcoming
from tidemill.operations.silences import SilenceState
from tidemill.operations.status_report import Fact
from tidemill.scorecard.hand_off import HandOff, WrittenTable, hand_off_page
from tidemill.testing import records

NOW = 1_795_900_000.0
EMPTY = HandOff(workflow="bakery", environment="prod", zone="America/New_York", now=NOW)


def test_nothing_to_tell() -> None:
    page = hand_off_page(EMPTY)
    assert page.state == "As of 2026-11-28 16:06, America/New_York."
    assert {each.lines for each in page.sections} == {("None.",)}
    assert len(page.sections) == 10


def test_everything() -> None:
    silence = Silence(
        id="s1", stage="raw", kind="*", severity="*", at=NOW, expires=NOW + 3_600, actor="ana", reason="move"
    )  # fmt: skip
    every = replace(silence, stage="*", reason="fire")
    problem = Problem(
        kind=ProblemKind.FAILED_STAGE, key="k", since=NOW, severity=ProblemSeverity.PAGE, title="raw fails",
        command="tidemill runs last",
    )  # fmt: skip
    run = RunInfo(
        id="r1", environment="prod", status=Status.RUNNING, started=NOW - 600, command="up"
    )
    delivery = records.delivered_event().delivery
    known = replace(
        EMPTY,
        zone="UTC",
        incidents=("page: raw fails",),
        silences=tuple(SilenceState(silence=each, environment="prod") for each in (silence, every)),
        overdue=(replace(problem, title="the review is overdue", command=""),),
        reviews=("v1: model m, asked: ana",),
        problems=(problem,),
        running=(run,),
        lost=(replace(run, id="r0"),),
        upcoming=(
            Upcoming(schedule="nightly", due=NOW + 60, because="daily"),
            Upcoming(schedule="never", due=None, because="it ended"),
            Upcoming(schedule="late", due=1e30, because="far"),
        ),
        pauses={"weekly": SchedulePause(at=NOW, actor="bob", reason="holiday")},
        deliveries=(
            replace(delivery, at=NOW),
            replace(delivery, at=NOW, rollback=True, reason="worse"),
        ),
        failing=(Fact(text="scores failed: no rows", stage="scores", command="tidemill explain"),),
        waiting=(Fact(text="train m waits", owner="ana", command="tidemill plan"),),
        tables=(
            WrittenTable(stage="out", partition="2026-11-28", at=NOW),
            WrittenTable(stage="all", partition=WHOLE, at=NOW),
        ),
        effects=2,
    )
    lines = {each.title: each.lines for each in hand_off_page(known).sections}
    artifact = delivery.artifact.id
    assert lines == {
        "Open incidents": ("page: raw fails",),
        "Failing and late": (
            "page: raw fails (tidemill runs last)",
            "scores failed: no rows (tidemill explain)",
        ),
        "Waiting": ("ana: train m waits (tidemill plan)",),
        "Silenced alerts": (
            "stage raw until 2026-11-28 22:06 by ana: move",
            "all alerts until 2026-11-28 22:06 by ana: fire",
        ),
        "Overdue reviews": ("page: the review is overdue",),
        "Open reviews": ("v1: model m, asked: ana",),
        "Running": ("r1: up, for 10 min", "r0: its process died; the next run closes it"),
        "Due next": ("2026-11-28 21:07: nightly (daily)", f"{1e30:.0f} s: late (far)"),
        "Paused schedules": ("weekly: paused by bob: holiday",),
        "Last deliveries": (
            f"2026-11-28 21:06: delay_model delivered {artifact} by gates",
            f"2026-11-28 21:06: delay_model rolled back to {artifact} by gates: worse",
            "2026-11-28 21:06: table out 2026-11-28 written last",
            "2026-11-28 21:06: table all written last",
            "2 waiting to be carried out by the next run",
        ),
    }
    assert "OPEN INCIDENTS" in text_page(hand_off_page(known))
