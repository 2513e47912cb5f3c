"""Checks of a project: incidents open and close by what its ledger tells, and real channels are alerted."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.notice_servers import Hook, hook, mail
from tests.support.tides import Tides
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import (
    AccessError,
    ConflictError,
    SendError,
    StorageError,
    UsageError,
)
from tidemill.governance.role_settings import parse_grants
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ReviewClosed, ReviewOpened
from tidemill.ledger.incident import ClosingReason, IncidentChange
from tidemill.ledger.incident_events import (
    AlertFailed,
    AlertSent,
    IncidentChanged,
    IncidentClosed,
    IncidentOpened,
)
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.review import ReviewOutcome
from tidemill.notices.channel_settings import Channel, ChannelKind, EmailSettings
from tidemill.operations.alert_settings import AlertSettings
from tidemill.operations.io import activity_reader as module
from tidemill.operations.io.up_files import forget_killed, killed_at, remove_dead_reports
from tidemill.operations.problem import Problem, ProblemKind, ProblemSeverity, problem_key
from tidemill.operations.up_report import UpReport, UpRole
from tidemill.project.alerts import AlertReport
from tidemill.project.project import Project
from tidemill.testing import records

DAY = 86_400.0
# As long as the threads live, nothing waits for so long.
LONG = 3_600.0
# An expression of the right type that fails on every value.
BROKEN = '(value.cast(pl.String) + "x").cast(pl.Int64).cast(pl.Float64)'


class Sea:
    """A project whose clock is set, and that alerts a hook."""

    def __init__(self, root: Path, server: Hook) -> None:
        self.tides, self.server, self.now = Tides(root), server, 1_800_000_000.0
        self.tides.use(clock=lambda: self.now)
        channel = Channel(name="oncall", kind=ChannelKind.WEBHOOK, address=server.address)
        self.settings = AlertSettings(channels={"oncall": channel}, group_s=0.5, disk_free=1)

    @contextmanager
    def opened(self) -> Iterator[Project]:
        project = self.tides.open()
        space = project.workspace
        space.settings = replace(
            space.settings, tables={**space.settings.tables, "alerts": self.settings}
        )
        try:
            yield project
        finally:
            project.close()

    def check(self, after: float = 1.0, **terms: Any) -> AlertReport:
        """What a process that starts after some seconds finds."""
        self.now += after
        with self.opened() as project:
            return project.alerts.check(**{"budget_s": LONG, **terms})

    def run(self, after: float = 1.0) -> None:
        self.now += after
        self.tides.run()

    def events(self, *kinds: type[Any]) -> list[Any]:
        return self.tides.events(*(kind.__name__ for kind in kinds))

    @property
    def got(self) -> list[tuple[str, str, str]]:
        """The alerts that arrived: what happened, the stage, and the title."""
        bodies = [json.loads(body) for _, _, body in self.server.got]
        return [(a["event"], a["stage"], a["title"]) for body in bodies for a in body["alerts"]]


@pytest.fixture
def sea(tmp_path: Path) -> Iterator[Sea]:
    with hook() as server:
        yield Sea(tmp_path, server)


def kinds(report: AlertReport) -> list[str]:
    return [str(getattr(event, "change", type(event).__name__)) for event in report.events]


def stale(since: float, stage: str = "daily") -> Problem:
    kind = ProblemKind.STALE_STAGE
    return Problem(
        kind=kind, key=problem_key(kind, "prod", stage), since=since, severity=ProblemSeverity.TICKET,
        title=f"{stage} is stale", stage=stage, environment="prod",
    )  # fmt: skip


def test_a_stage_that_fails_is_told_until_it_is_retried(sea: Sea) -> None:
    sea.tides.send(0)
    sea.run()
    assert kinds(sea.check()) == []
    sea.tides.edit("value * 2", BROKEN)
    sea.run()
    failed_at = sea.now
    report = sea.check(5.0)
    assert kinds(report) == ["IncidentOpened"]
    [state] = report.open
    assert report.due == sea.now + sea.settings.group_s
    assert (state.cause.stage, state.incident.since, state.incident.detected) == (
        "doubled", failed_at, sea.now,
    )  # fmt: skip
    assert sea.check().failures == ()
    assert sea.got == [("incident.opened", "doubled", "doubled fails")]
    assert kinds(sea.check()) == []
    assert len(sea.server.got) == 1
    sea.tides.edit(BROKEN, "value * 3")
    sea.run()
    recovered_at = sea.now
    assert kinds(sea.check()) == ["recovering"]
    assert kinds(sea.check(sea.settings.hold_s)) == ["IncidentClosed"]
    assert sea.got[1:] == [("incident.resolved", "doubled", "doubled fails")]
    [closed] = sea.events(IncidentClosed)
    assert (closed.how, closed.recovered) == (ClosingReason.FIXED, recovered_at)
    [opened] = sea.events(IncidentOpened)
    # How long it took to find out, and to recover, is in the ledger.
    assert opened.incident.detected - opened.incident.since == 5.0
    assert closed.recovered - opened.incident.since == recovered_at - failed_at


def test_a_source_that_is_put_back_ends_it_without_an_attempt(sea: Sea) -> None:
    sea.tides.send(0)
    sea.run()
    sea.tides.send(0, [1.0, 2.0, 2_000.0])
    sea.tides.edit("max=1000)\n", "max=1000)\n    strict = tm.Budget(max_bad=0)\n")
    sea.run()
    assert [state.cause.stage for state in sea.check().open] == ["raw"]
    sea.tides.send(0)
    sea.run()
    assert kinds(sea.check()) == ["recovering"]


def test_inputs_that_are_put_back_end_it_without_an_attempt(sea: Sea) -> None:
    fails_for = '(value.cast(pl.Int64).cast(pl.String).replace("13", "x")).cast(pl.Float64)'
    sea.tides.edit("value * 2", fails_for)
    sea.tides.send(0)
    sea.run()
    sea.tides.send(0, [1.0, 2.0, 13.0])
    sea.run()
    assert [state.cause.stage for state in sea.check().open] == ["doubled"]
    sea.tides.send(0)
    ran = sea.tides.ran(sea.tides.run())
    assert not any("doubled" in what for what in ran)
    assert kinds(sea.check()) == ["recovering"]


def test_what_others_find_counts_and_follows_by_lineage(sea: Sea) -> None:
    sea.tides.send(0)
    sea.run()
    sea.tides.edit("value * 2", BROKEN)
    sea.run()
    [state] = sea.check(problems=[stale(sea.now)]).open
    assert (state.cause.stage, [each.stage for each in state.consequences]) == (
        "doubled",
        ["daily"],
    )
    sea.tides.edit(BROKEN, "value * 3")
    sea.run()
    assert kinds(sea.check(problems=[stale(sea.now)])) == ["moved"]
    assert kinds(sea.check()) == ["recovering"]


def test_two_checks_at_once_open_one_incident(sea: Sea) -> None:
    with sea.opened() as first, sea.opened() as second:
        found = [stale(sea.now)]
        append = first.tools.ledger.append

        def race(events: Sequence[Event], **terms: Any) -> int:
            # The other one is quicker, once.
            if len(sea.events(IncidentOpened)) == 0:
                second.alerts.check(found)
            return append(events, **terms)

        first.tools.ledger.append = race  # type: ignore[method-assign]
        report = first.alerts.check(found)
    assert (report.events, len(report.open)) == ((), 1)
    assert len(sea.events(IncidentOpened)) == 1


def test_a_check_that_others_always_overtake_gives_up(sea: Sea) -> None:
    with sea.opened() as project:

        def refuse(*_: Any, **__: Any) -> int:
            raise ConflictError("overtaken")

        project.tools.ledger.append = refuse  # type: ignore[method-assign]
        with pytest.raises(ConflictError, match="overtaken"):
            project.alerts.check([stale(sea.now)])


def check_together(sea: Sea, many: int, problem: Problem) -> None:
    """Many processes check at the same time, several times."""
    together = threading.Barrier(many)
    failures: list[Exception] = []

    def check() -> None:
        try:
            with sea.opened() as project:
                together.wait(60)
                for _ in range(3):
                    project.alerts.check([problem], budget_s=LONG)
        except Exception as error:  # noqa: BLE001 - the test shows it
            failures.append(error)

    threads = [threading.Thread(target=check) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_checks_of_many_processes_open_one_incident_and_send_it_once(sea: Sea) -> None:
    problem = stale(sea.now)
    check_together(sea, 4, problem)
    assert len(sea.events(IncidentOpened)) == 1
    sea.now += 1.0
    check_together(sea, 4, problem)
    assert (len(sea.got), len(sea.events(AlertSent))) == (1, 1)


def test_what_was_sent_but_not_recorded_comes_again_with_the_same_id(sea: Sea) -> None:
    class Killed(BaseException):
        """The process ends between the answer of the channel and the record of it."""

    open_one(sea)
    sea.now += 1.0
    with sea.opened() as project:
        append = project.tools.ledger.append

        def die(events: Sequence[Event], **terms: Any) -> int:
            if isinstance(events[0], AlertSent):
                raise Killed
            return append(events, **terms)

        project.tools.ledger.append = die  # type: ignore[method-assign]
        with pytest.raises(Killed):
            project.alerts.check(budget_s=LONG)
    assert sea.check(60.0).failures == ()
    first, second = (headers["X-Tidemill-Notice"] for _, headers, _ in sea.server.got)
    assert first == second
    assert len(sea.events(AlertSent)) == 1
    assert sea.check(60.0).failures == ()
    assert len(sea.server.got) == 2


def test_what_was_sent_but_cannot_be_recorded_is_sent_once(
    sea: Sea, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk, where there is room for a lease, but not for an event."""
    append = SqliteLedger.append

    def refuse(self: SqliteLedger, events: Sequence[Event], **terms: Any) -> int:
        if isinstance(events[0], AlertSent | AlertFailed):
            raise StorageError("the disk is full")
        return append(self, events, **terms)

    open_one(sea)
    monkeypatch.setattr(SqliteLedger, "append", refuse)
    for _ in range(4):
        # Each is another process.
        with pytest.raises(StorageError):
            sea.check(60.0)
    assert len(sea.server.got) == 1
    # Nobody waits for ever to be reminded.
    sea.now += sea.settings.repeat_s
    for _ in range(4):
        with pytest.raises(StorageError):
            sea.check(60.0)
    assert len(sea.server.got) == 2
    monkeypatch.undo()
    assert sea.check(60.0).failures == ()
    assert len(sea.events(AlertSent)) == 1
    assert sea.check(60.0).failures == ()
    assert len(sea.server.got) == 2
    assert sea.check(sea.settings.repeat_s).failures == ()
    assert [event for event, _, _ in sea.got] == [
        "incident.opened", "incident.opened", "incident.reminder",
    ]  # fmt: skip


