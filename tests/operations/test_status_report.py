"""What the status says about runs, supervisors and the disk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.ledger.run import Failure, Receipt, RunInfo, StageTotals, Status
from tidemill.operations.status_report import (
    LEAST_FREE,
    Fact,
    StatusReport,
    describe_run,
    describe_supervisors,
    disk_fault,
    failing_stages,
    supervisor_faults,
)
from tidemill.operations.up_report import UpReport, UpRole

WORKING = UpReport(environment="prod", holder={"pid": "7"}, role=UpRole.WORKING, since=0.0)
WAITING = replace(WORKING, holder={"pid": "8"}, role=UpRole.STANDING_BY)


def run(id: str, *stages: StageTotals, failures: tuple[Failure, ...] = ()) -> RunInfo:
    status = Status.FAILED if failures else Status.OK
    receipt = Receipt(run=id, status=status, stages=stages, failures=failures)
    return RunInfo(
        id=id, environment="prod", status=status, started=0.0, receipt=receipt, actor="ana"
    )


def test_a_stage_fails_if_its_last_attempts_did() -> None:
    cause = Failure(stage="features", partitions=(), why="no column", advice="")
    runs = [
        replace(run("r4"), receipt=None, status=Status.RUNNING),
        run("r3", StageTotals(stage="sales", ran=1), StageTotals(stage="features")),
        run("r2", StageTotals(stage="features", failed=2), failures=(cause,)),
        run("r1", StageTotals(stage="sales", failed=1), StageTotals(stage="tills", failed=1)),
    ]
    assert failing_stages(runs) == (
        Fact(
            text="features failed: no column",
            stage="features",
            command="tidemill runs show r2",
        ),
        Fact(
            text="tills failed: see its log",
            stage="tills",
            command="tidemill runs show r1",
        ),
    )


def test_a_stage_that_waits_for_a_review_is_not_wrong() -> None:
    asked = Failure(
        stage="model", partitions=(), why="waits", advice="look at it with: tidemill review show r1"
    )
    broken = Failure(stage="model", partitions=(), why="no column", advice="", messages=("no",))
    counted = StageTotals(stage="model", failed=1)
    assert failing_stages([run("r2", counted, failures=(asked,))]) == ()
    # What it did before doesn't count any more.
    before = run("r1", counted, failures=(broken,))
    assert failing_stages([run("r2", counted, failures=(asked,)), before]) == ()
    [found] = failing_stages([run("r2", counted, failures=(asked, broken))])
    assert found.text == "model failed: no column"


@pytest.mark.parametrize(
    ("alive", "dead", "said"),
    [
        ([], [], "none works here: start `tidemill up`"),
        ([], [WORKING], "it was killed: start `tidemill up` again"),
        ([], [WAITING], "none works here: start `tidemill up`"),
        ([WAITING, WORKING], [], "working (process 7), standing by (process 8)"),
        ([replace(WORKING, holder={})], [WORKING], "working (process ?)"),
    ],
)
def test_supervisors_are_described(alive: list[UpReport], dead: list[UpReport], said: str) -> None:
    assert describe_supervisors(alive, dead) == said


def test_what_keeps_supervisors_from_working_is_wrong() -> None:
    assert supervisor_faults([WORKING], [WORKING]) == ()
    assert supervisor_faults([], [WAITING]) == ()
    assert [fact.text for fact in supervisor_faults([], [WORKING])] == ["`tidemill up` was killed"]
    troubled = replace(WORKING, broken="SyntaxError", failing="features: no", failing_run="r1")
    assert [(fact.text, fact.command) for fact in supervisor_faults([troubled], [])] == [
        ("the workflow can't be opened: SyntaxError", "tidemill check"),
        ("the last run failed: features: no", "tidemill runs show r1"),
    ]
    # No run was recorded, because none could begin.
    [fact] = supervisor_faults([replace(WORKING, failing="1 fault")], [])
    expected = "the last attempt to run failed: 1 fault", "tidemill check"
    assert (fact.text, fact.command) == expected
    assert len(supervisor_faults([troubled], [], failed=True)) == 1


def test_a_run_says_how_far_it_is() -> None:
    info = run("r1")
    found = describe_run(info, 1_200, 30, 600.0, lost=False)
    assert found.text == "run r1: 30 of 1,200 steps after 10 min"
    assert (found.owner, found.command) == ("ana", "tidemill runs logs r1")
    # The clock was set back since it started.
    assert describe_run(info, 1, 0, -5.0, lost=False).text == "run r1: 0 of 1 step after 0 min"
    assert "its process died" in describe_run(info, 1, 0, 0.0, lost=True).text


def test_a_full_disk_is_wrong() -> None:
    assert disk_fault(LEAST_FREE, "/home") == ()
    (found,) = disk_fault(LEAST_FREE - 1, "/home")
    assert found.text == "only 1,000 MB are free on the disk of /home"


def test_the_exit_code_tells_whether_something_is_wrong() -> None:
    report = StatusReport(workflow="shop", environment="prod", at=0.0, up="none")
    assert report.exit_code == 0
    assert replace(report, wrong=(Fact(text="no"),)).exit_code == 1
