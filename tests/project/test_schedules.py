"""Schedules run what is due exactly once, in the ledger of their workflow, and people pause them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.people import ROLES, open_as, write_settings
from tests.support.tides import Tides, day
from tests.support.users import USER
from tidemill.core.errors import AccessError, ConflictError, DeclarationError, UsageError
from tidemill.ledger.event import Event, Published, RunEnded, RunStarted
from tidemill.ledger.run import Status
from tidemill.ledger.schedule_events import (
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
    Ticked,
)
from tidemill.operations.schedule import DueTick
from tidemill.planning.plan import Step
from tidemill.ports.ledger import Guard
from tidemill.project.project import Project
from tidemill.project.workflow_ledger import shared_ledger
from tidemill.runs.io.job import NoProgress

HOUR = 3_600
# 2026-03-08 00:00 in New York, the night in which its clock skips two o'clock.
START = 1_772_946_000.0
SETTINGS = """
[tool.tidemill]
workflow = "tides:flow"

[tool.tidemill.schedules.hourly]
every = "1h"
stages = ["doubled"]

[tool.tidemill.schedules.nightly]
cron = "30 2 * * *"
timezone = "America/New_York"
"""


class Night:
    """A project with schedules and a clock that a test moves."""

    def __init__(self, root: Path, text: str = SETTINGS) -> None:
        self.tides = Tides(root)
        self.now = START
        self.declare(text)
        self.tides.send(0)

    def declare(self, text: str) -> None:
        write_settings(self.tides.root, text)

    @property
    def home(self) -> Path:
        return self.tides.root / ".tidemill"

    def open(self, person: str = USER) -> Project:
        project = open_as(self.tides, person)
        project.workspace.tools = replace(project.tools, clock=lambda: self.now)
        return project

    def due(self) -> tuple[DueTick, ...]:
        return self.open().schedules.due(self.now)

    def run(self) -> list[str]:
        """Run what is due, each tick by a command of its own; the ticks."""
        ticks = self.due()
        for tick in ticks:
            self.open().schedules.run(tick)
        return [f"{tick.schedule} {tick.tick[8:16]}" for tick in ticks]

    def events(self, *kinds: type[Event]) -> list[Event]:
        names = [kind.__name__ for kind in kinds]
        return [fact.event for fact in self.open().tools.ledger.events(kinds=names)]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path)


def test_ticks_run_their_stages_once(night: Night) -> None:
    assert night.run() == []
    night.now += 2.5 * HOUR
    # Half past two doesn't exist that night: it is due at three, which is 07:00 in UTC.
    assert night.run() == ["hourly 08T07:00", "nightly 08T07:00"]
    assert night.run() == []
    started = night.events(RunStarted)
    assert [event.steps for event in started if isinstance(event, RunStarted)] == [2, 1]
    assert night.tides.published() == {name: [day(0)] for name in ("raw", "doubled", "daily")}
    first, second = night.events(Ticked)
    assert isinstance(first, Ticked)
    assert isinstance(second, Ticked)
    assert (first.schedule, first.missed, second.missed) == ("hourly", 1, 0)
    assert [event.run for event in night.events(RunEnded) if isinstance(event, RunEnded)] == [
        first.run, second.run,
    ]  # fmt: skip


def test_a_receipt_says_why_its_run_was_due(night: Night) -> None:
    night.due()
    night.now += 3 * HOUR
    tick = night.due()[-1]
    receipt = night.open().schedules.run(tick)
    assert receipt.messages[0] == (
        "schedule hourly, 2026-03-08T08:00Z: every 1h from 1970-01-01 00:00 UTC; missed 2, runs 1, because "
        "catch_up = latest"
    )


def test_schedules_are_recorded_when_they_change(night: Night) -> None:
    night.due()
    night.due()
    night.declare(SETTINGS.replace("30 2", "30 5").replace('every = "1h"', "every = 5"))
    night.due()
    night.declare(SETTINGS.partition("[tool.tidemill.schedules.nightly]")[0])
    night.due()
    assert night.events(ScheduleChanged) == [
        ScheduleChanged(schedule=name, declared=declared, actor=USER, place=str(night.tides.root))
        for name, declared in (
            ("hourly", "every 1h from 1970-01-01 00:00 UTC"),
            ("nightly", "30 2 * * * in America/New_York"),
            # One with a fault stays as it was.
            ("nightly", "30 5 * * * in America/New_York"),
            ("nightly", ""),
        )
    ]


def test_a_changed_schedule_catches_up_nothing(night: Night) -> None:
    night.due()
    night.now += 5 * HOUR
    night.declare(SETTINGS.replace("30 2", "30 4").replace("1h", "2h"))
    assert night.due() == ()
    night.now += 24 * HOUR
    assert [tick.missed for tick in night.due()] == [0, 11]


def test_a_clock_that_was_far_ahead_starts_a_schedule_anew(night: Night) -> None:
    night.now += 400 * 24 * HOUR
    night.due()
    night.now = START
    assert night.due() == ()
    night.now += HOUR
    assert night.run() == ["hourly 08T06:00"]
    assert len(night.events(ScheduleChanged)) == 4


def test_a_tick_that_another_run_consumed_is_refused(night: Night) -> None:
    night.due()
    night.now += HOUR
    (tick,) = night.due()
    night.open().schedules.run(tick)
    with pytest.raises(
        ConflictError, match=r"the tick 2026-03-08T06:00Z of hourly was run already by run"
    ):
        night.open().schedules.run(tick)
    assert len(night.events(RunStarted)) == 1


def test_schedules_of_two_workflows_in_a_home_are_apart(night: Night) -> None:
    night.due()
    night.now += HOUR
    night.run()
    night.tides.edit('tm.Workflow("tides")', 'tm.Workflow("waves")')
    assert night.due() == ()
    assert night.events(Ticked) == []
    shared = shared_ledger(night.open().tools.ledger)
    names = [fact.event.schedule for fact in shared.events(kinds=("Ticked",))]  # type: ignore[union-attr]
    assert names == ["tides/hourly"]


def copy_of(night: Night, root: Path, text: str) -> Night:
    """Another copy of a project, with a home that both share."""
    found = Night(root, text.replace("[tool.tidemill]", f'[tool.tidemill]\nhome = "{night.home}"'))
    found.now = night.now
    return found


def test_copies_of_a_project_leave_the_schedules_of_each_other_alone(
    night: Night, tmp_path: Path
) -> None:
    every_half_hour = SETTINGS.partition("[tool.tidemill.schedules.nightly]")[0].replace(
        "1h", "30m"
    )
    copy = copy_of(night, tmp_path / "copy", every_half_hour)
    assert night.due() == copy.due() == ()
    done = []
    for _ in range(3):
        # Each looks often, as a supervisor or a timer does.
        for _ in range(6):
            night.now = copy.now = night.now + HOUR / 4
            copy.due()
            night.due()
        done += [night.run(), copy.run()]
    # At 06:30, 08:00 and 09:30: a tick that one of them ran isn't run by the other.
    assert done == [
        ["hourly 08T06:00"], ["hourly 08T06:30"],
        ["nightly 08T07:00", "hourly 08T08:00"], [],
        ["hourly 08T09:00"], ["hourly 08T09:30"],
    ]  # fmt: skip
    assert len(night.events(ScheduleChanged)) == 3


def test_environments_have_schedules_of_their_own(night: Night, tmp_path: Path) -> None:
    night.run()
    with night.open() as project:
        project.environments.create("dev")
    dev = SETTINGS.replace(
        "[tool.tidemill.schedules.hourly]", '[tool.tidemill.schedules.hourly]\nenvironment = "dev"'
    )
    copy = copy_of(night, tmp_path / "copy", dev)
    night.due(), copy.due()
    night.now = copy.now = night.now + HOUR
    assert night.run() == ["hourly 08T06:00"]
    (tick,) = copy.due()
    with open_as(copy.tides, USER, environment="dev") as project:
        project.workspace.tools = replace(project.tools, clock=lambda: copy.now)
        assert project.schedules.run(tick).status is Status.OK
        project.schedules.pause("hourly")
    assert copy.due() == ()
    night.now = copy.now = night.now + HOUR
    assert (night.run(), copy.run()) == (["hourly 08T07:00", "nightly 08T07:00"], [])
    names = [event.schedule for event in night.events(Ticked) if isinstance(event, Ticked)]
    assert names == ["hourly", "hourly@dev", "hourly", "nightly"]


class Killed(BaseException):
    """The process is killed."""


def appends(night: Night, tick: DueTick, number: int) -> int:
    """Run a tick, and be killed at one of its appends (0: never); the number of appends."""
    project = night.open()
    ledger, count = project.tools.ledger, 0

    class Mortal:
        def __getattr__(self, name: str) -> object:
            return getattr(ledger, name)

        def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
            nonlocal count
            count += 1
            if count == number:
                raise Killed
            return ledger.append(events, now=now, guard=guard)

    project.workspace.tools = replace(project.tools, ledger=Mortal())  # type: ignore[arg-type]
    project.schedules.run(tick)
    return count


@pytest.mark.parametrize("forced", [False, True])
def test_a_run_that_is_killed_anywhere_repeats_no_forced_work_and_loses_no_tick(
    tmp_path: Path, forced: bool
) -> None:
    text = SETTINGS.replace('stages = ["doubled"]', 'stages = ["doubled"]\nagain = true')
    whole = Night(tmp_path / "whole", text if forced else SETTINGS)
    if forced:
        whole.tides.run()
    whole.due()
    whole.now += HOUR
    total = appends(whole, whole.due()[0], 0)
    assert total >= 3
    for number in range(1, total + 1):
        night = Night(tmp_path / f"{number}", text if forced else SETTINGS)
        if forced:
            night.tides.run()
        night.due()
        night.now += HOUR + 1
        (tick,) = night.due()
        done = len(night.events(Published))
        with pytest.raises(Killed):
            appends(night, tick, number)
        # Its lease is that of a process that lives: it expires.
        night.now += HOUR / 2
        assert night.run() == ["hourly 08T06:00"]
        assert night.run() == []
        ticks = [event.tick for event in night.events(Ticked) if isinstance(event, Ticked)]
        assert ticks == ["2026-03-08T06:00Z"]
        # What was published before the kill isn't computed again.
        assert len(night.events(Published)) - done == (1 if forced else 2)


def test_forced_ticks_that_run_late_each_do_their_work(night: Night) -> None:
    text = SETTINGS.replace(
        'stages = ["doubled"]', 'stages = ["doubled"]\nagain = true\ncatch_up = "all"'
    )
    night.declare(text.partition("[tool.tidemill.schedules.nightly]")[0])
    night.tides.run()
    night.due()
    night.now += 3 * HOUR
    before = len(night.events(Published))
    assert night.run() == ["hourly 08T06:00", "hourly 08T07:00", "hourly 08T08:00"]
    assert len(night.events(Published)) - before == 3


class Interrupting(NoProgress):
    """Somebody presses Ctrl-C when a step begins."""

    def started(self, step: Step) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_run_leaves_its_tick(night: Night) -> None:
    night.due()
    night.now += HOUR
    (tick,) = night.due()
    receipt = night.open().schedules.run(tick, progress=Interrupting())
    assert receipt.status is Status.INTERRUPTED
    assert night.due() == (tick,)


def test_a_failed_run_consumes_its_tick(night: Night) -> None:
    night.due()
    night.now += HOUR
    (tick,) = night.due()
    night.tides.send(0, (5_000.0,))
    assert night.open().schedules.run(tick).status is Status.FAILED
    assert night.due() == ()
    status = night.open().schedules.statuses(night.now)[0]
    assert (status.last_status, status.record.last and status.record.last.tick) == (
        Status.FAILED, "2026-03-08T06:00Z",
    )  # fmt: skip


@pytest.mark.parametrize("again", [False, True])
def test_a_failed_run_can_leave_its_tick(tmp_path: Path, again: bool) -> None:
    forced = SETTINGS.replace('stages = ["doubled"]', 'stages = ["doubled"]\nagain = true')
    night = Night(tmp_path, forced if again else SETTINGS)
    night.due()
    night.now += HOUR + 1
    (tick,) = night.due()
    night.tides.send(0, (5_000.0,))
    for _ in range(2):
        assert night.open().schedules.run(tick, retried=True).status is Status.FAILED
    # It outlives the process, and is consumed once it succeeds.
    assert night.due() == (tick,)
    night.tides.send(0)
    night.now += 60.0
    assert night.open().schedules.run(tick, retried=True).status is Status.OK
    assert night.due() == ()


def test_a_pause_is_recorded_and_ends(night: Night) -> None:
    night.due()
    schedules = night.open().schedules
    pause = schedules.pause("hourly", until="2h", reason=" moving ")
    assert (pause.at, pause.until, pause.reason) == (START, START + 2 * HOUR, "moving")
    assert schedules.statuses(night.now)[0].pause == pause
    night.now += HOUR
    assert night.due() == ()
    assert night.open().schedules.resume("hourly", reason="moved")
    assert not night.open().schedules.resume("hourly")
    night.now += HOUR
    assert "hourly 08T07:00" in night.run()
    assert night.events(SchedulePaused, ScheduleResumed) == [
        SchedulePaused(schedule="hourly", actor=USER, until=START + 2 * HOUR, reason="moving"),
        ScheduleResumed(schedule="hourly", actor=USER, reason="moved"),
    ]


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("2026-03-08T04:00", START + 3 * HOUR),
        ("2026-03-09", START + 23 * HOUR),
        ("1d", START + 24 * HOUR),
        (START + 5.0, START + 5.0),
    ],
)
def test_a_pause_ends_at_a_time_in_the_zone_of_its_schedule(
    night: Night, until: str, expected: float
) -> None:
    assert night.open().schedules.pause("nightly", until=until).until == expected


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("2020-01-01", "2020-01-01 is over"),
        (float("nan"), "nan is over"),
        ("soon", "until 'soon' is not a time: write 2d"),
        ("9000d", "9000d is more than ten years away"),
    ],
)
def test_a_pause_that_ends_at_no_time_to_come_is_refused(
    night: Night, until: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        night.open().schedules.pause("hourly", until=until)
    assert night.open().schedules.pause("hourly").until is None


def test_who_pauses_and_runs_needs_a_role(night: Night) -> None:
    night.declare(ROLES + SETTINGS.partition("flow")[2].partition("\n")[2])
    for act in (
        lambda: night.open("vera").schedules.pause("hourly"),
        lambda: night.open("vera").schedules.resume("hourly"),
        lambda: night.open("vera").schedules.due(night.now),
    ):
        with pytest.raises(AccessError, match=r"vera may not .* the role operator"):
            act()
    assert len(night.open("vera").schedules.upcoming(night.now)) == 2
    assert night.open("otto").schedules.pause("hourly").actor == "otto"
    with pytest.raises(AccessError, match="stranger may not read"):
        night.open("stranger").schedules.statuses(night.now)


def test_an_unknown_schedule_is_refused(night: Night) -> None:
    with pytest.raises(UsageError, match=r"there is no schedule 'nihtly' \(did you mean 'nightly'"):
        night.open().schedules.pause("nihtly")
    night.declare(SETTINGS.replace("America/New_York", "Mars"))
    with pytest.raises(DeclarationError, match="'Mars' is not a time zone"):
        night.open().schedules.resume("nightly")
    assert [each.schedule for each in night.open().schedules.upcoming(night.now)] == ["hourly"]


def test_next_ticks_are_in_a_zone_and_bounded(night: Night) -> None:
    schedules = night.open().schedules
    zone = schedules.schedule("nightly").zone
    ticks = schedules.next_ticks("nightly", night.now, 2)
    assert [f"{datetime.fromtimestamp(tick, zone):%d %H:%M}" for tick in ticks] == [
        "08 03:00", "09 02:30",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="0 is not a number of ticks"):
        schedules.next_ticks("nightly", night.now, 0)


def test_check_lists_all_faults_of_schedules_at_once(night: Night) -> None:
    bad = SETTINGS.replace('["doubled"]', '["double"]').replace("30 2", "75 2")
    night.declare(bad.replace("New_York", "New_Yrok") + 'train = ["daily"]\n')
    with pytest.raises(DeclarationError) as caught:
        night.open().check()
    text = str(caught.value)
    for words in (
        "schedules.hourly]: stages: there is no stage 'double' (did you mean 'doubled'?)",
        "cron: '75 2 * * *': minute '75' is not 0 to 59 (field 1, at character 1)",
        "timezone = 'America/New_Yrok' is not a time zone (did you mean 'America/New_York'?)",
    ):
        assert words in text
    # Who runs by hand isn't disturbed.
    assert night.open().run().exit_code == 0


def test_many_ticks_are_read_from_the_newest(night: Night) -> None:
    night.due()
    project = night.open()
    ticks: list[Event] = [
        Ticked(schedule="hourly", tick=f"{2000 + number // 12}-{number % 12 + 1:02}-01T00:00Z")
        for number in range(310)
    ]
    project.tools.ledger.append(ticks, now=night.now)
    schedules = project.schedules
    status = schedules.statuses(night.now)[0]
    assert len(status.record.ticks) == 100
    assert status.record.last is not None
    assert (status.record.last.tick, status.last_status) == ("2025-10-01T00:00Z", None)
    project.tools.ledger.append(
        [Ticked(schedule="hourly", tick="2026-01-01T00:00Z")], now=night.now
    )
    newest = schedules.statuses(night.now)[0].record.last
    assert newest is not None
    assert newest.tick == "2026-01-01T00:00Z"


def test_a_project_without_schedules_has_none(tmp_path: Path) -> None:
    night = Night(tmp_path, SETTINGS.partition("[tool.tidemill.schedules.hourly]")[0])
    assert night.due() == ()
    assert night.open().schedules.statuses(0.0) == ()
    assert night.open().check() is not None
