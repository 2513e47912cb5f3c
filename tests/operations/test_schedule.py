"""Every tick of a schedule runs once or is missed visibly, whatever clock, pauses and absences do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.schedule_events import ScheduleChanged, Ticked
from tidemill.operations.cron import Cron, parse_cron
from tidemill.operations.schedule import (
    MOST_COUNTED,
    MOST_KEPT,
    CatchUp,
    DueTick,
    Schedule,
    ScheduleDeclaration,
    SchedulePause,
    ScheduleRecord,
    TickInterval,
    active_pause,
    describe_pause,
    due_ticks,
    jitter_of,
    next_due,
    parse_tick,
    tick_name,
    upcoming_ticks,
)
from tidemill.operations.schedule_record import updated_records

HOUR, DAY = 3_600, 86_400
# 2026-01-01 00:00 UTC, a Thursday.
START = 1_767_225_600
HOURLY = Schedule(name="hourly", rule=TickInterval(text="1h", seconds=HOUR), zone=UTC)
DAILY = Schedule(name="daily", rule=parse_cron("0 6 * * *"), zone=UTC)


def recorded(schedule: Schedule, *ticks: float, since: float = START) -> ScheduleRecord:
    return declared_as(schedule.declared, *ticks, since=since)


def declared_as(declared: str, *ticks: float, since: float = START) -> ScheduleRecord:
    found = {"/srv/shop": ScheduleDeclaration(declared=declared, since=since)}
    return ScheduleRecord(declarations=found, ticks=ticks)


def due(schedule: Schedule, record: ScheduleRecord, now: float) -> tuple[DueTick, ...]:
    return due_ticks([schedule], {schedule.name: record}, now)


def hours(ticks: Sequence[DueTick]) -> list[float]:
    return [(tick.at - START) / HOUR for tick in ticks]


def test_a_tick_is_due_once_its_time_has_come() -> None:
    record = recorded(HOURLY)
    assert due(HOURLY, record, START + HOUR - 1) == ()
    (tick,) = due(HOURLY, record, START + HOUR)
    assert (tick.tick, tick.missed) == ("2026-01-01T01:00Z", 0)
    assert tick.because == "every 1h from 1970-01-01 00:00 UTC"
    assert due(HOURLY, recorded(HOURLY, START + HOUR), START + HOUR) == ()


@pytest.mark.parametrize(
    ("catch_up", "limit", "expected", "missed", "words"),
    [
        (CatchUp.LATEST, 10, [8], 7, "missed 7, runs 1, because catch_up = latest"),
        (CatchUp.ALL, 10, [1, 2, 3, 4, 5, 6, 7, 8], 0,
         "missed 0, runs 8 (of at most 10), because catch_up = all"),
        (CatchUp.ALL, 3, [6, 7, 8], 5, "missed 5, runs 3 (of at most 3), because catch_up = all"),
        (CatchUp.NONE, 10, [8], 7, "missed 7, runs 1, because catch_up = none"),
    ],
)  # fmt: skip
def test_missed_ticks_are_caught_up_as_the_policy_says(
    catch_up: CatchUp, limit: int, expected: list[float], missed: int, words: str
) -> None:
    schedule = replace(HOURLY, catch_up=catch_up, limit=limit)
    ticks = due(schedule, recorded(schedule), START + 8 * HOUR + 60)
    assert hours(ticks) == expected
    assert [tick.missed for tick in ticks] == [missed] + [0] * (len(expected) - 1)
    assert all(tick.because.endswith(f"; {words}") for tick in ticks)


def test_without_catching_up_a_late_tick_never_runs() -> None:
    schedule = replace(DAILY, catch_up=CatchUp.NONE)
    record, at = recorded(schedule), START + 6 * HOUR
    assert len(due(schedule, record, at + 300)) == 1
    assert due(schedule, record, at + 301) == ()
    upcoming = next_due(schedule, record, at + 301)
    assert upcoming.because == "0 6 * * * in UTC; missed 1, runs 0, because catch_up = none"
    assert upcoming.due == at + DAY
    assert next_due(schedule, record, at + 10).because == "0 6 * * * in UTC"


def test_a_long_absence_is_counted_up_to_a_bound() -> None:
    schedule = replace(HOURLY, rule=TickInterval(text="1m", seconds=60))
    (tick,) = due(schedule, recorded(schedule), START + 10 * 365 * DAY)
    assert tick.missed == MOST_COUNTED - 1
    assert "missed at least 999, runs 1" in tick.because


def test_a_schedule_counts_from_when_it_is_recorded_as_it_is() -> None:
    later = START + 30 * DAY
    assert due_ticks([DAILY], {}, later) == ()
    assert due(DAILY, ScheduleRecord(), later) == ()
    assert due(DAILY, declared_as("0 5 * * * in UTC"), later) == ()
    new = next_due(DAILY, None, later)
    assert new.due == later + 6 * HOUR
    assert new.because == (
        "0 6 * * * in UTC; it counts from when `tidemill up` or `tidemill schedules run` first sees it"
    )
    changed = next_due(DAILY, declared_as("other"), later)
    assert changed.because == "0 6 * * * in UTC; its declaration changed"


def test_what_a_schedule_runs_doesnt_change_its_ticks() -> None:
    assert replace(DAILY, stages=("sales",), jitter=60.0).declared == DAILY.declared
    bounded = replace(DAILY, start=float(START), end=float(START + DAY))
    assert bounded.declared == f"0 6 * * * in UTC {START} {START + DAY}"


def test_ticks_lie_between_start_and_end() -> None:
    schedule = replace(
        HOURLY, start=START + 3.0 * HOUR, end=START + 5.0 * HOUR, catch_up=CatchUp.ALL
    )
    record = recorded(schedule)
    assert upcoming_ticks(schedule, START, 9) == tuple(START + n * HOUR for n in (3, 4, 5))
    assert hours(due(schedule, record, START + DAY)) == [3, 4, 5]
    assert next_due(schedule, record, START).due == START + 3 * HOUR
    over = next_due(schedule, record, START + DAY)
    assert (over.due, over.because) == (
        None, "every 1h from 1970-01-01 00:00 UTC: it ended 2026-01-01 05:00 UTC",
    )  # fmt: skip
    bare = replace(DAILY, end=float(START + HOUR))
    assert next_due(bare, recorded(bare), START).because == "0 6 * * * in UTC: it has no tick left"


def test_a_pause_skips_what_comes_in_it() -> None:
    pause = SchedulePause(at=START + 1.0, actor="ana", until=START + 3.5 * HOUR, reason="moving")
    paused = replace(recorded(HOURLY), pause=pause)
    assert due(HOURLY, paused, START + 3 * HOUR) == ()
    assert hours(due(HOURLY, paused, START + 4 * HOUR)) == [4]
    assert due(HOURLY, paused, START + 4 * HOUR)[0].missed == 0
    upcoming = next_due(HOURLY, paused, START + 2 * HOUR)
    assert upcoming.due == START + 4 * HOUR
    assert upcoming.because.endswith("; paused until 2026-01-01 03:30 UTC by ana: moving")
    assert active_pause(paused, START + 4 * HOUR) is None


def test_a_pause_without_an_end_lasts_until_somebody_resumes() -> None:
    paused = replace(recorded(HOURLY), pause=SchedulePause(at=START + 1.0, actor="ana"))
    assert due(HOURLY, paused, START + DAY) == ()
    assert next_due(HOURLY, paused, START + DAY) == replace(
        next_due(HOURLY, paused, START), due=None, because="paused by ana"
    )
    assert describe_pause(SchedulePause(at=0.0, actor="ana", reason="so")) == "paused by ana: so"
    resumed = replace(paused, pause=None, resumed=START + 3.5 * HOUR)
    assert hours(due(HOURLY, resumed, START + 5 * HOUR)) == [5]


def test_jitter_delays_a_tick_always_by_the_same_time() -> None:
    schedule = replace(HOURLY, jitter=600.0)
    ticks = upcoming_ticks(schedule, START, 50)
    delays = [jitter_of(schedule, tick) for tick in ticks]
    assert delays == [jitter_of(schedule, tick) for tick in ticks]
    assert len({*delays}) > 40
    assert all(0 <= delay < 600 for delay in delays)
    assert jitter_of(replace(schedule, name="other"), ticks[0]) != delays[0]
    record, first = recorded(schedule), ticks[0] + delays[0]
    assert due(schedule, record, first - 1) == ()
    assert next_due(schedule, record, ticks[0]).due == first
    (tick,) = due(schedule, record, first)
    assert (tick.at, tick.due) == (ticks[0], first)
    assert jitter_of(replace(schedule, jitter=0.5), ticks[0]) == 0


def test_ticks_of_several_schedules_come_by_the_time_at_which_they_were_due() -> None:
    forced = replace(DAILY, again=True, train=("demand",), stages=("sales",), environment="dev")
    records = {"hourly": recorded(HOURLY), "daily@dev": recorded(forced)}
    found = due_ticks([HOURLY, forced], records, START + 7 * HOUR)
    assert [tick.schedule for tick in found] == ["daily", "hourly"]
    assert (found[0].again, found[0].train) == (True, ("demand",))
    assert (found[0].stages, found[0].train, found[0].environment) == (
        ("sales",),
        ("demand",),
        "dev",
    )


@pytest.mark.parametrize(
    ("at", "name"),
    [(START, "2026-01-01T00:00Z"), (START + 61, "2026-01-01T00:01:01Z")],
)
def test_a_tick_is_named_by_its_time_in_utc(at: int, name: str) -> None:
    assert tick_name(at) == name
    assert parse_tick(name) == at


@pytest.mark.parametrize("name", ["nightly", "2026-01-01T00:00", "2026-13-01T00:00Z"])
def test_another_text_is_no_tick(name: str) -> None:
    assert parse_tick(name) is None


def test_a_clock_that_is_put_back_repeats_nothing_and_goes_on() -> None:
    ran = [START + n * HOUR for n in range(1, 6)]
    record = recorded(HOURLY, *ran)
    # Back from 05:10 to 03:30: 04:00 and 05:00 ran already.
    for now in (START + 3.5 * HOUR, START + 4 * HOUR, START + 5.5 * HOUR):
        assert due(HOURLY, record, now) == ()
    assert next_due(HOURLY, record, START + 3.5 * HOUR).due == START + 6 * HOUR
    assert hours(due(HOURLY, record, START + 6 * HOUR)) == [6]


def test_a_clock_that_was_ahead_for_a_while_loses_no_tick_after_that() -> None:
    # At 02:00 the clock said "tomorrow, 02:00" for a moment.
    record = recorded(HOURLY, START + HOUR, START + 26 * HOUR)
    assert hours(due(HOURLY, record, START + 3 * HOUR)) == [3]


def test_a_clock_before_all_that_is_kept_repeats_nothing() -> None:
    ran = [START + DAY + n * HOUR for n in range(MOST_KEPT)]
    record = recorded(HOURLY, *ran)
    assert due(HOURLY, record, START + 5 * HOUR) == ()
    assert hours(due(HOURLY, recorded(HOURLY, *ran[:3]), START + 5 * HOUR)) == [5]


@pytest.mark.parametrize("name", ["America/New_York", "Australia/Lord_Howe"])
def test_an_interval_counts_elapsed_time_through_clock_changes(name: str) -> None:
    rule = TickInterval(text="6h", seconds=6 * HOUR, anchor=START + 1_800)
    ticks = [*islice(rule.after(START, ZoneInfo(name)), 1_500)]
    assert {later - tick for tick, later in pairwise(ticks)} == {6 * HOUR}
    assert ticks[0] == START + 1_800
    assert [*islice(rule.before(ticks[-1], ZoneInfo(name)), 1_500)] == ticks[::-1]


RULES: st.SearchStrategy[Cron | TickInterval] = st.sampled_from(
    [
        TickInterval(text="15m", seconds=900),
        TickInterval(text="7h", seconds=7 * HOUR, anchor=START + 420),
        parse_cron("*/30 * * * *"),
        parse_cron("30 1,2 * * *"),
        parse_cron("0 6 * * mon-fri"),
    ]
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    zone = draw(st.sampled_from(["Etc/UTC", "Europe/Berlin", "Australia/Lord_Howe"]))
    return Schedule(
        name="s",
        rule=draw(RULES),
        zone=ZoneInfo(zone),
        timezone=zone,
        catch_up=draw(st.sampled_from(CatchUp)),
        limit=draw(st.integers(1, 4)),
        jitter=draw(st.sampled_from((0.0, 300.0))),
    )


class History:
    """A supervisor that may be killed at any moment, with a ledger that keeps what was committed."""

    def __init__(self, schedule: Schedule, now: float) -> None:
        self.schedule, self.records, self.seq = schedule, dict[str, ScheduleRecord](), 0
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.append(ScheduleChanged(schedule="s", declared=schedule.declared), now)

    def append(self, event: Ticked | ScheduleChanged, now: float) -> None:
        self.seq += 1
        fact = RecordedEvent(seq=self.seq, at=now, event=event)
        self.records = updated_records(self.records, [fact])

    def work(self, now: float, kill_after: int) -> None:
        """Run what is due; be killed before the run number `kill_after` ends."""
        for number, tick in enumerate(due_ticks([self.schedule], self.records, now)):
            self.begun.append(tick.tick)
            if number == kill_after:
                return
            assert tick.tick not in self.ended
            self.ended.append(tick.tick)
            event = Ticked(schedule="s", tick=tick.tick, run=f"r{self.seq}", missed=tick.missed)
            self.append(event, now)


@settings(deadline=None)
@given(
    schedule=schedules(),
    steps=st.lists(
        st.tuples(
            st.sampled_from((60, 900, HOUR, 5 * HOUR, 3 * DAY, -HOUR, -60)), st.integers(0, 3)
        ),
        max_size=30,
    ),
    begin=st.integers(0, 300),
)
def test_kills_and_clock_jumps_repeat_no_tick_and_lose_none_that_runs_late(
    schedule: Schedule, steps: list[tuple[int, int]], begin: int
) -> None:
    now = float(START + begin * DAY)
    history = History(schedule, now)
    for step, kill_after in steps:
        now += step
        history.work(now, kill_after)
    history.work(now, kill_after=1_000)
    assert len({*history.ended}) == len(history.ended)
    left = due_ticks([schedule], history.records, now)
    assert left == ()
    # What began and was killed either ended later, or newer ticks stand for it.
    newest = max(map(parse_tick_surely, history.ended), default=0.0)
    for tick in {*history.begun} - {*history.ended}:
        late = schedule.catch_up is CatchUp.NONE
        assert late or parse_tick_surely(tick) < newest


@settings(deadline=None)
@given(schedule=schedules(), begin=st.integers(0, 300), polls=st.integers(1, 40))
def test_a_schedule_that_is_watched_runs_every_tick_once(
    schedule: Schedule, begin: int, polls: int
) -> None:
    """Whoever looks every minute runs all ticks, whatever the policy for catching up is."""
    now = float(START + begin * DAY)
    history, expected = History(schedule, now), upcoming_ticks(schedule, now, polls)
    for tick in expected:
        at = tick + jitter_of(schedule, tick)
        assert next_due(schedule, history.records["s"], at - 1.0).due == at
        history.work(at, kill_after=1_000)
    assert [*map(parse_tick_surely, history.ended)] == [*expected]


def parse_tick_surely(name: str) -> float:
    found = parse_tick(name)
    assert found is not None
    return found


def test_a_schedule_may_be_due_once_in_a_lifetime() -> None:
    rare = replace(DAILY, rule=parse_cron("0 0 29 2 *"))
    assert upcoming_ticks(rare, START, 1_000)[-1] == datetime(2064, 2, 29, tzinfo=UTC).timestamp()
    assert due(rare, recorded(rare, since=-2e9), -1e9)[0].tick == "1936-02-29T00:00Z"
    assert due(rare, recorded(rare, since=float("-inf")), START)[0].missed == 9


def test_the_newest_tick_is_named_in_a_zone_too() -> None:
    berlin = replace(DAILY, zone=ZoneInfo("Europe/Berlin"), timezone="Europe/Berlin")
    (tick,) = due(berlin, recorded(berlin), START + 6 * HOUR)
    assert datetime.fromtimestamp(tick.at, berlin.zone).hour == 6
    assert tick.because == "0 6 * * * in Europe/Berlin"
