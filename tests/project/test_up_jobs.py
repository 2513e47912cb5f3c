"""What the processes of `up` do, in this process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tidemill as tm
from tests.support.commands import edit, forgotten_imports
from tidemill.core.errors import DeclarationError, StorageError
from tidemill.ledger.governance_events import ReviewOpened
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.operations.duty import DutyTask
from tidemill.operations.supervision import Ending, JobAnswer, SourcePlace, UpJob
from tidemill.operations.watch import Backlog
from tidemill.project.project import Project
from tidemill.project.up_jobs import describe_project, do_job
from tidemill.scorecard.scorecard_settings import DAYS
from tidemill.testing import governance_records as samples

RUN = UpJob(task=DutyTask.RUN, because=("so",))
LOOK = UpJob(task=DutyTask.RUN, because=("so",), look_first=True)
UPKEEP = UpJob(task=DutyTask.UPKEEP, because=("so",))


@contextmanager
def opened(folder: Path) -> Iterator[Project]:
    """The project as its code is now."""
    with forgotten_imports(), tm.open(folder) as project:
        yield project


def configure(folder: Path, text: str) -> None:
    with (folder / "pyproject.toml").open("a") as file:
        file.write(text)


def add_days(folder: Path, count: int) -> None:
    command = [sys.executable, "new_day.py", str(count)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def done(folder: Path, job: UpJob = LOOK) -> JobAnswer:
    with opened(folder) as project:
        return do_job(project, job)


def test_sources_and_code_are_described(built: Path) -> None:
    with opened(built) as project:
        found = describe_project(project)
    assert found.workflow == "bakery"
    assert found.sources == (
        SourcePlace(stage="sales", pattern="data/sales/*.csv"),
        SourcePlace(stage="weather", pattern="data/weather/*.csv"),
    )
    assert found.code == (str(built / "bakery.py"),)
    assert not found.has_endpoints
    assert found.dues == ()


SOURCES = """
import tidemill as tm


class Row(tm.Contract, version="1.0.0"):
    x = tm.Int64()


flow = tm.Workflow("odd", owner="ana")


@flow.ingest
def database() -> tm.Source[Row]:
    return tm.sql("select x from t", url="sqlite:///shop.db?mode=ro")


@flow.ingest
def server() -> tm.Source[Row]:
    return tm.sql("select x from t", url="postgresql://db.example.com/shop")


@flow.ingest
def told() -> tm.Source[Row]:
    return tm.sql("select x from t", url="env:SHOP_URL", notify="shop")


@flow.ingest
def lake() -> tm.Source[Row]:
    return tm.delta("lake/t")


@flow.ingest
def built() -> tm.Source[Row]:
    return tm.dbt("dbt", "orders", "sqlite:///shop.db")


@flow.ingest
def other() -> tm.Source[Row]:
    return tm.output("bakery", "sales")


@flow.ingest
def broken() -> tm.Source[Row]:
    raise ValueError("no")