def test_a_refusal_that_cannot_be_recorded_keeps_nobody_from_trying_again(
    sea: Sea, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = SqliteLedger.append

    def refuse(self: SqliteLedger, events: Sequence[Event], **terms: Any) -> int:
        if isinstance(events[0], AlertFailed):
            raise StorageError("the disk is full")
        return append(self, events, **terms)

    open_one(sea)
    sea.server.status = 500
    monkeypatch.setattr(SqliteLedger, "append", refuse)
    assert sea.check().failures == ("no alert by oncall: it answered with status 500",)
    sea.server.status = 200
    assert sea.check().failures == ()
    assert len(sea.events(AlertSent)) == 1


def open_one(sea: Sea) -> None:
    with sea.opened() as project:
        project.incidents.report("daily is odd", severity="ticket", stage="daily")


def test_a_channel_that_answers_500_is_tried_again_and_becomes_an_incident(sea: Sea) -> None:
    sea.settings = replace(sea.settings, failures=2)
    sea.server.status = 500
    open_one(sea)
    report = sea.check(1.0)
    assert report.failures == ("no alert by oncall: it answered with status 500",)
    # It isn't tried again at once, also by another process.
    assert sea.check(1.0).failures == ()
    sea.check(60.0)
    assert [(e.failures, e.alerts) for e in sea.events(AlertFailed)] == [(1, 1), (2, 1)]
    assert [state.cause.kind for state in sea.check(1.0).open] == ["reported", "failed notifier"]
    sea.server.status = 200
    arrived = len(sea.server.got)
    assert sea.check(120.0).failures == ()
    bodies = [json.loads(body) for _, _, body in sea.server.got]
    # The one message has both, and the first one as it was sent before.
    assert [a["kind"] for a in bodies[-1]["alerts"]] == ["reported", "failed notifier"]
    assert bodies[0]["alerts"][0]["id"] == bodies[-1]["alerts"][0]["id"]
    assert len(sea.server.got) == arrived + 1
    assert kinds(sea.check(1.0)) == ["recovering"]


def test_a_channel_that_hangs_takes_no_longer_than_its_budget(sea: Sea) -> None:
    open_one(sea)
    sea.server.gate.clear()
    report = sea.check(1.0, budget_s=0.2)
    assert report.failures == ("no alert by oncall: it didn't answer in time",)
    sea.server.gate.set()
    assert sea.check(60.0).failures == ()
    assert len({headers["X-Tidemill-Notice"] for _, headers, _ in sea.server.got}) == 1


def test_channels_dont_hold_up_each_other(sea: Sea) -> None:
    with mail() as server:
        found = EmailSettings(
            host="127.0.0.1", sender="mill@example.com", to=("a@example.com",), port=server.port,
            tls="none",
        )  # fmt: skip
        letters = Channel(name="letters", kind=ChannelKind.EMAIL, email=found)
        sea.settings = replace(sea.settings, channels={**sea.settings.channels, "letters": letters})
        sea.server.status = 503
        open_one(sea)
        report = sea.check(1.0)
    assert report.failures == ("no alert by oncall: it answered with status 503",)
    assert [event.channel for event in sea.events(AlertSent)] == ["letters"]
    assert "Subject: [tidemill] [ticket] tides: daily is odd" in server.messages[0]


def test_addresses_are_in_no_record(sea: Sea, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(f"no route to {sea.server.address}")

    monkeypatch.setattr("tidemill.operations.io.notify.send_notice", fail)
    open_one(sea)
    sea.check(1.0)
    [failed] = sea.events(AlertFailed)
    assert failed.reason == "it failed with OSError"


def test_one_process_sends_at_a_time(sea: Sea) -> None:
    open_one(sea)
    with sea.opened() as project:
        here = {"host": "elsewhere", "pid": "1"}
        ledger = project.tools.ledger
        lease = ledger.acquire("alerts", here, now=sea.now, ttl=600.0, dead=lambda _: False)
        assert sea.check(1.0).failures == ()
        assert sea.got == []
        ledger.release(lease)
    sea.check(1.0)
    assert len(sea.got) == 1


def test_a_check_reads_only_what_is_new(sea: Sea, monkeypatch: pytest.MonkeyPatch) -> None:
    sea.tides.send(0)
    sea.run()
    with sea.opened() as project:
        project.alerts.check()
        ledger = project.tools.ledger
        known = ledger.state("prod").seq
        seen = []
        events = ledger.events

        def read(**terms: Any) -> Any:
            seen.append((next(iter(terms["kinds"])), terms.get("after", 0)))
            return events(**terms)

        monkeypatch.setattr(ledger, "events", read)
        assert project.alerts.check().events == ()
    assert known > 0
    assert dict(seen)["RunStarted"] > 0
    assert known == project_seq(sea)


def project_seq(sea: Sea) -> int:
    with sea.opened() as project:
        return project.tools.ledger.state("prod").seq


def test_what_happened_long_ago_is_as_it_was(sea: Sea, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process doesn't read all of a long ledger."""
    sea.tides.send(0)
    sea.tides.edit("value * 2", BROKEN)
    sea.run()
    with sea.opened() as project:
        alarmed = replace(records.drift_alarmed_event(), stage="daily")
        project.tools.ledger.append([alarmed], now=sea.now)
    assert {state.cause.kind for state in sea.check().open} == {"failed stage", "drift"}
    monkeypatch.setattr(module, "_LOOK_BACK", 1)
    for _ in range(2):
        report = sea.check(60.0)
        assert (kinds(report), len(report.open)) == ([], 2)
    monkeypatch.undo()
    sea.tides.edit(BROKEN, "value * 3")
    sea.run()
    monkeypatch.setattr(module, "_LOOK_BACK", 30)
    assert set(kinds(sea.check())) == {"recovering"}


def test_a_run_whose_process_died_is_told_until_another_succeeds(sea: Sea) -> None:
    sea.tides.send(0)
    sea.run()
    process = subprocess.Popen(["true"])
    process.wait()
    holder = {**this_process("tidemill run"), "pid": str(process.pid), "started": "0"}
    with sea.opened() as project:
        died = replace(records.run_started_event("run-died"), holder=holder)
        project.tools.ledger.append([died], now=sea.now)
    [state] = sea.check().open
    assert (state.cause.kind, state.cause.evidence["run"]) == ("lost run", "run-died")
    sea.tides.send(1)
    # The run that finds out does its work.
    sea.run()
    assert kinds(sea.check()) == ["recovering"]


def test_a_heartbeat_shows_that_production_is_looked_after(sea: Sea) -> None:
    with hook() as heart:
        beat = Channel(name="heartbeat", kind=ChannelKind.WEBHOOK, address=heart.address)
        sea.settings = replace(sea.settings, heartbeat=beat, failures=1)
        assert sea.check().failures == ()
        assert len(heart.got) == 1
        # Nobody could be told.
        sea.server.status = 500
        open_one(sea)
        assert sea.check().failures == (
            "no alert by oncall: it answered with status 500",
            "no heartbeat: no channel accepts alerts",
        )
        assert len(heart.got) == 1
        sea.server.status, heart.status = 200, 500
        # A heartbeat that isn't accepted fails nothing.
        assert sea.check(60.0).failures == ("no heartbeat: it answered with status 500",)
        assert sea.got[-1][0] == "incident.opened"
        heart.gate.clear()
        assert sea.check(budget_s=0.0).failures == ("no heartbeat: it didn't answer in time",)
        with sea.opened() as project:
            project.workspace.environment = "dev"
            assert [*project.alerts._send_heartbeat(LONG)] == []


def test_the_disk_of_the_home(sea: Sea) -> None:
    sea.settings = replace(sea.settings, disk_free=1 << 62)
    [state] = sea.check().open
    assert state.cause.kind == "disk space"
    sea.settings = replace(sea.settings, disk_free=1)
    assert kinds(sea.check()) == ["recovering"]


def test_a_clock_that_jumps_loses_nothing(sea: Sea) -> None:
    found = [stale(sea.now)]
    sea.check(problems=found)
    sea.check(-10 * DAY, problems=found)
    assert sea.got == [("incident.opened", "daily", "daily is stale")]
    sea.check(20 * DAY)
    sea.check(-DAY)
    assert sea.got[-1] == ("incident.resolved", "daily", "daily is stale")


def test_without_channels_incidents_are_recorded_all_the_same(sea: Sea) -> None:
    sea.settings = AlertSettings(disk_free=1)
    open_one(sea)
    assert len(sea.check(DAY).open) == 1
    assert sea.events(AlertFailed, AlertSent) == []


def test_a_test_of_a_channel(sea: Sea) -> None:
    with sea.opened() as project:
        project.alerts.test_channel("oncall")
        body = json.loads(sea.server.got[0][2])
        assert (body["schema"], body["alerts"]) == ("tidemill.alerts/1", [])
        sea.server.status = 404
        with pytest.raises(SendError, match="oncall accepted nothing: it answered with status 404"):
            project.alerts.test_channel("oncall")
        with pytest.raises(UsageError, match=r"no channel 'oncal' .*'oncall'"):
            project.alerts.test_channel("oncal")
    sea.settings = AlertSettings()
    with sea.opened() as project, pytest.raises(UsageError, match="none is configured"):
        project.alerts.test_channel("oncall")


def test_a_test_of_a_channel_that_never_answers_ends(sea: Sea) -> None:
    with hook(opened=False) as server, sea.opened() as project:
        channel = Channel(name="oncall", kind=ChannelKind.WEBHOOK, address=server.address)
        space = project.workspace
        space.settings = replace(
            space.settings,
            tables={**space.settings.tables, "alerts": AlertSettings(channels={"oncall": channel})},
        )
        with pytest.raises(SendError, match="oncall accepted nothing: it didn't answer in time"):
            project.alerts.test_channel("oncall", budget_s=0.0)


def test_who_may_check(sea: Sea) -> None:
    with sea.opened() as project:
        space = project.workspace
        grants = parse_grants({"boss": "admin", "*": "viewer"}, None, "settings [tool.tidemill")
        space.settings = replace(space.settings, grants=grants)
        calls: list[Callable[[], object]] = [
            project.alerts.check,
            lambda: project.alerts.test_channel("oncall"),
            lambda: project.incidents.report("odd", severity="note"),
            lambda: project.incidents.resolve("i", reason="so"),
            lambda: project.incidents.silence(reason="so", ttl="1h"),
            lambda: project.incidents.end_silence("s"),
        ]
        for call in calls:
            with pytest.raises(AccessError, match="may not manage incidents and their alerts"):
                call()


def test_changes_of_incidents_are_in_the_ledger(sea: Sea) -> None:
    sea.check(problems=[stale(sea.now)])
    page = replace(stale(sea.now), severity=ProblemSeverity.PAGE)
    sea.check(problems=[page])
    [changed] = sea.events(IncidentChanged)
    assert (changed.change, changed.severity) == (IncidentChange.WORSENED, "page")


def test_a_review_that_nobody_decides_in_time(sea: Sea) -> None:
    with sea.opened() as project:
        asked = replace(records.review(), opened=sea.now, within=900.0)
        project.tools.ledger.append([ReviewOpened(environment="prod", review=asked)], now=sea.now)
        assert project.alerts.check().open == ()
        sea.now += 900.0
        [state] = project.alerts.check().open
        assert (state.cause.kind, state.incident.since) == ("overdue review", sea.now)
        ended = ReviewClosed(environment="prod", review="r1", outcome=ReviewOutcome.REJECTED)
        project.tools.ledger.append([ended], now=sea.now)
        assert kinds(project.alerts.check()) == ["recovering"]


def test_a_supervisor_that_was_killed_is_noticed_also_when_it_starts_again(sea: Sea) -> None:
    with sea.opened() as project:
        home, workflow = project.home, project.workspace.declared.name
    process = subprocess.Popen(["true"])
    holder = {**this_process("up"), "pid": str(process.pid), "start": "0"}
    process.wait()
    report = UpReport(
        environment="prod",
        holder=holder,
        role=UpRole.WORKING,
        since=sea.now - 3_600.0,
        workflow=workflow,
    )
    file = home / "up" / f"{process.pid}.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(msgspec.json.encode(report))
    os.utime(file, (sea.now - 60.0, sea.now - 60.0))
    [state] = sea.check(problems=[stale(sea.now)]).open
    assert (state.cause.kind, len(state.consequences)) == ("supervisor down", 1)
    assert state.incident.detected - state.incident.since == 61.0
    # Another one takes over: that it was down is told once, and is over then.
    remove_dead_reports(home)
    assert killed_at(home, workflow, "dev") is None
    assert killed_at(home, "other", "prod") is None
    assert kinds(sea.check(problems=[stale(sea.now)])) == []
    forget_killed(home, workflow, "prod")
    assert kinds(sea.check()) == ["recovering"]
    assert list(file.parent.iterdir()) == []
