"""The status of a project is read from its ledger, without its workflow."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import tidemill as tm
from tests.support.commands import edit, forgotten_imports, process, tidemill
from tidemill.core.errors import UsageError
from tidemill.ledger.event import (
    Attempted,
    EffectQueued,
    EnvironmentCreated,
    RunStarted,
)
from tidemill.ledger.governance_events import ReviewOpened, Waived
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ledger.policy import Waiver
from tidemill.ledger.run import Attempt, Outcome
from tidemill.operations.duty import Duty, DutyTask
from tidemill.operations.io.up_files import ReportFile
from tidemill.operations.up_report import UpReport, UpRole
from tidemill.project.status import read_status
from tidemill.testing import governance_records as samples
from tidemill.testing import records
from tidemill.testing.off_peak_records import deferred_work


def record(folder: Path, *events: object) -> None:
    with forgotten_imports(), tm.open(folder) as project:
        now = project.tools.clock()
        project.tools.ledger.append(events, now=now)  # type: ignore[arg-type]


def test_a_project_that_never_ran_has_no_state(fresh: Path) -> None:
    found = read_status(fresh)
    assert found.exit_code == 0
    assert "nothing was run yet" in found.notes[0]
    assert not (fresh / ".tidemill").exists()


def test_a_project_that_does_well(built: Path) -> None:
    found = read_status(built)
    assert (found.workflow, found.wrong, found.running, found.due) == ("bakery", (), (), ())
    assert found.size > 0
    shown = tidemill("status", "--json")
    assert shown.code == 0
    assert shown.document["status"]["workflow"] == "bakery"


def test_neither_the_workflow_nor_polars_is_imported(built: Path) -> None:
    (built / "bakery.py").write_text("raise SystemExit('imported')")
    (built / "polars.py").write_text("raise SystemExit('imported')")
    done = process("status", cwd=built)
    assert done.returncode == 0, done.stderr
    assert "bakery in prod" in done.stdout


def test_a_stage_that_fails_is_wrong(built: Path) -> None:
    (built / "data" / "weather" / "2026-02-02.csv").write_text("date,temperature,rain\nx,y,z\n")
    tidemill("run")
    shown = tidemill("status")
    assert shown.code == 1
    assert "weather" in shown.out
    assert "tidemill " in shown.out


def test_what_waits_for_people_has_an_owner(built: Path) -> None:
    with forgotten_imports(), tm.open(built) as project:
        now = project.tools.clock()
    waiver = Waiver(
        id="w1",
        rule="no-stale-data",
        scope="*",
        reason="so",
        actor="ana",
        at=now,
        expires=now + 7_300,
    )
    record(
        built,
        ReviewOpened(environment="prod", review=samples.review("r0")),
        Waived(environment="prod", waiver=waiver),
        Waived(environment="prod", waiver=replace(waiver, id="w2", expires=now + 1e7)),
        EffectQueued(environment="prod", effect=records.effect("out")),
    )
    found = read_status(built)
    texts = {fact.text: fact.owner for fact in found.waiting}
    assert texts["the waiver of no-stale-data for * ends in 2 h"] == "ana"
    assert [owner for text, owner in texts.items() if "(review r0)" in text] == ["role:reviewer"]
    assert len(texts) == 2
    assert found.notes == ("1 delivery to be completed by the next run",)


@pytest.mark.parametrize("lost", [False, True])
def test_runs_say_how_far_they_are(built: Path, lost: bool) -> None:
    holder = this_process("tidemill run")
    if lost:
        holder = {**holder, "started": "before the last boot"}
    attempt = Attempt(stage="sales", partition="2026-01-05", action="run", outcome=Outcome.OK)
    record(
        built,
        RunStarted(
            run="r1",
            environment="prod",
            command="tidemill run",
            holder=holder,
            steps=4,
            actor="ana",
        ),
        Attempted(run="r1", environment="prod", attempt=attempt),
    )
    found = read_status(built)
    if lost:
        assert "run r1 is lost" in found.wrong[0].text
        assert found.running == ()
    else:
        (fact,) = found.running
        assert fact.text == "run r1: 1 of 4 steps after 0 min"
        assert found.wrong == ()


def test_a_supervisor_says_what_it_does(built: Path) -> None:
    report = UpReport(
        environment="prod",
        holder=this_process("tidemill up"),
        role=UpRole.WORKING,
        since=0.0,
        workflow="bakery",
        duties=(Duty(task=DutyTask.RUN, because="a plan is made", at=5.0),),
        held="the code of features changed",
        backlog="sales is 312 partitions behind, 30 at a time",
        notes=("tills is listed: it is on nfs",),
    )
    file = ReportFile(built / ".tidemill")
    file.write(report)
    found = read_status(built)
    assert found.up.startswith("working (process ")
    assert found.due == report.duties
    assert found.is_supervised
    assert tidemill("status", "--supervisor").code == 0
    assert [fact.text for fact in found.waiting] == ["the code of features changed"]
    assert found.notes == (report.backlog, *report.notes)
    file.close()
    assert tidemill("status", "--supervisor").code == 1


def test_workflows_that_share_a_home_are_told_apart(built: Path) -> None:
    home = built / ".tidemill"
    for number, workflow in enumerate(("bakery", "dairy", "")):
        ReportFile(home).write(
            UpReport(
                environment="prod",
                holder=this_process("tidemill up"),
                role=UpRole.WORKING,
                since=0.0,
                workflow=workflow,
                place=f"/srv/{workflow or 'tannery'}: flows:flow",
                held=f"code {number}",
            )
        )
    found = read_status(built)
    assert (found.workflow, [fact.text for fact in found.waiting]) == ("bakery", ["code 0"])
    # One that shares the home and never ran isn't the one that did.
    edit(built / "bakery.py", 'tm.Workflow("bakery"', 'tm.Workflow("tannery"')
    found = read_status(built)
    assert (found.workflow, found.is_supervised, found.waiting) == ("tannery", False, ())


def test_schedules_are_due_without_a_supervisor(built: Path) -> None:
    with (built / "pyproject.toml").open("a") as file:
        file.write(
            '\n[tool.tidemill.schedules.often]\nevery = "1m"\n'
            '[tool.tidemill.schedules.elsewhere]\nevery = "1m"\nenvironment = "dev"\n'
        )
    (duty,) = read_status(built).due
    assert duty.because.startswith("schedule often: ")


def test_schedules_that_never_run_are_wrong(built: Path) -> None:
    with (built / "pyproject.toml").open("a") as file:
        file.write(
            '\n[tool.tidemill.up]\non_data = "schedule"\n[tool.tidemill.schedules.n]\ncron = ""\n'
        )
    wrong = [fact.text for fact in read_status(built).wrong if fact.command == "tidemill check"]
    assert [text.partition("[tool.tidemill.")[2] for text in wrong] == [
        "schedules.n]: cron is empty (write a value, or leave it out)",
        'up]: on_data = "schedule", but no schedule runs: new data would wait for ever (declare one in '
        "[tool.tidemill.schedules], or leave out on_data)",
    ]


def test_a_table_that_became_stale_is_wrong(built: Path) -> None:
    edit(
        built / "bakery.py",
        "volume = tm.Rows",
        'fresh = tm.Freshness("date", within="26h")\n    volume = tm.Rows',
    )
    tidemill("run")
    found = read_status(built)
    assert any(fact.stage == "sales" for fact in found.wrong)
    assert found.exit_code == 1


def test_an_incident_is_told_once(built: Path) -> None:
    (built / "data" / "weather" / "2026-02-02.csv").write_text("date,temperature,rain\nx,y,z\n")
    tidemill("run")
    tidemill("alerts", "check")
    found = read_status(built)
    assert [fact.command.split()[1] for fact in found.wrong if fact.stage == "weather"] == [
        "incidents"
    ]
    # Nor does a supervisor repeat it that works meanwhile.
    report = UpReport(
        environment="prod",
        holder=this_process("tidemill up"),
        role=UpRole.WORKING,
        since=0.0,
        workflow="bakery",
        failing="weather failed",
    )
    ReportFile(built / ".tidemill").write(report)
    assert [fact.text for fact in read_status(built).wrong] == [fact.text for fact in found.wrong]


OTHER = """
import tidemill as tm


