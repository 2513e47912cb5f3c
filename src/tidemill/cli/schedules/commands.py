"""`tidemill schedules list`, `next`, `run`, `pause` and `resume`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import command_line, project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time
from tidemill.cli.render.json_document import json_option, print_result, text_width
from tidemill.cli.render.plan_and_receipt import render_receipt
from tidemill.cli.render.schedules import schedule_entry, schedules_text, tick_entries, ticks_text
from tidemill.cli.request_options import parse_duration
from tidemill.cli.terminal.output import print_text
from tidemill.cli.terminal.progress_option import ProgressBars
from tidemill.core.errors import TidemillError, exit_severity
from tidemill.core.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from tidemill.core.errors import Fault
    from tidemill.ledger.run import Receipt
    from tidemill.operations.schedule import DueTick

_ALL_BROKEN = "no schedule runs: correct the faults"
_reason = click.option("--reason", default="", metavar="TEXT", help="Record why.")


@click.command("list")
@json_option
@project_options
def list_(as_json: bool) -> None:
    """List when each schedule is due next and why, and how the run of its last tick ended.

    Exits with 3 if schedules in the settings have faults; the others are listed.
    """
    with project_session() as project:
        now = project.tools.clock()
        found, faults = project.schedules.statuses(now), project.schedules.faults
    print_result(
        schedules_text(found, now) if found or not faults else _ALL_BROKEN,
        as_json,
        "tidemill.schedules/1",
        lambda: {
            "schedules": [schedule_entry(each) for each in found],
            "faults": [str(fault) for fault in faults],
        },
    )
    _exit_for(faults)


@click.command("next")
@click.argument("name")
@click.option("-n", "count", type=int, default=10, show_default=True, metavar="NUMBER",
              help="Show so many times.")  # fmt: skip
@json_option
@project_options
def next_(name: str, count: int, as_json: bool) -> None:
    """Show the next times of the schedule NAME, in its time zone and in UTC, as if it weren't paused.

    Marks where the clock of the time zone changes.
    """
    with project_session() as project:
        now = project.tools.clock()
        schedule = project.schedules.schedule(name)
        ticks = project.schedules.next_ticks(name, now, count)
    print_result(
        ticks_text(schedule, ticks, now),
        as_json,
        "tidemill.schedule_ticks/1",
        lambda: {"schedule": name, "ticks": tick_entries(schedule, ticks, now)},
    )


@click.command("run")
@click.argument("name", default="", metavar="[NAME]")
@click.option("--wait", default="0", callback=parse_duration, metavar="DURATION",
              help="Wait up to DURATION for another run to end, such as 30s or 5m.")  # fmt: skip
@json_option
@project_options
def run(name: str, wait: float, as_json: bool) -> None:
    """Run what is due now, of the schedule NAME or of all, one after the other, and print the receipts.

    A schedule counts from when this, or `tidemill up`, first sees it: the first time nothing is due. Call it
    from cron or a timer where `tidemill up` doesn't run.
    """
    with project_session() as project:
        if name:
            project.schedules.schedule(name)
        faults = project.schedules.faults
        ticks = [
            t for t in project.schedules.due(project.tools.clock()) if name in ("", t.schedule)
        ]
    done = [_run_tick(tick, wait) for tick in ticks]
    print_result(
        "\n\n".join(_text_of(each) for each in done)
        or "nothing is due; `tidemill schedules` shows what comes next",
        as_json,
        "tidemill.scheduled_runs/1",
        lambda: {"runs": done},
    )
    _exit_for(faults, max((each.exit_code for each in done), key=exit_severity, default=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRun:
    """The run of a tick, or the error that kept it from running."""

    tick: DueTick
    receipt: Receipt | None = None
    error: str = ""
    exit_code: int = 0


def _run_tick(tick: DueTick, wait: float) -> ScheduledRun:
    """Run a tick; an error keeps no other one from running."""
    try:
        with (
            project_session(tick.environment, begins=True) as project,
            ProgressBars(sys.stderr) as progress,
        ):
            receipt = project.schedules.run(
                tick, command=command_line(), wait_s=wait, progress=progress
            )
    except TidemillError as error:
        return ScheduledRun(tick=tick, error=str(error), exit_code=error.exit_code)
    return ScheduledRun(tick=tick, receipt=receipt, exit_code=receipt.exit_code)


def _text_of(done: ScheduledRun) -> str:
    result = f"error: {done.error}"
    if done.receipt is not None:
        result = render_receipt(done.receipt, text_width())
    return f"{done.tick.schedule} {done.tick.tick}: {done.tick.because}\n{result}"


@click.command("pause")
@click.argument("name")
@click.option("--until", metavar="TIME",
              help="Resume by itself at a time such as 2026-01-31T06:00 in the schedule's time zone, or "
              "after one such as 2d.")  # fmt: skip
@_reason
@json_option
@project_options
def pause(name: str, until: str | None, reason: str, as_json: bool) -> None:
    """Pause the schedule NAME: what is due meanwhile never runs."""
    with project_session() as project:
        made = project.schedules.pause(name, until=until, reason=reason)
    end = "until somebody resumes it" if made.until is None else f"until {local_time(made.until)}"
    why = f": {made.reason}" if made.reason else ""
    print_result(
        f"{name} is paused {end} by {made.actor}{why}",
        as_json,
        "tidemill.schedule_pause/1",
        lambda: {"schedule": name, "pause": made},
    )


@click.command("resume")
@click.argument("name")
@_reason
@json_option
@project_options
def resume(name: str, reason: str, as_json: bool) -> None:
    """Resume the schedule NAME, which counts from now on."""
    with project_session() as project:
        was_paused = project.schedules.resume(name, reason=reason)
        (upcoming,) = (
            each.upcoming
            for each in project.schedules.statuses(project.tools.clock())
            if each.schedule.name == name
        )
    state = "goes on" if was_paused else "wasn't paused"
    due = "" if upcoming.due is None else f"; it is due {local_time(upcoming.due)}"
    print_result(
        f"{name} {state}{due}",
        as_json,
        "tidemill.schedule_resumed/1",
        lambda: {"schedule": name, "was_paused": was_paused, "upcoming": upcoming},
    )


def _exit_for(faults: Sequence[Fault], code: int = 0) -> None:
    """Print the faults of schedules, and exit with a code if there is one."""
    for fault in faults:
        print_text(f"error: {fault}", err=True)
    click.get_current_context().exit(code or (3 if faults else 0))
