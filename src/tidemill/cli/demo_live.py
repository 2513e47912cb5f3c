"""`tidemill demo --live`: replay a month of flights under `tidemill up`, about a day a second.

The clock of the project stands still while a day is worked on, and is moved to the next one afterwards.
"""

from __future__ import annotations

import json
import os
import selectors
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from tidemill.cli.demo_data import write_bad_batch, write_daily_files
from tidemill.cli.render.live_events import event_line
from tidemill.core.errors import TidemillError
from tidemill.core.extras import install_command
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.python_command import python_code, python_module
from tidemill.ledger.event import Event, Published, RunEnded
from tidemill.ledger.incident_events import IncidentOpened
from tidemill.ledger.off_peak import DeferredWork
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.project.clock import VARIABLE, set_clock
from tidemill.project.project import Project, open_project
from tidemill.project.up import can_show_console

_HISTORY = date(2013, 10, 1), date(2013, 11, 30)
_MONTH = date(2013, 12, 1), date(2013, 12, 31)
# The file of this day is cut off; it is sent again a day later. Nothing arrives for two days.
_CUT_OFF = date(2013, 12, 8)
# The day before this one is sent again, with damaged rows.
_SENT_AGAIN = date(2013, 12, 11)
_LATE = (date(2013, 12, 15), date(2013, 12, 16))
# On this day a change of the code is committed.
_CHANGED = date(2013, 12, 18)
_CHANGE = "max=150, unit", "max=120, unit"
# A day's files arrive an hour after it. So the newest are 49 hours old just before the next ones arrive.
_ARRIVAL = timedelta(days=1, hours=1)
_WITHIN = "50h"
# As long as a slow machine may take for a day.
_PATIENCE_S = 600.0
_MOMENT_S = 0.1
# Work that waits begins so long after its time, and a change is committed so long before files arrive.
_SOON_S, _COMMITTED_S = 60.0, 7_200.0
_SETTINGS = """
[tool.tidemill.up]
check_every = "1s"

[tool.tidemill.alerts.channels.log]
kind = "command"
command = {command}

[tool.tidemill.retention]
keep_for = "3d"
automatic = true

[tool.tidemill.offpeak]
zone = "America/New_York"
unit = "USD/CPU-h"

[tool.tidemill.offpeak.tariff]
price = 0.06
bands = [{{ from = "22:00", to = "06:00", price = 0.02 }}]

[tool.tidemill.scorecard]
deliver_within = "2d"
recover_within = "2d"
fresh = "95%"

[tool.tidemill.profiles.experiment]
sample = 0.2
budget = "6 CPU-seconds"
"""
# What receives an alert: it appends it to a file.
_RECEIVER = "import sys; open('alerts.jsonl', 'a').write(sys.stdin.read().strip() + '\\n')"
_AFTER = (
    ("status",),
    ("incidents", "list", "--since", "60d"),
    ("runs", "stages"),
    ("sweep", "--dry-run"),
    ("run", "--env", "more-rounds", "--create", "--profile", "experiment",
     "--param", "delay_model.rounds=2000", "--train", "delay_model"),
    ("costs",),
    ("scorecard",),
)  # fmt: skip


