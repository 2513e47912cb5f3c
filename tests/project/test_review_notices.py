"""Notices go out after the transaction: once where they are accepted, again where they aren't."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.notice_servers import Hook, hook
from tests.support.tides import Tides, flow_of
from tidemill.governance.notify_settings import NotifySettings
from tidemill.ledger.governance_events import NoticeSent, ReviewClosed, ReviewOpened
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import Quorum, Review, ReviewOutcome
from tidemill.notices.channel_settings import Channel
from tidemill.notices.io.channels import send_notice
from tidemill.project import review_notices
from tidemill.project.project import Project
from tidemill.project.review_notices import send_notices
from tidemill.project.settings import Settings
from tidemill.project.workspace import Workspace


class Inbox:
    """A project whose reviews are announced by two hooks."""

    def __init__(self, root: Path, slack: Hook, webhook: Hook) -> None:
        self.tides, self.slack, self.webhook = Tides(root), slack, webhook
        self.settings = NotifySettings(slack=slack.address, webhook=webhook.address)

    def open(self) -> Project:
        project = self.tides.open()
        space = project.workspace
        space.settings = replace(
            space.settings, tables={**space.settings.tables, "notify": self.settings}
        )
        return project

    def ask(self, id: str = "r1") -> None:
        review = Review(
            id=id, kind=SubjectKind.TABLE, name=id, subject=id, quorums=(Quorum(),), opened=1.0
        )  # fmt: skip
        self.record(ReviewOpened(environment="prod", review=review))

    def record(self, event: ReviewOpened | ReviewClosed) -> None:
        project = self.open()
        project.tools.ledger.append([event], now=project.tools.clock())
        project.close()

    def send(self, budget_s: float = 30.0) -> tuple[str, ...]:
        """What the next command sends; its problems."""
        project = self.open()
        try:
            return send_notices(project.workspace, budget_s)
        finally:
            project.close()

    @property
    def sent(self) -> list[tuple[str, str]]:
        return [
            (e.review, e.channel)
            for e in self.tides.events("NoticeSent")
            if isinstance(e, NoticeSent)
        ]


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    with ExitStack() as servers:
        slack, webhook = (servers.enter_context(hook()) for _ in range(2))
        yield Inbox(tmp_path, slack, webhook)


def test_each_channel_gets_a_notice_once(inbox: Inbox) -> None:
    assert inbox.send() == ()
    inbox.ask()
    assert inbox.send() == ()
    assert inbox.send() == ()
    assert (len(inbox.slack.got), len(inbox.webhook.got)) == (1, 1)
    assert sorted(inbox.sent) == [("r1", "slack"), ("r1", "webhook")]
    body = json.loads(inbox.webhook.got[0][2])
    assert (body["event"], body["command"]) == ("review.opened", "tidemill review show r1")
    inbox.record(ReviewClosed(environment="prod", review="r1", outcome=ReviewOutcome.REJECTED))
    assert inbox.send() == ()
    assert json.loads(inbox.webhook.got[1][2])["event"] == "review.closed"
    assert len(inbox.slack.got) == 2


def test_what_isnt_accepted_is_sent_again_and_holds_up_no_other_channel(inbox: Inbox) -> None:
    inbox.ask()
    inbox.slack.status = 503
    [problem] = inbox.send()
    assert problem == (
        "review r1: no notice by slack: it answered with status 503; the next command sends it again"
    )
    assert inbox.sent == [("r1", "webhook")]
    inbox.slack.status = 200
    assert inbox.send() == ()
    assert (len(inbox.slack.got), len(inbox.webhook.got)) == (2, 1)


def test_a_channel_that_fails_in_any_way_holds_up_no_other(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.ask()

    def fail(channel: Channel, *others: Any) -> None:
        if channel.name == "webhook":
            raise UnicodeError("https://secret")
        send_notice(channel, *others)

    monkeypatch.setattr(review_notices, "send_notice", fail)
    # As long as the thread lives, nothing waits for so long.
    [problem] = inbox.send(budget_s=3600.0)
    assert "no notice by webhook: it failed with UnicodeError; the next command" in problem
    assert inbox.sent == [("r1", "slack")]


def test_a_server_that_never_answers_holds_up_no_command(inbox: Inbox) -> None:
    inbox.ask()
    inbox.webhook.gate.clear()
    [problem] = inbox.send(budget_s=0.2)
    assert "of 2 notices took longer than 0.2 s" in problem
    assert ("r1", "webhook") not in inbox.sent
    inbox.webhook.gate.set()
    assert inbox.send() == ()
    assert sorted(inbox.sent) == [("r1", "slack"), ("r1", "webhook")]


def test_one_process_sends_at_a_time(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.ask()
    project = inbox.open()
    here = {"host": "elsewhere", "pid": "1"}
    clock = project.tools.clock()
    lease = project.tools.ledger.acquire("notices", here, now=clock, ttl=60.0, dead=lambda _: False)
    assert inbox.send() == ()
    assert inbox.slack.got == []
    project.tools.ledger.release(lease)
    project.close()
    assert inbox.send() == ()
    assert len(inbox.slack.got) == 1


def test_without_channels_nothing_is_read(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(space: Workspace) -> None:
        raise AssertionError("the ledger is read")

    monkeypatch.setattr(Workspace, "tools", property(fail))
    flow = flow_of(inbox.tides.root, inbox.tides.text)
    space = Workspace(Settings(root=inbox.tides.root, workflow="tides:flow"), flow, "prod")
    assert send_notices(space) == ()
