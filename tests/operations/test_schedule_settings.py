"""Schedules are read from the settings; all faults of all of them are found at once."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tidemill.core.errors import Fault
from tidemill.operations import schedule_settings
from tidemill.operations.cron import parse_cron
from tidemill.operations.schedule import CatchUp, Schedule, TickInterval
from tidemill.operations.schedule_settings import (
    DeclaredSchedules,
    fitting_schedules,
    parse_schedules,
)

PLACE = "pyproject.toml: [tool.tidemill.schedules"


def read(text: str) -> DeclaredSchedules:
    return parse_schedules(tomllib.loads(text), PLACE)


def only(text: str) -> Schedule:
    found = read(f"[nightly]\n{text}")
    assert found.faults == ()
    (schedule,) = found.schedules
    return schedule


def faults(text: str) -> list[str]:
    found = read(f"[nightly]\n{text}")
    assert found.schedules == ()
    assert {fault.where for fault in found.faults} == {f"{PLACE}.nightly]"}
    return [f"{fault.message} ({fault.hint})" for fault in found.faults]


def test_a_schedule_has_defaults() -> None:
    assert only('cron = "0 6 * * mon-fri"') == Schedule(
        name="nightly", rule=parse_cron("0 6 * * mon-fri"), zone=UTC
    )


def test_a_schedule_says_when_what_and_how() -> None:
    schedule = only(
        """
        every = "15m"
        timezone = "America/New_York"
        stages = ["features", "labels"]
        environment = "dev"
        catch_up = "all"
        catch_up_limit = 3
        grace = "10m"
        jitter = "5m"
        start = "2026-03-08T02:30"
        end = 2026-12-31
        again = true
        train = ["demand"]
        """
    )
    zone = ZoneInfo("America/New_York")
    # The clock skips 02:30 that night.
    start = datetime(2026, 3, 8, 3, tzinfo=zone).timestamp()
    assert schedule == Schedule(
        name="nightly",
        rule=TickInterval(text="15m", seconds=900, anchor=int(start)),
        zone=zone,
        timezone="America/New_York",
        stages=("features", "labels"),
        environment="dev",
        catch_up=CatchUp.ALL,
        limit=3,
        grace=600.0,
        jitter=300.0,
        start=start,
        end=datetime(2026, 12, 31, tzinfo=zone).timestamp(),
        again=True,
        train=("demand",),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"2026-01-01T06:00:00+02:00"', datetime(2026, 1, 1, 4, tzinfo=UTC)),
        ("2026-01-01T06:00:00Z", datetime(2026, 1, 1, 6, tzinfo=UTC)),
        ("2026-01-01T06:00:00", datetime(2026, 1, 1, 6, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_start_is_a_time_in_toml_or_text(text: str, expected: datetime) -> None:
    assert only(f'every = "1d"\nstart = {text}').start == expected.timestamp()


def test_zero_is_a_time_to_wait() -> None:
    assert only('cron = "@daily"\njitter = 0\ngrace = 0').grace == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'cron = "0 25 * * *"',
            "cron: '0 25 * * *': hour '25' is not 0 to 23 (field 2, at character 3) ()",
        ),
        ("", 'neither cron nor every is set (write cron = "0 6 * * *" or every = "15m")'),
        (
            'cron = "@daily"\nevery = "1d"',
            'cron and every can\'t be combined (write cron = "0 6 * * *" or every = "15m")',
        ),
        ("cron = 5", "cron = 5 is not text ()"),
        ('cron = ""', "cron is empty (write a value, or leave it out)"),
        ('every = ""', "every is empty (write a value, or leave it out)"),
        ('cron = "@daily"\ntimezone = ""', "timezone is empty (write a value, or leave it out)"),
        ('every = "90s"', "every = '90s' is not in whole minutes (seconds aren't supported)"),
        (
            'every = "often"',
            "every: 'often' is not a duration; write seconds, or text such as '90s' or '10m' ()",
        ),
        ('every = "10000d"', "every = '10000d' is longer than a year ()"),
        (
            'cron = "@daily"\ntimezone = "America/New_Yrok"',
            "timezone = 'America/New_Yrok' is not a time zone (did you mean 'America/New_York'?)",
        ),
        (
            'cron = "@daily"\ntimezone = "../etc/passwd"',
            "timezone = '../etc/passwd' is not a time zone (there is: ",
        ),
        ('cron = "@daily"\ncatch_up = "al"', "catch_up = 'al': did you mean 'all'? ()"),
        (
            'cron = "@daily"\ncatch_up_limit = 0',
            "catch_up_limit = 0 is not a number of runs from 1 to 1,000 ()",
        ),
        ('cron = "@daily"\nstage = ["a"]', "stage: did you mean 'stages'? ()"),
        (
            'cron = "@daily"\nstages = "a"',
            "stages = 'a' is not a list of names, such as [\"sales\"] ()",
        ),
        ('cron = "@daily"\nagain = "yes"', "again = 'yes' is not true or false ()"),
        (
            'cron = "@daily"\nstart = "tomorrow"',
            'start = \'tomorrow\' is not a time (write start = "2026-01-01" or "2026-01-01T06:00")',
        ),
        ('cron = "@daily"\nend = 0001-01-01', "end = datetime.date(1, 1, 1) is not a time"),
        (
            'cron = "@daily"\nstart = "2026-02-01"\nend = "2026-01-01"',
            "end = 2026-01-01 is before start = 2026-02-01 ()",
        ),
        ('every = "5m"\njitter = "5m"', "jitter = '5m' is not shorter than every = '5m' ()"),
        ('cron = "@daily"\nenvironment = ".dev"', "environment: '.dev' is not a valid name"),
    ],
)
def test_a_bad_entry_is_a_fault(text: str, expected: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(expected)


def test_all_faults_are_found_at_once() -> None:
    found = read(
        """
        good = {cron = "@daily"}
        flat = 5
        [bad]
        cron = "* *"
        timezone = "Mars"
        jitter = true
        ["odd name"]
        every = "1h"
        """
    )
    assert [schedule.name for schedule in found.schedules] == ["good"]
    assert [(fault.where[len(PLACE) + 1 : -1], fault.message.split()[0]) for fault in found.faults] == [
        ("flat", "5"), ("bad", "timezone"), ("bad", "cron:"), ("bad", "jitter:"), ("odd name", "'odd"),
    ]  # fmt: skip


def test_a_system_without_time_zones_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule_settings, "available_timezones", set)
    (fault,) = faults('cron = "@daily"\ntimezone = "Mars"')
    assert fault.endswith("(this system has no time zones: install the package tzdata)")


def test_stages_and_models_have_to_exist() -> None:
    declared = read(
        '[nightly]\ncron = "@daily"\nstages = ["sales", "sale"]\ntrain = ["sales", "demand"]'
    )
    found = fitting_schedules(declared, ["sales"], ["demand"], PLACE)
    assert found.schedules == ()
    assert [*found.faults] == [
        Fault(
            message="stages: there is no stage 'sale'",
            where=f"{PLACE}.nightly]",
            hint="did you mean 'sales'?",
        ),
        Fault(
            message="train: 'sales' is not a model",
            where=f"{PLACE}.nightly]",
            hint="there is: demand",
        ),
    ]