# Where to look first.
_LOOK = (
    "The console shows the month. Look first at Now: each line that is wrong leads to its cause."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDay:
    """A day of the replay: the days whose files arrive; it ends when `scored` are published, and a run
    has ended, or, if there are none, when an incident is opened.
    """

    day: date
    story: str
    arrivals: tuple[date, ...]
    scored: frozenset[str] = frozenset()
    is_cut_off: bool = False
    damaged: date | None = None


def replayed_days(first: date, last: date) -> Iterator[LiveDay]:
    """The days of the replay, with what happens on each."""
    waiting: tuple[date, ...] = ()
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day in _LATE:
            waiting = (*waiting, day)
            if day == _LATE[-1]:
                story = f"nothing has arrived for {len(waiting)} days"
                yield LiveDay(day=day, story=story, arrivals=())
        elif day == _CUT_OFF:
            yield LiveDay(
                day=day,
                story="the file of the flights is cut off",
                arrivals=(day,),
                is_cut_off=True,
            )
            waiting = (day,)
        else:
            story = f"sent again: {', '.join(map(str, waiting))}" if waiting else ""
            damaged = day - timedelta(days=1) if day == _SENT_AGAIN else None
            if damaged is not None:
                story = f"{damaged} is sent again, with damaged rows"
            yield LiveDay(
                day=day,
                story=story,
                arrivals=(*waiting, day),
                scored=frozenset(map(str, (*waiting, day))),
                damaged=damaged,
            )
            waiting = ()


def play_month(
    folder: Path, echo: Callable[[str], None], start: Callable[[Path, date, date], str]
) -> None:
    """Play a month in a new project in `folder`, which `start` fills with a template and a history.

    Raises TidemillError if a day isn't dealt with in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clock = folder / "clock"
    set_clock(clock, _arrival(_HISTORY[1]))
    echo(f"two months of history: {start(folder, *_HISTORY)}")
    _configure(folder)
    _commit(folder, _arrival(_HISTORY[1]) - _COMMITTED_S, "Predict how late flights arrive")
    environment = {**os.environ, VARIABLE: str(clock)}
    _command(folder, ("run",), environment, echo)
    with (
        _supervised(folder, environment) as wake,
        _clock_of(clock),
        open_project(folder) as project,
    ):
        replay = _Replay(project, wake, echo)
        for day in replayed_days(*_MONTH):
            set_clock(clock, _arrival(day.day))
            if day.day == _CHANGED:
                _change_code(folder)
                echo(f"            {day.day}: weather with more than 120 mph of wind is rejected")
            _send(folder, day)
            replay.play(day)
            while (work := replay.next_deferred(_arrival(day.day + timedelta(days=1)))) is not None:
                set_clock(clock, work.start + _SOON_S)
                replay.wait_for(work)
    echo("")
    for command in _AFTER:
        _command(folder, command, environment, echo)
    _show_console(folder, environment, echo)


class _Replay:
    """Tells what is recorded, day after day, until what is expected of the day has happened."""

    def __init__(
        self, project: Project, wake: Callable[[], None], echo: Callable[[str], None]
    ) -> None:
        self._ledger = project.tools.ledger
        self._wake = wake
        self._echo = echo
        self._seq = project.state().seq
        self._missing: set[str] = set()
        # What waits for a cheaper time.
        self._deferred: tuple[DeferredWork, ...] = ()

    def play(self, day: LiveDay) -> None:
        """Play a day; TidemillError if it doesn't end in time."""
        self._echo(f"{day.day:%a %d %b}  {day.story}".rstrip())
        self._missing = {*day.scored}
        self._wait(lambda: self._is_over(day), f"{day.day}")

    def next_deferred(self, before: float) -> DeferredWork | None:
        """The first work that waits for a cheaper time, if that is before another one (Unix seconds)."""
        soon = [work for work in self._deferred if work.start + _SOON_S < before]
        return min(soon, key=lambda work: work.start, default=None)

    def wait_for(self, work: DeferredWork) -> None:
        """Wait until work doesn't wait any more as it did; TidemillError if it isn't dealt with in time."""
        self._wait(lambda: self._is_done(work), work.name)

    def _wait(self, is_over: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not is_over():
            if time.monotonic() > end:
                raise TidemillError(
                    f"{what} wasn't dealt with in {_PATIENCE_S:.0f} s; look at up.log and "
                    "`tidemill status` in the project"
                )
            self._wake()

    def _is_done(self, work: DeferredWork) -> bool:
        for _ in self._events():
            pass
        return work not in self._deferred

    def _events(self) -> Iterator[Event]:
        """The events since those that were told, which are told as they are read."""
        for fact in self._ledger.events(after=self._seq):
            self._seq = fact.seq
            if isinstance(fact.event, WorkDeferred):
                self._deferred = fact.event.works
            if line := event_line(fact.event):
                self._echo(f"            {line}")
            yield fact.event

    def _is_over(self, day: LiveDay) -> bool:
        over = False
        for event in self._events():
            match event:
                case Published(stage="scored_flights", partition=partition):
                    self._missing.discard(partition)
                case RunEnded():
                    over = over or bool(day.scored and not self._missing)
                case IncidentOpened():
                    over = over or not day.scored
                case _:
                    pass
        return over


def _arrival(day: date) -> float:
    """When the files of a day arrive, in Unix seconds."""
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) + _ARRIVAL).timestamp()


