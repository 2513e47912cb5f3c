"""The status fits into about ten lines."""

from __future__ import annotations

from tidemill.cli.render.status import render_status
from tidemill.operations.duty import Duty, DutyTask
from tidemill.operations.status_report import Fact, StatusReport


def test_a_project_that_does_well_takes_few_lines() -> None:
    report = StatusReport(workflow="shop", environment="prod", at=0.0, up="working (process 7)")
    assert render_status(report, 80).splitlines() == [
        "shop in prod; up: working (process 7)",
        "wrong    nothing",
        "running  nothing",
    ]


def test_each_part_is_cut_and_says_so() -> None:
    report = StatusReport(
        workflow="shop",
        environment="prod",
        at=100.0,
        up="working (process 7)",
        wrong=tuple(Fact(text=f"s{n} failed", command="tidemill runs last") for n in range(5)),
        waiting=(
            Fact(text="review r1", owner="ops", command="tidemill review show r1"),
            Fact(text="the code changed", command="tidemill plan"),
            Fact(text="the budget is spent", command="tidemill plan"),
            Fact(text="review r2", owner="ops", command="tidemill review show r2"),
        ),
        running=(Fact(text="run r1: 1 of 2 steps"),),
        due=(
            Duty(task=DutyTask.SERVE, because="the workflow has endpoints"),
            Duty(task=DutyTask.RUN, because="a schedule\nticks", at=160.0),
        ),
        notes=("tills can't be watched",),
        free=57_100_000_000,
        size=1_200_000,
    )
    assert render_status(report, 80).splitlines() == [
        "shop in prod; up: working (process 7)",
        "wrong    s0 failed [tidemill runs last]",
        "         s1 failed [tidemill runs last]",
        "         s2 failed [tidemill runs last] (and 2 more)",
        "waiting  the code changed [tidemill plan]",
        "         the budget is spent [tidemill plan]",
        "         ops: review r1; review r2 [tidemill review show r1]",
        "running  run r1: 1 of 2 steps",
        "         the workflow has endpoints",
        "due      run in 1 min, because a schedule ticks",
        "note     tills can't be watched",
        "disk     57.1 GB free; ledger 1.2 MB",
    ]


def test_a_long_text_is_cut_and_its_command_is_whole() -> None:
    wrong = (Fact(text="stage " + "s" * 99, command="tidemill incidents show i1"),)
    report = StatusReport(workflow="w" * 99, environment="prod", at=0.0, up="none", wrong=wrong)
    head, line, _ = render_status(report, 70).splitlines()
    assert (len(head), len(line)) == (70, 70)
    assert line.startswith("wrong    stage sss")
    assert line.endswith("s... [tidemill incidents show i1]")
    _, line, _ = render_status(report, 40).splitlines()
    assert line == "wrong    stage ssssssssssss... [tidemill incidents show i1]"
