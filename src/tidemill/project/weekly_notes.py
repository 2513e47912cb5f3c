"""The weekly note of a workflow: write it, keep it in the home, and send it once a week."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tidemill.core.errors import ConflictError, Fault, StorageError, TidemillError, UsageError
from tidemill.core.local_day import day_start
from tidemill.governance.page_text import markdown_page
from tidemill.governance.permissions import Permission
from tidemill.ledger.event import RunEnded
from tidemill.ledger.io.home_files import make_private_folder, open_private
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.ledger.note_events import NoteSent
from tidemill.ledger.off_peak import OffPeakSaving
from tidemill.ledger.workflow_scope import workflow_prefix
from tidemill.notices.channel_settings import Channel
from tidemill.notices.io.channels import channel_secrets, send_notice
from tidemill.notices.io.dispatch import dispatch
from tidemill.operations.io.metrics_reader import find_window
from tidemill.project.budget_status import open_spending, read_budgets
from tidemill.project.scorecard import Scorecards
from tidemill.project.workspace import Workspace
from tidemill.scorecard.scorecard_settings import SCORECARD_PLACE, WeeklyTime, channel_faults
from tidemill.scorecard.weekly_note import WEEKLY, WeeklyNote, weekly_note, weekly_notice
from tidemill.scorecard.weekly_time import (
    LATE_S,
    WeeklyTick,
    last_weekly_tick,
    next_weekly_tick,
)
from tidemill.workflow.environment import PRODUCTION, Environment

# All channels together may take so long, and one that accepted nothing is tried again after so long.
BUDGET_S, _AGAIN_S = 10.0, 600.0
_LEASE = "notes"
# Notes that are looked at to find out which channels have got one.
_NEWEST = 200
# The week that a note is about which nobody scheduled.
_MONDAY = WeeklyTime(weekday=0, hour=0, minute=0)


class WeeklyNotes:
    """Writes and sends the weekly notes of an environment."""

    def __init__(self, workspace: Workspace, scorecards: Scorecards) -> None:
        self._workspace, self._scorecards = workspace, scorecards
        # What was accepted but may not be recorded, and when something failed last.
        self._accepted: set[tuple[str, str]] = set()
        self._failed_at: float | None = None

    def write(self) -> WeeklyNote:
        """The note as of now; AccessError if the actor may not read."""
        now = self._workspace.tools.clock()
        return self._note(self._period(now), now)

    def keep(self, note: WeeklyNote) -> Path:
        """Keep a note as Markdown in the home, in place of an earlier one of that week; return the file.

        StorageError if it can't be written.
        """
        space, file = self._workspace, self._file(note.period)
        text = space.redactor.redact(markdown_page(note.page))
        try:
            make_private_folder(file.parent, below=space.home)
            with open(file, "w", encoding="utf-8", opener=open_private) as stream:
                stream.write(text)
        except OSError as error:
            raise StorageError(f"{file} can't be written: {error.strerror or error}") from error
        return file

    def send(self, note: WeeklyNote) -> tuple[str, ...]:
        """Send a note now by all channels, whether they have got it or not; return why some refused it.

        UsageError without channels. AccessError without the role.
        """
        self._workspace.require(Permission.MANAGE_INCIDENTS)
        for fault in self._unknown_channels():
            raise UsageError(str(fault))
        channels = self._channels()
        if not channels:
            raise UsageError(
                "no channel is configured: add [tool.tidemill.alerts.channels.NAME] to pyproject.toml"
            )
        return tuple(self._dispatch(note, channels))

    def send_due(self) -> tuple[str, ...]:
        """Keep and send the note of this week if it is due, once to each channel; return what failed.

        One process at a time does it, in production. What fails is tried again after a while, for three days.
        """
        tick = self._due_tick()
        if tick is None:
            return ()
        holder, now = this_process("notes"), self._workspace.tools.clock()
        ledger = self._workspace.tools.ledger
        try:
            self._workspace.require(Permission.MANAGE_INCIDENTS)
            lease = ledger.acquire(_LEASE, holder, now=now, ttl=2 * BUDGET_S, dead=is_dead)
        except ConflictError:
            # Another process sends it.
            self._failed_at = now
            return ()
        except TidemillError:
            self._failed_at = now
            raise
        try:
            return tuple(self._keep_and_send(tick.period, now)) if self._is_due(tick.period) else ()
        except TidemillError:
            self._failed_at = now
            raise
        finally:
            ledger.release(lease)

    def _keep_and_send(self, period: str, now: float) -> Iterator[str]:
        note = self._note(period, now)
        try:
            self.keep(note)
        except StorageError as error:
            # Who has to read it gets it all the same.
            self._failed_at = now
            yield f"the weekly note isn't kept: {error}"
        for fault in self._unknown_channels():
            yield f"no weekly note by an unknown channel: {fault}"
        yield from self._dispatch(note, self._due_channels(period))

    def due(self) -> float | None:
        """When there is a note to send (Unix seconds); None if notes aren't sent from here."""
        settings, now = self._workspace.settings.scorecard, self._workspace.tools.clock()
        if settings.weekly is None or not self._is_sender():
            return None
        if self._missing_tick(now) is None:
            return next_weekly_tick(settings.weekly, self._zone, now)
        again = self._next_try(now)
        return now if again is None else again

    @property
    def _zone(self) -> str:
        settings = self._workspace.settings
        return settings.scorecard.zone or settings.metrics.zone

    def _is_sender(self) -> bool:
        return self._workspace.environment == PRODUCTION

    def _period(self, now: float) -> str:
        """The week of the newest note that is due, or of the one before now."""
        weekly = self._workspace.settings.scorecard.weekly
        return last_weekly_tick(weekly or _MONDAY, self._zone, now).period

    def _due_tick(self) -> WeeklyTick | None:
        """The tick of the note that is to be sent now."""
        now = self._workspace.tools.clock()
        return self._missing_tick(now) if self._next_try(now) is None else None

    def _missing_tick(self, now: float) -> WeeklyTick | None:
        """The tick of a note that isn't kept, or not sent to all, and not too late."""
        weekly = self._workspace.settings.scorecard.weekly
        if weekly is None or not self._is_sender():
            return None
        tick = last_weekly_tick(weekly, self._zone, now)
        is_late = now - tick.at > LATE_S
        return None if is_late or not self._is_due(tick.period) else tick

    def _next_try(self, now: float) -> float | None:
        """Until when nothing is tried again, after a failure."""
        failed = self._failed_at
        return failed + _AGAIN_S if failed is not None and 0 <= now - failed < _AGAIN_S else None

    def _is_due(self, period: str) -> bool:
        return bool(self._due_channels(period)) or not _is_there(self._file(period))

    def _file(self, period: str) -> Path:
        space = self._workspace
        name = workflow_prefix(space.declared.name).rstrip("/")
        return space.home / "notes" / f"{name}-{space.environment}-{period}.md"

    def _channels(self) -> Sequence[Channel]:
        """The channels that get notes; names of which there is none are told elsewhere."""
        known = self._workspace.settings.alerts.channels
        names = self._workspace.settings.scorecard.channels
        return [known[name] for name in names or known if name in known]

    def _unknown_channels(self) -> Iterator[Fault]:
        settings = self._workspace.settings
        return channel_faults(
            settings.scorecard.channels, settings.alerts.channels, SCORECARD_PLACE
        )

    def _due_channels(self, period: str) -> list[Channel]:
        """The channels that haven't got the note of a week."""
        space = self._workspace
        facts = space.tools.ledger.events(kinds=(NoteSent.__name__,), newest=True, limit=_NEWEST)
        got = {
            fact.event.channel
            for fact in facts
            if isinstance(fact.event, NoteSent)
            and (fact.event.environment, fact.event.kind, fact.event.period)
            == (space.environment, WEEKLY, period)
        }
        return [
            channel
            for channel in self._channels()
            if channel.name not in got and (period, channel.name) not in self._accepted
        ]

    def _note(self, period: str, now: float) -> WeeklyNote:
        space = self._workspace
        environments = [
            each
            for each in space.tools.ledger.state(space.environment).environments.values()
            if not each.has_expired(now)
        ]
        card = self._scorecards.make()
        return weekly_note(
            card,
            period,
            environments,
            budgets=self._budgets(environments, now),
            savings=self._savings(day_start(card.first_day, card.zone)),
        )

    def _budgets(self, environments: Iterable[Environment], now: float) -> dict[str, list[str]]:
        """What was spent of the budgets of each environment, and of those of all ("")."""
        space, found = self._workspace, dict[str, list[str]]()
        spending = open_spending(space.settings, space.tools.ledger, space.declared.name)
        for each in environments:
            for status in read_budgets(space.settings, spending, each, now):
                own = found.setdefault(status.budget.environment, [])
                if str(status) not in own:
                    own.append(str(status))
        return found

    def _savings(self, since: float) -> list[OffPeakSaving]:
        """What runs saved by waiting."""
        ledger = self._workspace.tools.ledger
        facts = ledger.events(kinds=(RunEnded.__name__,), after=find_window(ledger, since))
        return [
            fact.event.receipt.off_peak
            for fact in facts
            if isinstance(fact.event, RunEnded)
            and fact.event.receipt is not None
            and fact.event.receipt.off_peak is not None
        ]

    def _dispatch(self, note: WeeklyNote, channels: Sequence[Channel]) -> Iterator[str]:
        """Send a note, and record at once which channel accepted it."""
        space = self._workspace
        space.redactor.learn(channel_secrets(channels))
        notice = weekly_notice(note)
        notices = [(channel, notice) for channel in channels]
        waiting = dict(enumerate(channels))
        now = space.tools.clock()
        for number, problem in dispatch(notices, send_notice, now=now, budget_s=BUDGET_S):
            channel = waiting.pop(number)
            if problem:
                self._failed_at = now
                yield f"no weekly note by {channel.name}: {problem}"
                continue
            self._accepted.add((note.period, channel.name))
            sent = NoteSent(
                environment=space.environment, kind=WEEKLY, period=note.period, channel=channel.name
            )
            space.tools.ledger.append([sent], now=space.tools.clock())
        for channel in waiting.values():
            self._failed_at = now
            yield f"no weekly note by {channel.name}: it didn't answer in time"


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:
        return False