def _send(folder: Path, day: LiveDay) -> None:
    """Let the files of a day arrive whole, the flights last: without them there is nothing to score."""
    with TemporaryDirectory(dir=folder) as sent:
        for each in day.arrivals:
            write_daily_files(Path(sent), first=each, last=each)
        if day.damaged is not None:
            name = f"flights/{day.damaged}.parquet"
            write_bad_batch(folder / "data" / name, Path(sent, name), seed=7)
        if day.is_cut_off:
            file = Path(sent, "flights", f"{day.day}.parquet")
            file.write_bytes(file.read_bytes()[:1000])
        for kind in ("weather", "flights"):
            for file in sorted(Path(sent, kind).glob("*.parquet")):
                file.replace(folder / "data" / kind / file.name)


def _configure(folder: Path) -> None:
    """Add to the project what the replay shows: how old data may be, and who is alerted."""
    command = json.dumps(python_code(_RECEIVER))
    with open(folder / "pyproject.toml", "a", encoding="utf-8") as file:
        file.write(_SETTINGS.format(command=command))
    workflow = folder / "flights.py"
    text = workflow.read_text(encoding="utf-8")
    rule = f'    freshness = tm.Freshness("date", within="{_WITHIN}")\n'
    workflow.write_text(
        text.replace("    volume = tm.Rows", f"{rule}    volume = tm.Rows", 1), encoding="utf-8"
    )


def _change_code(folder: Path) -> None:
    """Change a rule of the workflow, and commit that."""
    workflow = folder / "flights.py"
    text = workflow.read_text(encoding="utf-8")
    workflow.write_text(text.replace(*_CHANGE, 1), encoding="utf-8")
    _commit(folder, _arrival(_CHANGED) - _COMMITTED_S, "Reject storms that no airport has seen")


def _commit(folder: Path, at: float, subject: str) -> None:
    """Commit the workflow at a time of the replay (Unix seconds); without git nothing is known of changes."""
    date_of = f"@{at:.0f} +0000"
    environment = {
        **os.environ, "GIT_AUTHOR_DATE": date_of, "GIT_COMMITTER_DATE": date_of,
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
    }  # fmt: skip
    who = ("-c", "user.name=demo", "-c", "user.email=demo@localhost")
    with suppress(OSError):
        for arguments in (
            ("init", "--quiet"),
            ("add", "flights.py", "pyproject.toml"),
            (*who, "commit", "--quiet", "--message", subject),
        ):
            subprocess.run(("git", *arguments), cwd=folder, env=environment, check=False)


def _command(
    folder: Path,
    command: tuple[str, ...],
    environment: Mapping[str, str],
    echo: Callable[[str], None],
) -> None:
    echo(f"\n$ tidemill {' '.join(command)}")
    done = subprocess.run(
        python_module("tidemill", *command), cwd=folder, env=environment, check=False
    )
    if done.returncode:
        echo(f"(exit code {done.returncode})")


def _show_console(
    folder: Path, environment: Mapping[str, str], echo: Callable[[str], None]
) -> None:
    """Show the month in a browser until somebody stops it; where nobody would see the link, say how."""
    echo(f"\n{_LOOK}")
    if not can_show_console():
        echo(f"It needs some libraries: {install_command('starlette')}")
    elif sys.stdout.isatty():
        # Ctrl-C is for the console, which ends then.
        with suppress(KeyboardInterrupt):
            _command(folder, ("console",), environment, echo)
    else:
        echo(f"$ cd {shlex.quote(str(folder))} && {VARIABLE}=clock tidemill console")


@contextmanager
def _supervised(folder: Path, environment: Mapping[str, str]) -> Iterator[Callable[[], None]]:
    """Let `tidemill up` work beside; gives a function that waits until it says something, or a moment."""
    process = subprocess.Popen(
        python_module("tidemill", "up", "--no-console"),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    output = process.stdout.fileno()
    with selectors.DefaultSelector() as selector, open(folder / "up.log", "wb") as log:
        selector.register(output, selectors.EVENT_READ)

        def wait() -> None:
            if process.poll() is not None:
                raise TidemillError(
                    f"`tidemill up` ended with exit code {process.returncode}: see up.log"
                )
            if selector.select(_MOMENT_S):
                log.write(os.read(output, 65_536))
                log.flush()

        try:
            yield wait
        finally:
            process.terminate()
            log.write(process.communicate()[0])


@contextmanager
def _clock_of(file: Path) -> Iterator[None]:
    """Let this process go by the clock in a file."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(file)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