"""


def test_files_behind_other_sources_are_watched(built: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(SOURCES)
    with tm.open(tmp_path, workflow="odd:flow") as project:
        found = {place.stage: place for place in describe_project(project).sources}
    assert found["lake"].pattern == "lake/t/_delta_log/*.json"
    assert found["built"].pattern == "dbt/target/run_results.json"
    # Reading these writes the files behind them.
    assert found["database"] == SourcePlace(stage="database")
    assert found["other"] == SourcePlace(stage="other")
    assert found["server"] == SourcePlace(stage="server")
    assert found["broken"] == SourcePlace(stage="broken")
    assert found["told"] == SourcePlace(stage="told", url="env:SHOP_URL", channel="shop")


def test_what_is_up_to_date_is_not_run(built: Path) -> None:
    with opened(built) as project:
        before = len(project.runs())
        answer = do_job(project, LOOK)
        assert (answer.ending, answer.summary, answer.run) == (Ending.OK, "nothing to do", "")
        assert len(project.runs()) == before


def test_a_failure_ends_with_the_file_that_could_not_be_read(built: Path) -> None:
    empty = built / "data" / "sales" / "empty.csv"
    empty.touch()
    assert done(built).ending is Ending.FAILED
    empty.unlink()
    answer = done(built)
    assert (answer.ending, bool(answer.run)) == (Ending.OK, True)
    with opened(built) as project:
        assert project.metrics.read().failing == {}
    assert done(built).summary == "nothing to do"


def test_new_data_is_run(built: Path) -> None:
    add_days(built, 1)
    answer = done(built, RUN)
    assert answer.ending is Ending.OK
    assert "features 1" in answer.summary
    assert answer.backlog is None


def test_a_long_backlog_is_run_in_parts_oldest_first(fresh: Path) -> None:
    configure(fresh, "\n[tool.tidemill.up]\nmax_catch_up = 20\n")
    first = done(fresh)
    assert first.backlog == Backlog(stage="features", behind=28, at_once=20)
    with opened(fresh) as project:
        days = sorted(project.state().heads["features"].partitions)
    assert days == [f"2026-01-{day:02}" for day in range(5, 25)]
    assert done(fresh).backlog is None
    assert done(fresh).summary == "nothing to do"


def test_a_stage_that_fails_is_named(built: Path) -> None:
    edit(built / "bakery.py", "weekday=", "weekday=pl.col('nowhere'), other=")
    with pytest.raises(DeclarationError, match="nowhere"):
        done(built)
    add_days(built, 1)
    edit(built / "bakery.py", "weekday=pl.col('nowhere'), other=", "weekday=")
    (built / "data" / "weather" / "2026-02-02.csv").write_text("date,temperature,rain\nx,y,z\n")
    answer = done(built, RUN)
    assert answer.ending is Ending.FAILED
    assert any("weather" in cause for cause in answer.failures), answer


def test_another_run_is_waited_for(built: Path) -> None:
    with opened(built) as project:
        add_days(built, 1)
        holder = this_process("tidemill run")
        lease = project.tools.ledger.acquire(
            "run:prod", holder, now=project.tools.clock(), ttl=60.0, dead=is_dead
        )
        answer = do_job(project, RUN)
        assert answer.ending is Ending.BUSY
        assert "another run is active" in answer.summary
        project.tools.ledger.release(lease)


def test_changed_code_can_wait(built: Path) -> None:
    configure(built, '\n[tool.tidemill.up]\non_change = "plan"\n')
    assert done(built).ending is Ending.OK
    edit(built / "bakery.py", '"rain",', 'rain=pl.col("rain") * 2,')
    answer = done(built)
    assert answer.ending is Ending.HELD
    assert answer.summary.startswith("the code of features changed; look with `tidemill plan`")
    assert answer.seq > 0


def test_schedules_run_and_are_due_next(built: Path) -> None:
    configure(
        built,
        '\n[tool.tidemill.up]\non_data = "schedule"\n'
        '[tool.tidemill.schedules.often]\nevery = "1m"\nstages = ["labels"]\n'
        '[tool.tidemill.schedules.elsewhere]\nevery = "1m"\nenvironment = "dev"\n',
    )
    with opened(built) as project:
        answer = do_job(project, LOOK)
        assert answer.summary == "nothing is due"
        (due,) = answer.dues
        assert due.because.startswith("schedule often: ")
    add_days(built, 1)
    assert done(built).summary == "nothing is due"
    with opened(built) as project:
        late = due.at + 1.0
        object.__setattr__(project.workspace.tools, "clock", lambda: late)
        answer = do_job(project, LOOK)
        assert "labels 1" in answer.summary
        assert answer.run
        assert do_job(project, LOOK).summary == "nothing is due"
        assert "2026-02-02" in project.state().heads["labels"].partitions
        assert "2026-02-02" not in project.state().heads["features"].partitions


def test_what_a_schedule_asked_for_and_failed_is_due_until_it_succeeds(built: Path) -> None:
    configure(
        built,
        '\n[tool.tidemill.up]\non_data = "schedule"\n'
        '[tool.tidemill.schedules.often]\nevery = "1d"\nstages = ["labels"]\n',
    )
    with opened(built) as project:
        (due,) = do_job(project, LOOK).dues
    add_days(built, 1)
    sales = built / "data" / "sales" / "2026-02-02.csv"
    whole = sales.read_text()
    for text, expected in (("x", Ending.FAILED), ("y", Ending.FAILED), (whole, Ending.OK)):
        sales.write_text(text)
        with opened(built) as project:
            object.__setattr__(project.workspace.tools, "clock", lambda: due.at + 61.0)
            assert do_job(project, LOOK).ending is expected
    with opened(built) as project:
        object.__setattr__(project.workspace.tools, "clock", lambda: due.at + 62.0)
        assert do_job(project, LOOK).summary == "nothing is due"
        assert "2026-02-02" in project.state().heads["labels"].partitions


def test_a_schedule_with_a_fault_keeps_nothing_else_from_running(built: Path) -> None:
    table = '\n[tool.tidemill.schedules.{}]\nevery = "1m"\nstages = ["{}"]\n'
    configure(built, table.format("wrong", "labelz") + table.format("right", "labels"))
    with opened(built) as project:
        due = max(do_job(project, LOOK).dues, key=lambda due: due.at)
    add_days(built, 1)
    with opened(built) as project:
        object.__setattr__(project.workspace.tools, "clock", lambda: due.at + 61.0)
        (note,) = describe_project(project).notes
        assert "schedules.wrong]: stages: there is no stage 'labelz'" in note
        assert do_job(project, LOOK).ending is Ending.OK
        for stage in ("labels", "features"):
            assert "2026-02-02" in project.state().heads[stage].partitions


def test_a_channel_of_notes_that_is_not_there_keeps_nothing_from_running(built: Path) -> None:
    yesterday = DAYS[(datetime.now(UTC) - timedelta(days=1)).weekday()]
    configure(
        built,
        f'\n[tool.tidemill.scorecard]\nweekly = "{yesterday} 08:00"\nchannels = ["tema"]\n',
    )
    add_days(built, 1)
    with opened(built) as project:
        (note,) = describe_project(project).notes
        assert "scorecard]: channels: there is no channel 'tema'" in note
        assert do_job(project, LOOK).ending is Ending.OK
        assert "2026-02-02" in project.state().heads["labels"].partitions
        answer = do_job(project, UPKEEP)
        assert any("no channel 'tema'" in note for note in answer.notes)
        assert not [due for due in answer.dues if due.at <= project.tools.clock()]


def test_old_models_and_reviews_are_due(built: Path) -> None:
    edit(built / "bakery.py", 'tm.every("7d")', 'tm.max_age("30d")')
    with opened(built) as project:
        now = project.tools.clock()
        asked = replace(samples.review("r0"), opened=now, within=3_600.0)
        project.tools.ledger.append(
            [ReviewOpened(environment="prod", review=asked)], now=project.tools.clock()
        )
        trained = max(held.at for held in project.state().heads["demand"].partitions.values())
        dues = do_job(project, UPKEEP).dues
    assert (DutyTask.RUN, trained + 30 * 86_400, "demand has max_age(30d)") in [
        (due.task, due.at, due.because) for due in dues
    ]
    assert "the time to decide review r0 ends" in [due.because for due in dues]


def test_what_fails_beside_runs_fails_none(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr("tidemill.project.up_jobs.end_overdue_reviews", refuse)
    answer = done(built, UPKEEP)
    assert answer.ending is Ending.OK
    assert answer.notes == ("the disk is full",)


def test_why_a_ledger_cannot_shrink_is_said(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(built / "pyproject.toml", 'keep = "400d"', 'keep = "400d"\nautomatic = true')
    monkeypatch.setattr(
        "tidemill.adapters.sqlite.compaction.shrink", lambda *_: ["it keeps its size"]
    )
    assert done(built, UPKEEP).notes == ("sweep: it keeps its size",)


def test_alerts_of_an_incident_are_due(built: Path) -> None:
    with opened(built) as project:
        assert project.alerts.due() is None
        project.incidents.report("odd", severity="note")
        dues = do_job(project, UPKEEP).dues
        at = project.incidents.open()[0].opened_at + project.settings.alerts.group_s
    assert (DutyTask.UPKEEP, at, "an incident is to be told or closed") in [
        (due.task, due.at, due.because) for due in dues
    ]
