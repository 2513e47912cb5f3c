"""The report on a week."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.governance.test_review_page import state_of
from tests.scorecard.test_weekly_note import NOW, card
from tidemill.costs.cost_line import CostLine
from tidemill.costs.quantities import Quantities
from tidemill.costs.report import CostRow
from tidemill.drawing.status import DrawnStatus
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.governance_events import ReviewClosed
from tidemill.ledger.incident import ClosingReason, Incident, IncidentCause
from tidemill.ledger.incident_events import IncidentClosed, IncidentOpened
from tidemill.ledger.review import ReviewOutcome
from tidemill.operations.incident import IncidentState, fold_incidents
from tidemill.reports.report import Report, ReportPart
from tidemill.reports.report_html import report_html
from tidemill.reports.week_report import WeekRecord, week_report
from tidemill.scorecard.change_record import ChangesReport, DeliveredChange, Wait, WaitingChange
from tidemill.scorecard.recovery_report import Recovery, RecoveryReport
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.spread import spread


def delivered(id: str, **rest: Any) -> DeliveredChange:
    return DeliveredChange(
        id=id, committed=NOW - 60, planned=NOW - 50, candidate=NOW - 40, approved=NOW - 30, live=NOW,
        stages=("features",), **rest,
    )  # fmt: skip


def waiting(id: str) -> WaitingChange:
    return WaitingChange(id=id, committed=NOW - 90, age=90.0, waits_for=Wait.RUN)


def busy() -> Scorecard:
    """A week with changes and errors."""
    changes = ChangesReport(
        delivered=(delivered("abc<d>"),),
        waiting=(waiting("def"),),
        splits={"plan": spread([10.0]), "x": spread([])},
    )
    recovered = Recovery(
        kind="failed stage", stage="<raw>", first=NOW - 99, lasted=60.0, detected=NOW - 90, healthy=NOW - 39,
        over=True, by_delivery=True, incident="i1",
    )  # fmt: skip
    lasting = Recovery(kind="stale stage", stage="b", first=NOW - 99, lasted=99.0)
    recoveries = RecoveryReport(recovered=(recovered,), lasting=(lasting,))
    return replace(card(), changes=changes, recoveries=recoveries)


def incident(id: str, *, closed: bool = False) -> IncidentState:
    cause = IncidentCause(key=id, kind="failed stage", title="<raw> fails", stage="raw")
    opened = Incident(id=id, cause=cause, severity="page", since=NOW - 99, detected=NOW - 90)
    events: list[Any] = [IncidentOpened(environment="prod", incident=opened)]
    if closed:
        events.append(
            IncidentClosed(
                environment="prod", incident=id, how=ClosingReason.RETRIED, recovered=NOW
            )
        )
    facts = [RecordedEvent(seq=n, at=NOW, event=event) for n, event in enumerate(events, 1)]
    return fold_incidents(facts)[id]


def cost(key: str, amounts: dict[str, float], failed: dict[str, float] | None = None) -> CostRow:
    line = CostLine(used=Quantities(cpu_s=5.0), amounts=amounts, failed=failed or {}, events=2)
    return CostRow(key=key, line=line, share=0.5 if amounts else None)


def parts(report: Report) -> dict[str, ReportPart]:
    return {part.title: part for part in report.parts if not part.is_empty}


def test_a_busy_week() -> None:
    closed = ReviewClosed(
        environment="prod", review="r1", outcome=ReviewOutcome.REJECTED, actor="ben", reason="no"
    )
    found = WeekRecord(
        period="week 2026-W47",
        card=busy(),
        now=NOW,
        costs=[cost("<features>", {"EUR": 3.0}, {"EUR": 1.0}), cost("labels", {"EUR": 1.0})],
        incidents=[incident("i2"), incident("i1", closed=True)],
        reviews=[state_of(), state_of(closed)],
    )
    report = week_report(found)
    assert (report.status, report.word) == (DrawnStatus.STALE, "look at this")
    assert report.state == (
        "1 change delivered, 1 waiting; 1 error recovered from; 1 open incident; "
        "target missed: Time to recover"
    )
    known = parts(report)
    assert [*known] == [
        "Four numbers", "Changes", "Errors", "Costs by stage", "Incidents", "Reviews decided", "See more",
    ]  # fmt: skip
    assert [table.rows[0][0] for table in known["Changes"].tables] == ["abc<d>", "def"]
    assert known["Changes"].facts == [("plan (median)", "10 s")]
    states = [row[-2] for row in known["Errors"].tables[0].rows]
    assert states == ["lasts", "recovered"]
    assert known["Errors"].tables[0].rows[1][0] == "failed stage, after a delivery"
    assert known["Costs by stage"].tables[0].rows[0][3:] == ("1.00 EUR", "3.00 EUR", "50.0%")
    assert known["Costs by stage"].charts[0].title == "Cost by stage"
    assert [row[5] for row in known["Incidents"].tables[0].rows] == ["open", "closed: retried"]
    assert known["Reviews decided"].lines == ["1 review open: `tidemill review list`"]
    assert known["Reviews decided"].tables[0].rows[0][2:4] == ("rejected", "ben")
    html = report_html(report)
    assert 'class="card number"' in html
    assert "<raw>" not in html
    assert "<features>" not in html


def test_a_quiet_week() -> None:
    (full, empty) = card().numbers
    quiet = replace(card(), numbers=(replace(full, target=None), empty))
    report = week_report(WeekRecord(period="p", card=quiet, now=NOW))
    assert (report.status, report.word) == (DrawnStatus.CURRENT, "nothing missed")
    known = parts(report)
    assert known["Changes"].lines == ("No change was delivered, and none waits.",)
    assert known["Errors"].lines == ("Nothing failed.",)
    assert known["Costs by stage"].lines == ("Nothing ran.",)
    assert known["Incidents"].lines == ("There were none.",)
    assert known["Reviews decided"].lines == ["None was decided."]


def test_costs_without_prices_and_in_several_currencies() -> None:
    free = week_report(WeekRecord(period="p", card=card(), now=NOW, costs=[cost("a", {})]))
    assert parts(free)["Costs by stage"].charts[0].title == "CPU time by stage"
    mixed = [cost("a", {"EUR": 1.0}), cost("b", {"USD": 1.0})]
    both = week_report(WeekRecord(period="p", card=card(), now=NOW, costs=mixed))
    assert parts(both)["Costs by stage"].charts == []


def test_3_000_changes_are_a_small_file() -> None:
    changes = ChangesReport(
        delivered=tuple(delivered(f"<{n}>" * 99, item="i" * 500) for n in range(3_000)),
        waiting=tuple(waiting(f"w{n}") for n in range(3_000)),
    )
    recoveries = RecoveryReport(
        recovered=tuple(
            Recovery(kind="k", stage="<s>" * 99, first=NOW, lasted=1.0) for _ in range(3_000)
        )
    )
    found = WeekRecord(
        period="p",
        card=replace(card(), changes=changes, recoveries=recoveries),
        now=NOW,
        costs=[cost(f"stage {n}" * 20, {"EUR": float(n)}) for n in range(3_000)],
        incidents=[incident(f"i{n}") for n in range(300)],
        reviews=[state_of()] * 300,
    )
    html = report_html(week_report(found))
    assert 30_000 < len(html.encode()) < 500_000
    assert "too large" not in html
    assert html.count("(the first 40 of 3,000)") == 4
