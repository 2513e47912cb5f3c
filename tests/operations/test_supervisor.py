"""What the supervisor decides: each change is run once, whatever crashes when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.thoroughness import examples, thorough
from tidemill.operations.duty import Due, DutyTask
from tidemill.operations.supervision import (
    ChildPhase,
    EndChild,
    Ending,
    EndServer,
    GiveJob,
    InterruptChild,
    JobAnswer,
    KillChild,
    Order,
    SourcePlace,
    StartChild,
    StartServer,
    UpJob,
    WorkflowDescription,
    YieldChild,
)
from tidemill.operations.supervisor import STARTED, Supervisor
from tidemill.operations.up_settings import UpSettings
from tidemill.operations.watch import Backlog

SETTINGS = UpSettings(settle=1.0, max_wait=5.0, retry=10.0, retry_max=40.0, drain=30.0)
WALL = 1_000_000.0
SALES = SourcePlace(stage="sales", pattern="data/*.csv")
SHOP = WorkflowDescription(workflow="shop", sources=(SALES,))
OK = JobAnswer(ending=Ending.OK, summary="ran")
FAILED = JobAnswer(ending=Ending.FAILED, failures=("features: no",), exit_code=1)


class World:
    """A supervisor, and its children as a test plays them."""

    def __init__(
        self, options: UpSettings = SETTINGS, description: WorkflowDescription = SHOP
    ) -> None:
        self.now = 0.0
        self.description = description
        self.up = Supervisor(options, self.now)

    def orders(self, now: float | None = None) -> list[Order]:
        """Everything that is ordered until nothing more is."""
        self.now = self.now if now is None else now
        return [*self._orders()]

    def _orders(self) -> Iterator[Order]:
        while found := self.up.orders(self.now, WALL + self.now):
            yield from found
            if not any(isinstance(order, StartChild | GiveJob) for order in found):
                return

    def jobs(self, now: float | None = None) -> list[UpJob]:
        """The jobs that are given, when children start at once."""
        given = []
        for order in self.orders(now):
            if isinstance(order, StartChild):
                self.up.note_description(order.number, self.description, self.now)
                given += self.jobs()
            elif isinstance(order, GiveJob) and order.job.task is DutyTask.RUN:
                given.append(order.job)
            elif isinstance(order, GiveJob):
                # Upkeep is done at once, and changes nothing.
                self.up.note_answer(order.number, replace(OK, dues=self.up._dues), self.now)
                given += self.jobs()
        return given

    def busy(self) -> int:
        """The number of the child that has a job."""
        (child,) = [c for c in self.up.children.values() if c.phase is ChildPhase.BUSY]
        return child.number

    def answer(self, answer: JobAnswer = OK) -> None:
        self.up.note_answer(self.busy(), answer, self.now)

    def begun(self) -> World:
        """After the first run."""
        (job,) = self.jobs()
        assert job.because[0] == STARTED
        assert job.look_first
        self.answer()
        assert self.jobs() == []
        return self


def test_it_starts_one_process_and_runs_once() -> None:
    world = World()
    assert world.orders() == [StartChild(1)]
    assert world.orders(1.0) == []
    world.up.note_description(1, SHOP, 1.0)
    (order,) = world.orders()
    assert order == GiveJob(1, UpJob(task=DutyTask.RUN, because=(STARTED,), look_first=True))
    world.answer()
    assert world.jobs(2.0) == []
    assert world.up.is_idle


def test_a_change_is_run_once_it_has_settled() -> None:
    world = World().begun()
    world.up.note_change("sales", 10.0, "a.csv")
    assert world.up.wake_at(10.0, WALL + 10.0) == 11.0
    assert world.jobs(10.5) == []
    world.up.note_change("sales", 10.9, "b.csv")
    assert world.jobs(11.5) == []
    (job,) = world.jobs(11.9)
    assert job.because == ("sales changed (2 changes, such as b.csv)",)
    assert not job.look_first
    world.answer()
    assert world.jobs(100.0) == []


def test_a_file_that_never_rests_is_run_all_the_same() -> None:
    world = World().begun()
    jobs = []
    for tenth in range(1, 61):
        world.now = 10 + tenth / 10
        world.up.note_change("sales", world.now)
        jobs += world.jobs()
    assert len(jobs) == 1


def test_runs_wait_until_files_are_written() -> None:
    world = World(replace(SETTINGS, write_wait=60.0)).begun()
    world.up.writing = {"data/a.csv": 10.0}
    world.up.note_change("sales", 10.0, "data/a.csv")
    # Also what others ask for: a run reads all sources.
    world.up._want("so")
    assert world.jobs(30.0) == []
    world.up.writing = {}
    assert len(world.jobs(30.1)) == 1
    world.answer()
    # One that is always written is run now and then.
    begun = []
    world.up.writing = {"data/a.csv": 31.0}
    for second in range(31, 220):
        world.up.note_change("sales", float(second))
        if world.jobs(float(second)):
            begun.append(second)
            world.answer()
    assert begun == [91, 151, 211]


def test_many_changes_are_looked_at_first() -> None:
    world = World().begun()
    world.up.note_change("sales", 10.0, count=31)
    (job,) = world.jobs(12.0)
    assert job.look_first


def test_a_backlog_is_worked_off_run_by_run() -> None:
    world = World()
    world.jobs()
    world.answer(replace(OK, backlog=Backlog(stage="sales", behind=312, at_once=30)))
    (job,) = world.jobs(1.0)
    assert job.because == ("sales is 312 partitions behind, 30 at a time",)
    assert job.look_first
    world.answer()
    assert world.jobs(2.0) == []


def test_what_failed_is_tried_again_after_twice_as_long_each_time() -> None:
    world, tried = World(), []
    for second in range(200):
        if world.jobs(float(second)):
            tried.append(second)
            world.answer(FAILED)
    assert tried == [0, 10, 30, 70, 110, 150, 190]
    (retry, *_) = world.up.duties(199.0, WALL + 199.0)
    assert retry.because == "it failed 7 times: features: no"
    assert retry.at == WALL + 230.0


def test_a_failure_names_the_run_that_failed() -> None:
    world = World()
    world.jobs()
    world.answer(replace(FAILED, run="r1"))
    assert world.up.failure is not None
    assert world.up.failure.run == "r1"
    # The next one can't begin.
    world.jobs(10.0)
    world.answer(FAILED)
    assert world.up.failure.run == ""


def test_a_change_clears_a_failure() -> None:
    world = World()
    world.jobs()
    world.answer(FAILED)
    world.up.note_change("sales", 2.0, "a.csv")
    assert len(world.jobs(3.0)) == 1
    # One that came while it failed does, too.
    world.up.note_change("sales", 3.1, "b.csv")
    world.answer(FAILED)
    assert len(world.jobs(4.1)) == 1
    world.answer()
    assert world.up.failure is None


def test_a_job_whose_process_dies_is_done_by_another() -> None:
    world = World().begun()
    world.up.note_change("sales", 2.0, "a.csv")
    (job,) = world.jobs(3.0)
    world.up.note_end(world.busy(), "its process was killed by SIGKILL", 3.5)
    assert world.jobs(4.0) == []
    (again,) = world.jobs(13.5)
    assert again.changes == job.changes
    assert "it failed once: its process was killed by SIGKILL" in again.because


def test_the_first_run_is_not_lost_with_its_process() -> None:
    world = World()
    world.jobs()
    world.up.note_end(world.busy(), "its process was killed by SIGKILL", 1.0)
    (again,) = world.jobs(11.0)
    assert STARTED in again.because


def test_another_run_is_waited_for() -> None:
    world = World().begun()
    world.up.note_change("sales", 2.0)
    world.jobs(3.0)
    world.answer(JobAnswer(ending=Ending.BUSY, summary="another run is active"))
    assert world.jobs(4.0) == []
    (job,) = world.jobs(5.0)
    assert job.changes
    world.answer(JobAnswer(ending=Ending.INTERRUPTED))
    assert len(world.jobs(5.1)) == 1


def test_code_that_cannot_be_imported_is_tried_when_it_changes() -> None:
    world = World()
    assert world.orders() == [StartChild(1)]
    world.up.note_fault(1, "bakery.py:5: SyntaxError", 1.0)
    world.up.note_end(1, "", 1.1)
    assert world.orders(2.0) == []
    (duty,) = world.up.duties(2.0, WALL + 2.0)
    assert duty.because == "the workflow can't be opened: bakery.py:5: SyntaxError"
    assert duty.at == WALL + 11.0
    # After a while, since what it imports may have been installed.
    assert world.orders(11.0) == [StartChild(2)]
    world.up.note_fault(2, "bakery.py:5: SyntaxError", 11.5)
    world.up.note_end(2, "", 11.6)
    world.up.note_code_change(13.0, "bakery.py")
    assert world.up.wake_at(13.0, WALL + 13.0) == 14.0
    assert world.orders(13.5) == []
    (job,) = world.jobs(14.0)
    assert job.because == (STARTED, "the code changed: bakery.py")


def test_an_import_that_takes_too_long_is_a_failed_one() -> None:
    world = World(replace(SETTINGS, import_limit=60.0))
    assert world.orders() == [StartChild(1)]
    assert world.up.wake_at(0.0, WALL) == 60.0
    assert world.orders(59.0) == []
    assert world.orders(60.0) == [KillChild(1)]
    assert world.up.broken is not None
    assert "longer than 60 s" in world.up.broken.why
    # What it said at the last moment changes nothing.
    world.up.note_description(1, SHOP, 60.0)
    assert world.up.children[1].phase is ChildPhase.ENDING
    world.up.broken = replace(world.up.broken, retry_at=70.0) if world.up.broken else None
    world.up.note_end(1, "its process was killed by SIGKILL", 60.1)
    assert world.up.children == {}


def test_changed_code_is_imported_by_another_process() -> None:
    world = World().begun()
    world.up.note_change("sales", 2.0)
    world.jobs(3.0)
    world.up.note_code_change(3.5, "bakery.py")
    # The job goes on with the code that it began with.
    assert world.orders(5.0) == []
    world.answer()
    assert EndChild(1) in world.orders(6.0)
    world.up.note_end(1, "", 6.1)
    jobs = world.jobs(6.2)
    for number, child in world.up.children.items():
        if child.phase is ChildPhase.STARTING:
            world.up.note_description(number, SHOP, 6.2)
    jobs += world.jobs(6.3)
    assert [job.because for job in jobs] == [("the code changed: bakery.py",)]


def test_a_process_that_imports_what_was_there_before_is_replaced() -> None:
    world = World()
    assert world.orders() == [StartChild(1)]
    world.up.note_code_change(0.5, "bakery.py")
    assert world.orders(2.0) == [EndChild(1), StartChild(2)]


def test_changed_code_waits_for_a_person_if_that_is_wanted() -> None:
    world = World().begun()
    world.up.note_change("sales", 2.0, "a.csv")
    world.jobs(3.0)
    held = JobAnswer(ending=Ending.HELD, summary="the code of features changed")
    world.answer(held)
    assert world.jobs(200.0) == []
    assert world.up.held == "the code of features changed"
    world.up.note_others()
    (job,) = world.jobs(201.0)
    assert job.changes["sales"].example == "a.csv"
    world.up.note_others()
    assert world.up.held == ""


def test_dues_are_acted_on_once() -> None:
    due = Due(task=DutyTask.RUN, at=WALL + 50.0, because="nightly")
    world = World(description=replace(SHOP, dues=(due,)))
    world.jobs()
    world.answer(replace(OK, dues=(due,)))
    assert world.up.wake_at(1.0, WALL + 1.0) == 50.0
    (job,) = world.jobs(50.0)
    assert job.because == ("nightly",)
    # It is still due afterwards: it isn't tried again and again.
    world.answer(replace(OK, dues=(due,)))
    assert world.jobs(51.0) == []
    assert "nightly" in [duty.because for duty in world.up.duties(51.0, WALL + 51.0)]
    later = replace(due, at=WALL + 100.0)
    world.up.note_change("sales", 52.0)
    world.jobs(53.0)
    world.answer(replace(OK, dues=(later,)))
    assert [job.because for job in world.jobs(100.0)] == [("nightly",)]


NIGHT = Due(task=DutyTask.OFF_PEAK, at=WALL + 100.0, because="train model is cheaper then")
WAITS = replace(OK, dues=(NIGHT,))
INTERRUPTED = JobAnswer(ending=Ending.INTERRUPTED, exit_code=130)


def off_peak(world: World, now: float) -> int:
    """The number of the child that is given the work that waited; upkeep is done at once."""
    world.now = now
    for _ in range(4):
        for order in world.up.orders(now, WALL + now):
            if isinstance(order, StartChild):
                known = replace(SHOP, dues=world.up._dues)
                world.up.note_description(order.number, known, now)
            elif isinstance(order, GiveJob) and order.job.task is DutyTask.OFF_PEAK:
                assert order.job.because == (NIGHT.because,)
                return order.number
            elif isinstance(order, GiveJob):
                assert order.job.task is DutyTask.UPKEEP
                world.up.note_answer(order.number, replace(OK, dues=world.up._dues), now)
    raise AssertionError("nothing was given")


def waiting() -> World:
    """After the first run, which left work for later."""
    world = World(description=replace(SHOP, dues=(NIGHT,)))
    world.jobs()
    world.answer(WAITS)
    assert world.jobs() == []
    return world


def test_work_that_waits_is_run_at_its_time() -> None:
    world = waiting()
    assert world.up.is_idle
    assert NIGHT.at in [duty.at for duty in world.up.duties(50.0, WALL + 50.0)]
    assert world.up.wake_at(99.0, WALL + 99.0) == 100.0
    number = off_peak(world, 100.0)
    world.up.note_answer(number, OK, 101.0)
    assert world.up._dues == ()
    assert world.jobs(1_000.0) == []


def test_work_that_waits_lets_changes_go_first() -> None:
    world = waiting()
    world.up.note_change("sales", 99.9)
    # The run of the change is near.
    assert world.jobs(100.5) == []
    (job,) = world.jobs(101.0)
    assert job.task is DutyTask.RUN
    world.answer(WAITS)
    off_peak(world, 102.0)


def urgent(world: World, now: float) -> int:
    """The number of the child that is given the run of a change."""
    world.up.note_change("sales", now - 1.0)
    world.now = now
    (job,) = world.jobs(now)
    assert job.task is DutyTask.RUN
    return next(number for number, child in world.up.children.items() if child.job is job)


def test_work_that_waited_makes_room_a_few_times() -> None:
    world, now = waiting(), 100.0
    for round_ in range(4):
        number = off_peak(world, now)
        # The run of a change finds the environment busy.
        busy = JobAnswer(ending=Ending.BUSY, summary="another run", dues=(NIGHT,))
        world.up.note_answer(urgent(world, now + 1.0), busy, now + 1.1)
        asked = [order for order in world.orders(now + 1.2) if isinstance(order, YieldChild)]
        assert asked == ([YieldChild(number)] if round_ < 3 else [])
        ending = Ending.INTERRUPTED if asked else Ending.OK
        world.up.note_answer(number, JobAnswer(ending=ending, dues=(NIGHT,)), now + 2.0)
        # The change is run before the work goes on.
        (job,) = world.jobs(now + 4.0)
        assert job.task is DutyTask.RUN
        for child in [*world.up.children.values()]:
            if child.job is not None:
                world.up.note_answer(child.number, WAITS, now + 5.0)
        now += 50.0


def test_work_that_waited_and_fails_is_tried_again_after_longer_waits() -> None:
    world = waiting()
    world.up.note_answer(off_peak(world, 100.0), replace(FAILED, dues=(NIGHT,)), 100.0)
    assert world.jobs(109.0) == []
    number = off_peak(world, 110.0)
    # Its process dies.
    world.up.note_end(number, "killed", 111.0)
    assert world.jobs(125.0) == []
    number = off_peak(world, 131.0)
    busy = JobAnswer(ending=Ending.BUSY, summary="another run", dues=(NIGHT,))
    world.up.note_answer(number, busy, 132.0)
    assert world.jobs(133.0) == []
    off_peak(world, 142.0)


def test_work_that_waits_runs_also_while_runs_fail() -> None:
    world = waiting()
    world.up.note_change("sales", 90.0)
    world.jobs(92.0)
    world.answer(replace(FAILED, dues=(NIGHT,)))
    world.up.backlog = Backlog(stage="sales", behind=2, at_once=1)
    off_peak(world, 100.5)


def test_a_plan_is_made_now_and_then_and_more_often_for_sources_that_tell_nothing() -> None:
    world = World().begun()
    assert world.jobs(3_599.0) == []
    assert len(world.jobs(3_600.0)) == 1
    world = World(description=replace(SHOP, sources=(SALES, SourcePlace(stage="tills")))).begun()
    assert world.jobs(59.0) == []
    (job,) = world.jobs(60.0)
    assert job.because == ("tills can only be asked whether it changed",)


def test_a_source_that_is_listened_to_is_not_asked() -> None:
    told = SourcePlace(stage="orders", url="env:SHOP_URL", channel="shop")
    world = World(SETTINGS, replace(SHOP, sources=(told,)))
    assert len(world.jobs()) == 1
    world.answer()
    world.up.listening = frozenset({"orders"})
    assert world.jobs(3_599.0) == []
    assert len(world.jobs(3_600.0)) == 1
    world.answer()
    world.up.note_change("orders", 3_700.0, "a notification on shop")
    (job,) = world.jobs(3_701.0)
    # What is notified may concern rows that the query doesn't read.
    assert (job.because, job.look_first) == (("orders changed (a notification on shop)",), True)
    world.answer()
    # The connection is lost.
    world.up.listening = frozenset()
    assert len(world.jobs(3_761.0)) == 1


def test_upkeep_is_done_beside_a_run() -> None:
    world = World()
    world.jobs()
    orders = world.orders(300.0)
    assert orders == [StartChild(2)]
    world.up.note_description(2, SHOP, 301.0)
    (order,) = world.orders(301.0)
    assert isinstance(order, GiveJob)
    assert (order.number, order.job.task) == (2, DutyTask.UPKEEP)
    world.up.note_end(2, "its process was killed by SIGKILL", 302.0)
    assert world.up.failure is None
    assert world.orders(303.0) == []
    # Nor does it count as a run.
    (later, *_) = world.orders(610.0)
    assert later == StartChild(3)
    world.up.note_description(3, SHOP, 611.0)
    world.orders(611.0)
    world.up.note_answer(3, OK, 612.0)
    assert world.up.last is None


def test_upkeep_after_a_run_waits_for_the_process_of_the_next_one() -> None:
    world = World()
    world.jobs()
    world.up.note_change("sales", 1.0)
    world.now = 3.0
    world.answer()
    # There is one process, and the change comes first.
    (order,) = world.orders()
    assert isinstance(order, GiveJob)
    assert order.job.task is DutyTask.RUN
    assert world.orders(59.0) == []
    assert world.orders(60.0) == [StartChild(2)]


def test_where_schedules_alone_start_runs_changes_start_none() -> None:
    due = Due(task=DutyTask.RUN, at=WALL + 50.0, because="nightly")
    waits = replace(SETTINGS, on_data="schedule")
    world = World(waits, replace(SHOP, dues=(due,)))
    assert len(world.jobs()) == 1
    world.answer(replace(OK, dues=(due,)))
    world.up.note_change("sales", 1.0)
    assert world.jobs(49.0) == []
    (job,) = world.jobs(50.0)
    assert job.because == ("nightly",)
    later = replace(due, at=WALL + 65.0)
    world.answer(replace(FAILED, dues=(later,)))
    # What failed is tried again, and that delays no schedule.
    assert world.jobs(59.0) == []
    (job,) = world.jobs(60.0)
    assert job.because == ("it failed once: features: no",)
    world.answer(replace(FAILED, dues=(later,)))
    (job,) = world.jobs(65.0)
    assert job.because == ("nightly",)
    world.answer(replace(OK, dues=()))
    assert world.jobs(5_000.0) == []


def test_a_process_without_work_is_released() -> None:
    world = World(replace(SETTINGS, idle=20.0)).begun()
    assert world.orders(19.0) == []
    assert world.up.wake_at(19.0, WALL + 19.0) == 20.0
    assert world.orders(20.0) == [EndChild(1)]
    world.up.note_end(1, "", 21.0)
    assert world.orders(22.0) == []
    # It is prepared while the file is still being written.
    world.up.note_change("sales", 23.0)
    assert world.orders(23.0) == [StartChild(2)]


def test_a_process_is_replaced_after_many_jobs() -> None:
    world = World()
    world.jobs()
    for number in range(24):
        world.answer()
        assert world.jobs() == []
        world.up.note_change("sales", world.now)
        assert len(world.jobs(2.0 * number + 2)) == 1
    world.answer()
    # Every run is followed by upkeep.
    (upkeep,) = world.orders()
    assert isinstance(upkeep, GiveJob)
    world.up.note_answer(1, OK, world.now)
    assert world.orders() == [EndChild(1)]


def test_a_process_that_dies_while_it_waits_is_replaced_after_a_pause() -> None:
    world = World().begun()
    world.up.note_end(1, "its process was killed by SIGKILL", 1.0)
    assert world.orders(2.0) == []
    assert world.orders(11.0) == [StartChild(2)]


def test_endpoints_are_served() -> None:
    world = World(description=replace(SHOP, has_endpoints=True))
    world.orders()
    world.up.note_description(1, world.description, 1.0)
    assert StartServer() in world.orders(1.0)
    assert DutyTask.SERVE in [duty.task for duty in world.up.duties(1.0, WALL)]
    world.up.note_server_end("its process ended with exit code 1", 2.0)
    assert world.orders(3.0) == []
    assert any("the server ended" in duty.because for duty in world.up.duties(3.0, WALL))
    assert world.orders(12.0) == [StartServer()]
    # Having run for a while, it begins with the shortest pause again.
    world.up.note_server_end("its process ended with exit code 1", 100.0)
    assert world.up.server_failure is not None
    assert world.up.server_failure.count == 1
    quiet = World(replace(SETTINGS, serve=False), world.description)
    assert quiet.jobs()
    assert StartServer() not in quiet.orders(1.0)


def test_the_server_is_replaced_once_changed_code_can_be_imported() -> None:
    world = World(description=replace(SHOP, has_endpoints=True))
    world.orders()
    world.up.note_description(1, world.description, 1.0)
    world.orders(1.0)
    world.answer()
    world.up.note_code_change(2.0, "bakery.py")
    orders = world.orders(3.0)
    assert EndServer() not in orders
    assert StartChild(2) in orders
    world.up.note_end(1, "", 3.1)
    world.up.note_description(2, world.description, 4.0)
    world.orders(4.0)
    world.answer()
    world.orders(4.0)
    world.answer()
    assert EndServer() in world.orders(5.0)
    world.up.note_server_end("its process ended with exit code 0", 6.0)
    assert world.up.server_failure is None
    assert world.orders(6.0) == [StartServer()]


def test_stopping_lets_a_run_end_then_interrupts_and_then_kills_it() -> None:
    world = World(description=replace(SHOP, has_endpoints=True))
    world.orders()
    world.up.note_description(1, world.description, 0.0)
    world.orders()
    world.up.stop(0.0, 30.0)
    assert world.up.duties(0.0, WALL)[0].task is DutyTask.RUN
    assert world.orders(1.0) == [EndServer()]
    assert world.up.wake_at(1.0, WALL) == 30.0
    # Whoever carries out orders waits when there are none.
    assert world.orders(1.0) == []
    assert world.orders(30.0) == [InterruptChild(1)]
    assert world.orders(31.0) == []
    assert world.orders(40.0) == [KillChild(1)]
    world.up.note_end(1, "", 41.0)
    assert not world.up.is_over
    world.up.note_server_end("", 41.0)
    assert world.up.is_over


def test_stopping_ends_processes_that_wait() -> None:
    world = World().begun()
    world.up.stop(1.0, 30.0)
    assert world.orders(1.0) == [EndChild(1)]
    world.up.note_end(1, "", 1.1)
    assert world.up.is_over
    # A second wish to stop shortens the wait.
    world = World()
    world.jobs()
    world.up.stop(1.0, 30.0)
    world.up.stop(2.0, 0.0)
    assert world.orders(2.0) == [InterruptChild(1)]


@pytest.mark.parametrize("jump", [-3_600.0, 86_400.0])
def test_a_clock_that_jumps_changes_no_waits(jump: float) -> None:
    world = World().begun()
    world.up.note_change("sales", 10.0)
    assert world.up.orders(10.5, WALL + jump) == ()
    orders = world.up.orders(11.0, WALL + jump)
    assert [type(order) for order in orders] == [GiveJob]


class Histories(RuleBasedStateMachine):
    """Random changes, failures, crashes of processes and of the supervisor itself.

    The world outside remembers which change each run saw, as the ledger does.
    """

    @initialize()
    def start(self) -> None:
        self.now = 0.0
        self.made = 0
        self.seen = 0
        self.begin()

    def begin(self) -> None:
        self.up = Supervisor(SETTINGS, self.now)
        self.lost = False
        # What each job that is being done has read.
        self.reading: dict[int, int] = {}

    @rule(seconds=st.floats(0.01, 20.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.carry_out()

    def carry_out(self) -> None:
        for _ in range(10):
            orders = self.up.orders(self.now, WALL + self.now)
            for order in orders:
                if isinstance(order, GiveJob) and order.job.task is DutyTask.RUN:
                    assert not self.reading, "two runs at once"
                    # Only what was lost with its process is looked at twice: it may have been done.
                    known = self.seen < self.made or self.lost
                    assert known or not order.job.changes, "a change is run twice"
                    self.reading[order.number] = self.made
                elif isinstance(order, EndChild):
                    self.up.note_end(order.number, "", self.now)

    @rule(count=st.integers(1, 3))
    def change(self, count: int) -> None:
        for _ in range(count):
            self.made += 1
            self.up.note_change("sales", self.now, str(self.made))

    @rule()
    def change_code(self) -> None:
        self.up.note_code_change(self.now, "bakery.py")

    @rule(fault=st.booleans())
    def import_workflow(self, fault: bool) -> None:
        for number, child in [*self.up.children.items()]:
            if child.phase is ChildPhase.STARTING:
                if fault:
                    self.up.note_fault(number, "SyntaxError", self.now)
                    self.up.note_end(number, "", self.now)
                else:
                    self.up.note_description(number, SHOP, self.now)
        self.carry_out()

    @precondition(lambda self: self.reading)
    @rule(ending=st.sampled_from([Ending.OK, Ending.FAILED, Ending.BUSY]))
    def answer(self, ending: Ending) -> None:
        ((number, read),) = self.reading.items()
        self.reading = {}
        if ending is not Ending.BUSY:
            self.seen, self.lost = max(self.seen, read), False
        self.up.note_answer(number, JobAnswer(ending=ending, summary="so"), self.now)
        self.carry_out()

    @precondition(lambda self: self.up.children)
    @rule(data=st.data())
    def kill_child(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.up.children)))
        # It may have published all, some, or nothing.
        self.lost = self.lost or number in self.reading
        read = self.reading.pop(number, 0)
        self.seen = max(self.seen, data.draw(st.sampled_from([0, read])))
        self.up.note_end(number, "killed", self.now)

    @rule()
    def kill_supervisor(self) -> None:
        self.begin()

    @invariant()
    def never_too_many(self) -> None:
        alive = [c for c in self.up.children.values() if c.phase is not ChildPhase.ENDING]
        assert len(alive) <= 3
        assert len(self.reading) <= 1

    def teardown(self) -> None:
        """Once nothing happens any more, every change has been run, and nothing runs again."""
        runs = 0
        for _ in range(30):
            self.import_workflow(False)
            if self.reading:
                runs += 1
                self.answer(Ending.OK)
            for number, child in [*self.up.children.items()]:
                if child.job is not None and child.job.task is DutyTask.UPKEEP:
                    self.up.note_answer(number, OK, self.now)
            self.wait(5.0)
        assert self.seen == self.made
        assert runs <= 3
        assert self.up.is_idle


Histories.TestCase.settings = settings(max_examples=examples(25, 60), stateful_step_count=30)
TestHistories = thorough(Histories.TestCase)
