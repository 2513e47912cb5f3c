"""The report on a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidemill.contracts.finding import Finding
from tidemill.core.partition import WHOLE
from tidemill.drawing.status import DrawnStatus
from tidemill.ledger.delivery import Decision
from tidemill.ledger.price import Price
from tidemill.ledger.run import (
    Attempt,
    Failure,
    Outcome,
    Receipt,
    RunInfo,
    StageTotals,
    Status,
)
from tidemill.reports.report import Report, ReportPart
from tidemill.reports.report_html import report_html
from tidemill.reports.run_report import RejectedRows, RunRecord, run_report
from tidemill.workflow.gate import GateResult
from tidemill.workflow.memo import MemoUsage

RECEIPT = Receipt(
    run="r1",
    status=Status.FAILED,
    stages=(
        StageTotals(
            stage="sales", ran=2, bound=3, rechecked=1, quarantined=7,
            memo=MemoUsage(known=5, saved=0.5),
        ),
        StageTotals(stage="labels", failed=1, skipped=2, current=4),
    ),
    cost=0.5,
    estimated_cost=0.4,
    currency="EUR",
    peak_rss=1_000_000,
    messages=("hello", "labels 2 raised"),
    failures=(
        Failure(
            stage="labels", partitions=("2",), why="ValueError", advice="correct it", skipped=2,
            messages=("labels 2 raised",),
            findings=(Finding(rule="id.min", severity="quarantine", rows=3, sample="-1"),),
        ),
    ),
)  # fmt: skip
INFO = RunInfo(
    id="r1", environment="dev", status=Status.FAILED, started=100.0, ended=160.0, command="tidemill run",
    actor="ana", holder={"pid": "7", "host": "h"}, receipt=RECEIPT,
)  # fmt: skip


def attempt(stage: str, partition: str = WHOLE, **rest: Any) -> Attempt:
    given = {"action": "run", "outcome": Outcome.OK, "wall_s": 1.0, "cpu_s": 3_600.0, **rest}
    return Attempt(stage=stage, partition=partition, **given)


ATTEMPTS = (
    (101.0, attempt("sales", "1", columns=("a",))),
    (102.0, attempt("sales", "2", outcome=Outcome.RETRIED, message="sales 2 was lost", fate="lost")),
    (103.0, attempt("labels", "2", outcome=Outcome.FAILED, message="labels 2 raised", trace="File <x>")),
    (103.0, attempt("labels", "3", outcome=Outcome.SKIPPED)),
)  # fmt: skip
FULL = RunRecord(
    workflow="w",
    info=INFO,
    attempts=ATTEMPTS,
    steps=9,
    now=200.0,
    price=Price(cpu_hour=2.0, currency="EUR"),
    decisions=[
        ("m", Decision(subject="s", artifact="abc", approved=False, actor="gates", at=1.0,
                       results=(GateResult(gate="beats_live", passed=False, evidence="2 > 1"),))),
        ("m", Decision(subject="s", artifact="abc", approved=True, actor="ana", at=1.0, results=())),
    ],
    rejected=[RejectedRows(stage="sales", rule="sold.min", rows=7, partitions=("1", "2"), sample="-1")],
    notes=["a note"],
)  # fmt: skip


def parts(report: Report) -> dict[str, ReportPart]:
    return {part.title: part for part in report.parts if not part.is_empty}


def test_a_run_that_failed() -> None:
    report = run_report(FULL)
    assert (report.title, report.word, report.status) == ("Run r1", "failed", DrawnStatus.FAILED)
    assert report.state == "2 ran, 3 reused, 1 failed, 2 skipped in 60.0 s; 7 rows quarantined"
    facts = dict(report.facts)
    assert facts["started by"] == "ana, process 7 on h"
    assert facts["CPU"].endswith(" s, with imports and plan")
    assert facts["cost"] == "0.50 EUR (expected: 0.40 EUR)"
    found = parts(report)
    assert [*found] == [
        "What failed, and why", "Verdicts of gates", "Stages", "Timeline", "Reused", "Quarantined rows",
        "Messages", "See more",
    ]  # fmt: skip
    failed = found["What failed, and why"]
    assert failed.tables[0].rows == (("labels", "2", "2", "ValueError", "correct it"),)
    assert failed.tables[1].rows == (("labels", "id.min", "3", "-1"),)
    assert [(each.caption, each.text) for each in failed.texts] == [
        ("run sales 2 retried", "sales 2 was lost"),
        ("run labels 2 failed", "File <x>"),
    ]
    (gates,) = found["Verdicts of gates"].tables
    assert gates.rows == (("beats_live", "FAILED", "2 > 1"),)
    (stages,) = found["Stages"].tables
    assert stages.headers[-1] == ">cost"
    # Two attempts of an hour each.
    assert (stages.rows[0][0], stages.rows[0][-1]) == ("sales", "4.00 EUR")
    assert found["Messages"].lines == ("hello", "a note")
    assert found["Quarantined rows"].tables[0].rows[0][:3] == ("sales", "sold.min", "7")
    assert found["Quarantined rows"].commands == ["tidemill quarantine list --env dev sales"]
    assert "tidemill explain --env dev labels" in found["See more"].commands
    assert found["Reused"].lines == (
        "3 results of earlier steps reused",
        "4 partitions up to date already",
        "1 partition only checked again, because only rules changed",
        "1 step recomputed only the columns that changed",
        "memos: 5 rows known, 0 computed, which saved 0.50 EUR",
    )


def test_a_run_that_goes_on_or_was_lost() -> None:
    info = replace(INFO, status=Status.RUNNING, receipt=None, ended=None, actor="")
    going = run_report(replace(FULL, info=info))
    assert going.state.startswith("1 of 9 steps done; 1 ran, 1 failed, 1 skipped")
    assert dict(going.facts)["CPU"] == "240 min 0 s"
    assert parts(going)["What failed, and why"].tables[0].rows[0][0] == "labels"
    lost = run_report(replace(FULL, info=info, is_lost=True))
    assert (lost.word, lost.status) == ("lost", DrawnStatus.FAILED)
    empty = run_report(replace(FULL, info=info, attempts=(), rejected=(), decisions=(), notes=()))
    assert "nothing ran yet" in empty.state
    assert [*parts(empty)] == ["See more"]


def test_a_run_with_nothing_to_do() -> None:
    receipt = Receipt(run="r1", status=Status.OK)
    done = run_report(
        replace(
            FULL, info=replace(INFO, status=Status.OK, receipt=receipt), attempts=(), rejected=()
        )
    )
    assert done.state == "nothing to do in 60.0 s"
    assert "cost" not in dict(done.facts)


@pytest.mark.untraced
def test_a_run_of_100_000_attempts_is_a_small_file() -> None:
    stages = [f"stage <{n:03}>" for n in range(200)]
    attempts = [
        (
            100.0 + n / 100,
            attempt(
                stages[n % 200],
                f"2026-{n:06}",
                outcome=Outcome.FAILED if n % 97 == 0 else Outcome.OK,
                message=f"cause {'abcdefghij'[n % 10]} of {stages[n % 200]}",
                trace="line\n" * 900 if n % 97 == 0 else "",
            ),
        )
        for n in range(100_000)
    ]
    failures = tuple(replace(RECEIPT.failures[0], stage=name, why="<y>" * 200) for name in stages)
    receipt = replace(
        RECEIPT,
        stages=tuple(StageTotals(stage=name, ran=500, failed=5) for name in stages),
        failures=failures,
        messages=tuple(f"message {n} " * 90 for n in range(500)),
    )
    rejected = [
        RejectedRows(stage=name, rule="r" * 500, rows=n, partitions=tuple(map(str, range(1_000))))
        for n, name in enumerate(stages)
    ]
    report = run_report(
        replace(FULL, info=replace(INFO, receipt=receipt), attempts=attempts, rejected=rejected)
    )
    html = report_html(report)
    assert 50_000 < len(html.encode()) < 500_000
    assert "too large" not in html
    assert "(the first 40 of 200)" in html
    assert "The 40 stages that took longest, of 200." in html
    assert "and 489 more messages" in html
    assert "more causes: <code>tidemill runs r1</code>" in html
