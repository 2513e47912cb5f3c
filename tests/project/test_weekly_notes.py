"""Weekly notes: kept in the home, and sent once a week to each channel, whoever does it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.notice_servers import Hook, hook
from tests.support.tides import Tides, flow_of
from tidemill.core.errors import AccessError, StorageError, UsageError
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.note_events import NoteSent
from tidemill.notices.channel_settings import Channel, ChannelKind
from tidemill.operations.alert_settings import AlertSettings
from tidemill.project.project import Project, open_project
from tidemill.scorecard.scorecard_settings import ScorecardSettings, WeeklyTime

DAY = 86_400.0
MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp()


class Weeks:
    """A project whose clock is set, and that sends a note on Mondays at 8."""

    def __init__(self, root: Path, server: Hook) -> None:
        self.tides, self.server, self.now = Tides(root), server, MONDAY
        self.tides.use(clock=lambda: self.now)
        channel = Channel(name="team", kind=ChannelKind.WEBHOOK, address=server.address)
        self.alerts = AlertSettings(channels={"team": channel})
        self.settings = ScorecardSettings(weekly=WeeklyTime(weekday=0, hour=8, minute=0))

    @contextmanager
    def opened(self, environment: str = "prod") -> Iterator[Project]:
        tides = self.tides
        project = open_project(
            tides.root, workflow=flow_of(tides.root, tides.text), env=environment
        )
        project.workspace.tools = tides.change(project.tools)
        space = project.workspace
        space.settings = replace(
            space.settings,
            tables={**space.settings.tables, "alerts": self.alerts, "scorecard": self.settings},
        )
        try:
            yield project
        finally:
            project.close()

    def send_due(self, after: float = 0.0) -> tuple[str, ...]:
        """What another process does after some seconds; what was refused."""
        self.now += after
        with self.opened() as project:
            return project.weekly_notes.send_due()

    def due(self) -> float | None:
        with self.opened() as project:
            return project.weekly_notes.due()

    @property
    def sent(self) -> list[tuple[str, str]]:
        events = self.tides.events(NoteSent.__name__)
        return [(e.period, e.channel) for e in events if isinstance(e, NoteSent)]

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.tides.root.glob("**/notes/*"))


@pytest.fixture
def weeks(tmp_path: Path) -> Iterator[Weeks]:
    with hook() as server:
        yield Weeks(tmp_path, server)


def test_a_note_is_sent_once_a_week(weeks: Weeks) -> None:
    weeks.tides.run()
    assert weeks.due() == MONDAY
    for hours in (0.0, 1.0, 24.0):
        assert weeks.send_due(hours * 3_600) == ()
    assert weeks.sent == [("2026-W48", "team")]
    assert weeks.files == ["tides-prod-2026-W48.md"]
    assert weeks.due() == MONDAY + 7 * DAY
    weeks.now = MONDAY + 7 * DAY
    assert weeks.send_due() == ()
    assert weeks.sent[1:] == [("2026-W49", "team")]
    first, second = (json.loads(body) for _, _, body in weeks.server.got)
    assert (first["period"], second["period"]) == ("2026-W48", "2026-W49")


def test_a_late_note_is_sent_and_an_old_one_is_not(weeks: Weeks) -> None:
    weeks.now = MONDAY + 2 * DAY
    assert weeks.due() == weeks.now
    weeks.now = MONDAY + 4 * DAY
    assert weeks.due() == MONDAY + 7 * DAY
    assert weeks.send_due() == ()
    assert (weeks.sent, weeks.files) == ([], [])


def test_two_processes_at_once(weeks: Weeks) -> None:
    weeks.tides.run()
    with weeks.opened() as project:
        ledger = project.tools.ledger
        lease = ledger.acquire(
            "notes", this_process("another"), now=weeks.now, ttl=60.0, dead=lambda _: False
        )
        assert project.weekly_notes.send_due() == ()
        assert project.weekly_notes.due() == MONDAY + 600
        ledger.release(lease)
    assert weeks.server.got == []
    with weeks.opened() as one, weeks.opened() as other:
        one.weekly_notes.send_due()
        other.weekly_notes.send_due()
    assert len(weeks.server.got) == 1


def test_what_is_refused_is_tried_again_later(weeks: Weeks) -> None:
    weeks.server.status = 503
    with weeks.opened() as project:
        notes = project.weekly_notes
        [problem] = notes.send_due()
        assert problem == "no weekly note by team: it answered with status 503"
        assert notes.send_due() == ()
        assert notes.due() == MONDAY + 600
        weeks.now += 601
        weeks.server.status = 200
        assert notes.due() == weeks.now
        assert notes.send_due() == ()
    assert len(weeks.server.got) == 2
    assert weeks.sent == [("2026-W48", "team")]


def test_without_channels_it_is_only_kept(weeks: Weeks) -> None:
    weeks.alerts = AlertSettings()
    assert weeks.send_due() == ()
    assert weeks.files == ["tides-prod-2026-W48.md"]
    assert weeks.due() == MONDAY + 7 * DAY
    with weeks.opened() as project, pytest.raises(UsageError, match="no channel is configured"):
        project.weekly_notes.send(project.weekly_notes.write())


def test_an_unknown_channel_is_told_and_stops_nothing(weeks: Weeks) -> None:
    weeks.settings = replace(weeks.settings, channels=("tean", "team"))
    assert weeks.due() == MONDAY
    (problem,) = weeks.send_due()
    assert "there is no channel 'tean' (did you mean 'team'" in problem
    assert weeks.sent == [("2026-W48", "team")]
    assert weeks.due() == MONDAY + 7 * DAY
    with weeks.opened() as project, pytest.raises(UsageError, match="no channel 'tean'"):
        project.weekly_notes.send(project.weekly_notes.write())


def test_a_channel_that_refuses_for_days_is_given_up(weeks: Weeks) -> None:
    weeks.server.status = 503
    weeks.now = MONDAY + 3 * DAY - 1
    with weeks.opened() as project:
        assert len(project.weekly_notes.send_due()) == 1
        weeks.now += 3_600
        assert project.weekly_notes.due() == MONDAY + 7 * DAY


def test_who_may_not_send_is_not_asked_again_at_once(weeks: Weeks) -> None:
    with weeks.opened() as project:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(project.workspace, "require", refuse)
            with pytest.raises(AccessError):
                project.weekly_notes.send_due()
        assert project.weekly_notes.due() == MONDAY + 600
        weeks.now += 600
        assert project.weekly_notes.send_due() == ()
    assert weeks.sent == [("2026-W48", "team")]


def refuse(*_: object) -> None:
    raise AccessError("not allowed")


def test_only_production_sends(weeks: Weeks) -> None:
    weeks.tides.run()
    with weeks.opened("dev") as project:
        project.run(raise_on_failure=False)
        assert project.weekly_notes.due() is None
        assert project.weekly_notes.send_due() == ()
        assert project.weekly_notes.write().card.environment == "dev"


def test_nothing_is_due_without_the_setting(weeks: Weeks) -> None:
    weeks.settings = ScorecardSettings()
    assert weeks.due() is None
    with weeks.opened() as project:
        note = project.weekly_notes.write()
        assert note.period == "2026-W48"
        assert project.weekly_notes.send(note) == ()
    assert len(weeks.server.got) == 1


def test_a_home_that_cannot_be_written(weeks: Weeks) -> None:
    with weeks.opened() as project:
        note = project.weekly_notes.write()
        (project.home / "notes").write_text("no folder")
        with pytest.raises(StorageError, match=r"2026-W48.md can't be written"):
            project.weekly_notes.keep(note)
        (problem,) = project.weekly_notes.send_due()
        assert problem.startswith("the weekly note isn't kept: ")
        # Channels have got it, and nothing is tried again at once.
        assert weeks.sent == [("2026-W48", "team")]
        assert project.weekly_notes.send_due() == ()
        assert project.weekly_notes.due() == MONDAY + 600
        weeks.now += 600
        (project.home / "notes").unlink()
        assert project.weekly_notes.send_due() == ()
    assert weeks.files == ["tides-prod-2026-W48.md"]
    assert len(weeks.server.got) == 1


def test_a_folder_that_cannot_be_looked_into(weeks: Weeks, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    weeks.tides.run()
    with weeks.opened() as project:
        monkeypatch.setattr(Path, "exists", denied)
        assert project.weekly_notes.due() == MONDAY
