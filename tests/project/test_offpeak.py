"""Work that waits for a cheaper time: what a project plans, leaves, runs later, and says it saved."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.test_models import Sea
from tests.support.tides import CHAIN, Tides, day
from tidemill.core.errors import BudgetError, UsageError
from tidemill.costs.budget import BudgetSettings
from tidemill.governance.page_text import text_page
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.off_peak import DeferredWork
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ledger.run import Attempt, Receipt, Status
from tidemill.offpeak.offpeak_settings import OffPeakSettings, parse_offpeak_settings
from tidemill.operations.duty import DutyTask
from tidemill.operations.incident import IncidentState
from tidemill.operations.supervision import Ending, JobAnswer, UpJob
from tidemill.planning.plan import Step
from tidemill.project.project import Project
from tidemill.project.up_jobs import do_job
from tidemill.runs.io.job import NoProgress
from tidemill.runs.io.lease import take_lease
from tidemill.workflow.spending_limit import SpendingLimit

# A Thursday, noon.
NOON, HOUR = 1_768_478_400.0, 3_600.0
NIGHT = {"from": "22:00", "to": "06:00", "price": 0.1}
TABLE: dict[str, Any] = {
    "zone": "UTC",
    "unit": "EUR/CPU-h",
    "tariff": {"price": 0.3, "bands": [NIGHT]},
}


class _Timed:
    """A project whose clock is set, with prices."""

    now = NOON
    table = TABLE
    budget = BudgetSettings()

    def open(self) -> Project:
        project: Project = super().open()  # type: ignore[misc]
        space = project.workspace
        settings = parse_offpeak_settings(self.table, "[tool.tidemill.offpeak]")
        space.settings = replace(
            space.settings,
            tables={**space.settings.tables, "offpeak": settings, "budget": self.budget},
        )
        space.tools = replace(space.tools, clock=lambda: self.now)
        return project

    def recorded(self) -> list[WorkDeferred]:
        found = self.events("WorkDeferred")  # type: ignore[attr-defined]
        return [event for event in found if isinstance(event, WorkDeferred)]

    def checked(self) -> tuple[IncidentState, ...]:
        """The open incidents after a check."""
        project = self.open()
        try:
            return project.alerts.check(budget_s=0.0).open
        finally:
            project.close()

    def deferred(self) -> tuple[DeferredWork, ...]:
        project = self.open()
        try:
            return project.plan().deferred
        finally:
            project.close()


class NightSea(_Timed, Sea):
    """A model that is trained again with each new day."""


class NightTides(_Timed, Tides):
    """A chain of tables."""


@pytest.fixture
def sea(tmp_path: Path) -> NightSea:
    found = NightSea(tmp_path)
    found.edit("seed=1)", "seed=1, retrain=tm.new_data())")
    for number in range(6):
        found.flood(number)
    # Nothing is there yet, so nothing waits.
    assert "ok train model" in found.ran(found.run(off_peak=True))
    assert found.recorded() == []
    found.now += 60.0
    found.flood(6)
    return found


def trained(sea: NightSea, **options: Any) -> tuple[bool, Receipt]:
    receipt = sea.run(**options)
    return "ok train model" in sea.ran(receipt), receipt


def test_a_training_waits_for_the_night_while_new_rows_dont(sea: NightSea) -> None:
    (work,) = sea.deferred()
    assert (work.name, work.since, work.start) == ("train model", NOON + 60, NOON + 10 * HOUR)
    assert work.share == pytest.approx(2 / 3)
    # A plan by itself records nothing.
    assert sea.recorded() == []

    receipt = sea.run(off_peak=True)
    ran = sea.ran(receipt)
    assert ran["ok run features"] == [day(6)]
    assert ran["ok deliver out"] == [day(6)]
    assert "ok train model" not in ran
    assert receipt.off_peak is None
    assert "train model waits until 2026-01-15 22:00 UTC, which saves 67 %" in receipt.messages[0]
    assert [event.works[0].start for event in sea.recorded()] == [NOON + 10 * HOUR]

    # It keeps to that, without a new record, until it is time.
    sea.now += 5 * HOUR
    assert not trained(sea, off_peak=True)[0]
    assert len(sea.recorded()) == 1
    sea.now = NOON + 10 * HOUR
    is_trained, receipt = trained(sea, off_peak=True)
    assert is_trained
    assert receipt.off_peak is not None
    assert receipt.off_peak.stages == ("model",)
    assert receipt.off_peak.share == pytest.approx(2 / 3)
    assert receipt.off_peak.unit == "EUR"
    assert receipt.off_peak.waited_s == pytest.approx(10 * HOUR - 60)
    assert receipt.off_peak.late == ()
    assert sea.recorded()[-1].works == ()
    assert sea.deferred() == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": "gCO2/kWh", "per_cpu_hour": 0.01},
        {"tariff": {"price": 3.0, "bands": [NIGHT | {"price": 2.4}]}},
    ],
)
def test_prices_of_another_list_arent_compared(sea: NightSea, changes: dict[str, Any]) -> None:
    sea.run(off_peak=True)
    sea.table = TABLE | changes
    sea.now += HOUR
    now, night = (300.0, 200.0) if "unit" in changes else (3.0, 2.4)
    if "unit" in changes:
        sea.table |= {"tariff": {"price": now, "bands": [NIGHT | {"price": night}]}}
    for _ in range(2):
        sea.run(off_peak=True)
        (work,) = sea.deferred()
        assert (work.since, work.price_at_once, work.price) == (NOON + 60, now, night)
    # What changed is recorded once, as `status` and `up` read it.
    assert [event.works[0].price_at_once for event in sea.recorded()] == [0.3, now]
    sea.now = work.start
    is_trained, receipt = trained(sea, off_peak=True)
    assert is_trained
    assert receipt.off_peak is not None
    assert receipt.off_peak.share == pytest.approx(1 - night / now)


def test_who_asks_for_a_run_gets_all_of_it(sea: NightSea) -> None:
    sea.run(off_peak=True)
    sea.now += HOUR
    is_trained, receipt = trained(sea)
    assert is_trained
    # It had waited, and ran at the price at which it became due.
    assert receipt.off_peak is not None
    assert receipt.off_peak.share == pytest.approx(0)
    assert sea.recorded()[-1].works == ()


def test_a_deadline_that_is_over_doesnt_wait_and_is_told(sea: NightSea) -> None:
    sea.run(off_peak=True)
    # Nobody ran anything for days, or the clock jumped.
    sea.now = NOON + 73 * HOUR
    (work,) = sea.deferred()
    assert (work.start, work.late) == (sea.now, True)
    project = sea.open()
    page = text_page(project.hand_off())
    project.close()
    assert "train model should have ended by" in page
    (incident,) = sea.checked()
    assert (incident.cause.kind, incident.cause.title, incident.incident.since) == (
        *("late work", "train model waited until it was late", work.deadline),
    )
    is_trained, receipt = trained(sea, off_peak=True)
    assert is_trained
    assert receipt.off_peak is not None
    assert receipt.off_peak.late == ("model",)
    sea.now += HOUR
    assert sea.checked() == ()
    sea.now = NOON
    assert sea.deferred() == ()


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (None, "prices.csv: there is no such file"),
        ("2025-01-01T00:00Z,1", "prices.csv: all of its prices are of the past"),
        ("nonsense", "prices.csv: there is no column 'start'"),
    ],
)
def test_a_broken_source_of_prices_keeps_nothing_waiting(
    sea: NightSea, content: str | None, note: str
) -> None:
    if content is not None:
        (sea.root / "prices.csv").write_text(content)
    sea.table = {"file": "prices.csv"}
    project = sea.open()
    plan = project.plan()
    assert any(f"off-peak: {note}" in line for line in project.checks.notes())
    project.close()
    assert any(f"off-peak: {note}" in line for line in plan.notes)
    assert [work.start for work in plan.deferred] == [sea.now]
    is_trained, receipt = trained(sea, off_peak=True)
    assert (is_trained, sea.recorded()) == (True, [])
    assert any(f"off-peak: {note}" in line for line in receipt.messages)


def test_what_runs_when_it_becomes_due_never_waited(sea: NightSea) -> None:
    is_trained, receipt = trained(sea)
    assert (is_trained, receipt.off_peak, sea.recorded()) == (True, None, [])


def test_without_prices_nothing_can_be_left(sea: NightSea) -> None:
    project = Sea.open(sea)
    with pytest.raises(UsageError, match=r"set `\[tool\.tidemill\.offpeak\]`, or run without"):
        project.run(off_peak=True)
    project.close()
    assert "ok run features" in sea.ran(sea.run(off_peak=True))


def test_a_record_of_work_that_was_done_without_prices_makes_nothing_late(sea: NightSea) -> None:
    sea.run(off_peak=True)
    sea.now += HOUR
    project = sea.open()
    project.workspace.settings = replace(
        project.settings, tables={**project.settings.tables, "offpeak": OffPeakSettings()}
    )
    assert "ok train model" in sea.ran(project.run())
    project.close()
    sea.now += 30 * 24 * HOUR
    sea.flood(7)
    (work,) = sea.deferred()
    assert (work.since, work.late) == (sea.now, False)


def test_stages_that_dont_exist_cant_wait(sea: NightSea) -> None:
    sea.table = TABLE | {"defer": {"modell": "2h"}}
    with pytest.raises(UsageError, match=r"offpeak\.defer\] there is no stage 'modell'"):
        sea.deferred()
    sea.table = TABLE | {"defer": {"scores": "2h"}}
    with pytest.raises(UsageError, match="'scores' is an evaluation, which runs with its model"):
        sea.deferred()


def test_old_partitions_wait_and_stay_as_they_are(tmp_path: Path) -> None:
    tides = NightTides(tmp_path, CHAIN)
    tides.table = TABLE | {"old": "2d"}
    for number in range(5):
        tides.send(number)
    tides.run(off_peak=True)
    before = tides.contents()
    tides.edit("value * 2", "value * 3")
    tides.now += HOUR
    works = tides.deferred()
    assert [work.name for work in works] == [
        f"run {stage} {day(0)} .. {day(2)} (3)" for stage in ("doubled", "daily")
    ]
    ran = tides.ran(tides.run(off_peak=True))
    assert ran == {f"ok run {stage}": [day(3), day(4)] for stage in ("doubled", "daily")}
    after = tides.contents()
    assert after["daily"][day(0)] == before["daily"][day(0)]
    assert after["daily"][day(4)] != before["daily"][day(4)]

    tides.now = works[0].start
    ran = tides.ran(tides.run(off_peak=True))
    assert ran["ok run doubled"] == [day(0), day(1), day(2)]
    tides.now += HOUR
    tides.run(off_peak=True)
    assert tides.deferred() == ()
    assert tides.recorded()[-1].works == ()
    fresh = NightTides(tmp_path / "fresh", tides.text)
    for number in range(5):
        fresh.send(number)
    fresh.run()
    assert fresh.contents() == tides.contents()


@pytest.fixture
def backfill(tmp_path: Path) -> NightTides:
    """Four days of two tables that are to be computed again wait for the night since an hour after noon."""
    tides = NightTides(tmp_path, CHAIN)
    tides.table = TABLE | {"old": "2d"}
    for number in range(6):
        tides.send(number)
    tides.run(off_peak=True)
    tides.edit("value * 2", "value * 3")
    tides.now += HOUR
    assert [work.since for work in tides.deferred()] == [NOON + HOUR] * 2
    tides.run(off_peak=True)
    return tides


def test_work_waits_on_while_urgent_work_of_its_stage_runs(backfill: NightTides) -> None:
    (before,) = backfill.recorded()
    for number, look_first in ((6, True), (7, False)):
        backfill.now += HOUR
        backfill.send(number)
        answer = done(backfill, UpJob(task=DutyTask.RUN, because=("so",), look_first=look_first))
        assert "doubled 1" in answer.summary
        assert [due.at for due in answer.dues if due.task is DutyTask.OFF_PEAK] == [
            work.start for work in before.works
        ]
    # Nothing of it changed, so that nothing is recorded.
    assert backfill.recorded() == [before]
    works = backfill.deferred()
    assert [(work.since, work.deadline, work.price_at_once) for work in works] == [
        (NOON + HOUR, NOON + 25 * HOUR, 0.3)
    ] * 2
    backfill.now = NOON + 12 * HOUR
    receipt = backfill.run(off_peak=True)
    assert backfill.ran(receipt)["ok run daily"] == [day(number) for number in range(4)]
    assert receipt.off_peak is not None
    assert receipt.off_peak.stages == ("doubled", "daily")
    assert receipt.off_peak.share == pytest.approx(2 / 3)
    assert backfill.recorded()[-1].works == ()


class _SecondStep(NoProgress):
    """Interrupts a run at the end of its second step."""

    ended_steps = 0

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        self.ended_steps += 1
        if self.ended_steps == 2:
            raise KeyboardInterrupt


def test_what_an_interruption_leaves_keeps_its_deadline(backfill: NightTides) -> None:
    backfill.now = NOON + 12 * HOUR
    project = backfill.open()
    receipt = project.run(
        off_peak=True, progress=_SecondStep(), inline=True, raise_on_failure=False
    )
    project.close()
    ran = backfill.ran(receipt)
    assert receipt.status is Status.INTERRUPTED
    backfill.now += HOUR
    doubled, daily = backfill.recorded()[-1].works
    assert doubled.partitions == tuple(
        day(number) for number in range(4) if day(number) not in ran["ok run doubled"]
    )
    assert 0 < len(doubled.partitions) < 4
    assert len(daily.partitions) == 4
    works = backfill.deferred()
    assert [(work.since, work.deadline, work.price_at_once) for work in works] == [
        (NOON + HOUR, NOON + 25 * HOUR, 0.3)
    ] * 2


def test_urgent_work_is_what_is_left(sea: NightSea) -> None:
    project = sea.open()
    plan = project.plan_urgent()
    assert {step.stage for step in plan.steps} == {"raw", "features", "labels", "scores", "out"}
    receipt = project.run_urgent(command="test")
    project.close()
    assert "ok train model" not in sea.ran(receipt)
    assert [work.stage for work in sea.recorded()[-1].works] == ["model"]


NIGHT_JOB = UpJob(task=DutyTask.OFF_PEAK, because=("so",), makes_room=True)


def done(sea: _Timed, job: UpJob) -> JobAnswer:
    project = sea.open()
    try:
        return do_job(project, job)
    finally:
        project.close()


@pytest.mark.parametrize("look_first", [False, True])
def test_up_leaves_work_until_its_time(sea: NightSea, look_first: bool) -> None:
    run = UpJob(task=DutyTask.RUN, because=("so",), look_first=look_first)
    answer = done(sea, run)
    assert "train" not in answer.summary
    (due,) = [due for due in answer.dues if due.task is DutyTask.OFF_PEAK]
    assert (due.at, due.because) == (NOON + 10 * HOUR, "train model is cheaper then")
    # Nothing else is to be done.
    assert done(sea, replace(run, look_first=True)).summary == "nothing to do"
    early = done(sea, NIGHT_JOB)
    assert early.summary.startswith("nothing is due: train model waits until 2026-01-15 22:00")
    assert early.dues == (due,)
    sea.now = due.at
    late = done(sea, NIGHT_JOB)
    assert "model 1" in late.summary
    assert late.dues == ()
    assert done(sea, NIGHT_JOB).summary == "nothing is due: nothing waits"


def test_up_waits_for_another_run_with_work_that_has_to_begin(
    sea: NightSea, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(sea, UpJob(task=DutyTask.RUN, because=("so",)))
    sea.now = NOON + 23.8 * HOUR
    handled: list[Any] = []
    monkeypatch.setattr(signal, "signal", lambda number, how: handled.append((number, how)))
    project = sea.open()
    other = take_lease(project.tools, project.environment, this_process("another"), None)
    answer = do_job(project, NIGHT_JOB)
    other.close()
    project.close()
    assert (answer.ending, handled) == (Ending.BUSY, [(signal.SIGUSR1, signal.SIG_IGN)])


def test_a_budget_that_is_used_up_is_no_failure_of_up(sea: NightSea) -> None:
    """It isn't tried again and again until the month ends, and says why nothing runs."""
    (due,) = done(sea, UpJob(task=DutyTask.RUN, because=("so",))).dues
    sea.now = due.at
    # The runs before have used more than this on any machine.
    milliseconds = SpendingLimit(amount=1e-6, in_cpu_hours=True)
    sea.budget = BudgetSettings(monthly=milliseconds)
    answer = done(sea, NIGHT_JOB)
    assert (answer.ending, answer.exit_code) == (Ending.OK, BudgetError.exit_code)
    assert answer.summary.startswith("nothing can begin: the budget of all environments this month")
    assert [each.because for each in answer.dues if each.task is DutyTask.RUN] == [
        "the budgets of the next month begin"
    ]


def test_up_without_prices_has_no_such_work(sea: NightSea) -> None:
    project = Sea.open(sea)
    assert do_job(project, NIGHT_JOB).ending is Ending.OK
    project.close()


def test_without_prices_there_is_no_timetable(sea: NightSea) -> None:
    project = Sea.open(sea)
    project.workspace.settings = replace(
        project.settings, tables={**project.settings.tables, "offpeak": OffPeakSettings()}
    )
    try:
        assert project.plan().deferred == ()
        assert project.plans.off_peak is None
        assert project.plan_urgent().steps
    finally:
        project.close()


def test_the_next_tick_of_a_schedule_is_a_deadline(sea: NightSea) -> None:
    project = sea.open()
    space = project.workspace
    schedules = {"noon": {"every": "1d", "start": "2026-01-15T18:00Z"}}
    space.settings = replace(space.settings, schedules=schedules)
    (work,) = project.plan().deferred
    project.close()
    assert (work.deadline, work.because) == (NOON + 6 * HOUR, "its schedule has the next tick then")