class Row(tm.Contract, version="1.0.0"):
    x = tm.Int64()


flow = tm.Workflow("other", owner="ana")


@flow.ingest
def rows() -> tm.Source[Row]:
    return tm.files("x.csv")
"""


def test_of_several_workflows_in_a_home_that_of_the_settings_is_meant(built: Path) -> None:
    (built / "other.py").write_text(OTHER)
    with forgotten_imports(), tm.open(built, workflow="other:flow") as project:
        project.tools.ledger.append(
            [EnvironmentCreated(environment="prod")], now=project.tools.clock()
        )
    with forgotten_imports():
        assert read_status(built).workflow == "bakery"
        assert read_status(built, workflow="other:flow").workflow == "other"


def test_an_unknown_environment_is_refused(built: Path) -> None:
    with pytest.raises(UsageError, match="there is no environment 'dev'; there are prod"):
        read_status(built, environment="dev")
    shutil.rmtree(built / ".tidemill")
    assert read_status(built, environment="dev").notes


def test_what_waits_for_a_price_is_told_and_is_wrong_when_it_is_late(built: Path) -> None:
    with (built / "pyproject.toml").open("a") as file:
        file.write('\n[tool.tidemill.offpeak]\nfile = "prices.csv"\n')
    with forgotten_imports(), tm.open(built) as project:
        now = project.tools.clock()
    work = deferred_work(since=now - 60.0, start=now + 3_600.0, deadline=now + 7_200.0)
    record(built, WorkDeferred(environment="prod", works=(work,)))
    found = read_status(built)
    assert found.wrong == ()
    assert [fact.stage for fact in found.waiting] == ["model"]
    assert "train model waits until" in found.waiting[0].text
    late = (replace(work, late=True), replace(work, deadline=now - 1.0))
    record(built, WorkDeferred(environment="prod", works=late))
    found = read_status(built)
    assert found.waiting == ()
    assert ["run it now" in fact.text for fact in found.wrong] == [True, True]
    # Nobody asks for prices any more.
    text = (built / "pyproject.toml").read_text()
    (built / "pyproject.toml").write_text(text.partition("[tool.tidemill.offpeak]")[0])
    assert read_status(built).wrong == ()
