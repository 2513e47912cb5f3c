"""`tidemill schedules`: what is due next and why, what ran, and people who pause it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Ended, edit, in_labels, tidemill
from tests.support.users import USER
from tidemill.ports.runtime import Runtime
from tidemill.project import workspace
from tidemill.project.composition import open_tools

HOUR = 3_600
# 2026-10-31 12:00 in New York, the day before its clock shows half past one twice.
START = 1_793_462_400.0
SCHEDULES = """
[tool.tidemill.schedules.nightly]
cron = "30 1 * * *"
timezone = "America/New_York"
stages = ["labels"]

[tool.tidemill.schedules.quick]
every = "30m"
environment = "dev"
"""


class Clock:
    """What all commands of a test take for the time."""

    now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(built: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    def opened(*arguments: Any, **options: Any) -> Runtime:
        return replace(open_tools(*arguments, **options), clock=clock)

    monkeypatch.setattr(workspace, "open_tools", opened)
    file = built / "pyproject.toml"
    file.write_text(file.read_text() + SCHEDULES)
    return clock


def ok(*words: str) -> Ended:
    ended = tidemill(*words)
    assert ended.code == 0, ended
    return ended


def test_schedules_are_listed_with_what_comes_next(clock: Clock) -> None:
    assert "it counts from when `tidemill up`" in ok("schedules").out
    assert "nothing is due" in ok("schedules", "run").out
    lines = ok("schedules", "list").out.splitlines()
    assert lines[0].split() == ["schedule", "next", "due", "in", "runs", "because"]
    assert lines[1].startswith("nightly ")
    assert lines[1].endswith("labels  30 1 * * * in America/New_York")
    (nightly, quick) = ok("schedules", "--json").document["schedules"]
    assert (nightly["next_due"], nightly["next_tick"]) == (START + 13.5 * HOUR, "2026-11-01T05:30Z")
    assert (quick["timing"], quick["environment"]) == ("every 30m from 1970-01-01 00:00 UTC", "dev")


def test_what_is_due_runs_in_its_environment(clock: Clock) -> None:
    ok("schedules", "run")
    ok("env", "create", "dev")
    clock.now += 13.6 * HOUR
    assert "now (1 tick)" in ok("schedules").out
    found = ok("schedules", "run", "nightly", "--json").document["runs"]
    assert [(run["tick"]["tick"], run["receipt"]["status"]) for run in found] == [
        ("2026-11-01T05:30Z", "ok")
    ]
    ended = ok("schedules", "run").out
    assert "quick 2026-11-01T05:30Z: every 30m" in ended
    assert "missed 26, runs 1, because catch_up = latest" in ended
    listed = ok("schedules").out
    assert "last tick" in listed
    assert f"ok in run {found[0]['receipt']['run']}" in listed
    assert "nothing is due" in ok("schedules", "run").out


def test_the_next_times_show_what_the_clock_does(clock: Clock) -> None:
    lines = ok("schedules", "next", "nightly", "-n", "2").out.splitlines()
    assert lines[0].split() == ["in", "America/New_York", "in", "UTC", "note"]
    assert lines[1].split("  ") == [
        "Sun 2026-11-01 01:30 -0400", "2026-11-01 05:30", "the first of two 01:30",
    ]  # fmt: skip
    assert lines[2].endswith("2026-11-02 06:30  the clock went back by 1 hour")
    document = ok("schedules", "next", "quick", "-n", "1", "--json").document
    assert document["ticks"] == [
        {
            "tick": START + HOUR / 2, "local": "Sat 2026-10-31 16:30 +0000",
            "utc": "2026-10-31 16:30", "note": "",
        }
    ]  # fmt: skip


def test_a_schedule_is_paused_and_resumed(clock: Clock) -> None:
    ok("schedules", "run")
    ended = ok("schedules", "pause", "quick", "--until", "2d", "--reason", "moving")
    assert ended.out.startswith("quick is paused until 2026-11-0")
    assert ended.out.endswith(f"by {USER}: moving\n")
    assert f"by {USER}: moving" in ok("schedules").out
    assert ok("schedules", "resume", "quick").out.startswith("quick goes on; it is due 2026-10-31")
    assert ok("schedules", "resume", "quick", "--json").document["was_paused"] is False
    made = ok("schedules", "pause", "quick", "--json").document["pause"]
    assert (made["until"], made["actor"]) == (None, USER)
    assert f"paused by {USER}" in ok("schedules").out
    ok("schedules", "pause", "nightly")
    assert "until somebody resumes it" in ok("schedules", "pause", "nightly").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("next nihtly", "there is no schedule 'nihtly' (did you mean 'nightly'?)"),
        ("run nihtly", "there is no schedule 'nihtly' (did you mean 'nightly'?)"),
        ("next nightly -n 0", "0 is not a number of ticks from 1 to 1,000"),
        ("pause quick --until 2020-01-01", "2020-01-01 is over"),
    ],
)
def test_bad_arguments_are_refused(clock: Clock, words: str, message: str) -> None:
    ended = tidemill("schedules", *words.split())
    assert (ended.code, message in ended.err) == (2, True), ended


def test_faults_are_shown_beside_the_schedules_without_any(clock: Clock, built: Path) -> None:
    edit(built / "pyproject.toml", "30 1 * * *", "30 1 30 2 *")
    for words in (("schedules",), ("schedules", "run")):
        ended = tidemill(*words)
        assert ended.code == 3
        assert "error: " in ended.err
        assert "schedules.nightly]: cron: '30 1 30 2 *' is never due" in ended.err
    document = tidemill("schedules", "--json").document
    assert [each["name"] for each in document["schedules"]] == ["quick"]
    assert len(document["faults"]) == 1
    zone = datetime.fromtimestamp(document["schedules"][0]["next_due"]).astimezone().tzname()
    assert f" {zone} " in tidemill("schedules").out
    checked = tidemill("check")
    assert checked.code == 3
    assert "is never due" in checked.err + checked.out
    edit(built / "pyproject.toml", 'every = "', 'every = "x')
    assert tidemill("schedules").out == "no schedule runs: correct the faults\n"


def test_an_error_keeps_no_other_schedule_from_running(clock: Clock) -> None:
    ok("schedules", "run")
    clock.now += 14 * HOUR
    ended = tidemill("schedules", "run", "--json")
    assert ended.code == 2, ended
    nightly, quick = ended.document["runs"]
    assert (nightly["receipt"]["status"], nightly["error"]) == ("ok", "")
    assert (quick["receipt"], quick["exit_code"]) == (None, 2)
    assert "error: there is no environment 'dev'" in tidemill("schedules", "run").out


def test_a_failed_run_is_the_exit_code(clock: Clock, built: Path) -> None:
    ok("schedules", "run")
    clock.now += 13.6 * HOUR
    in_labels(built, 'raise ValueError("no")')
    ended = tidemill("schedules", "run", "nightly")
    assert ended.code == 1, ended
    assert "failed in run" in ok("schedules").out


def test_a_project_without_schedules_says_how_to_declare_one(built: Path) -> None:
    assert "[tool.tidemill.schedules.nightly]" in ok("schedules").out
    assert ok("schedules", "--json").document["schedules"] == []


def test_a_schedule_that_ended_has_no_times(clock: Clock, built: Path) -> None:
    edit(built / "pyproject.toml", 'every = "30m"', 'every = "30m"\nend = 2026-01-01')
    assert ok("schedules", "next", "quick").out == (
        "quick has no tick left (every 30m from 1970-01-01 00:00 UTC)\n"
    )
