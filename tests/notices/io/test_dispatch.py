"""Notices go out within a time: a channel that hangs or fails holds up no other."""

from __future__ import annotations

import threading

import pytest

from tidemill.notices.channel_settings import Channel, ChannelKind
from tidemill.notices.io.channels import NoticeRefused
from tidemill.notices.io.dispatch import dispatch
from tidemill.notices.notice import Notice

NOTICE = Notice(id="n", title="t", lines=(), command="c", document={})
# As long as the threads live, nothing waits for so long.
LONG = 3_600.0


def to(*names: str) -> list[tuple[Channel, Notice]]:
    return [(Channel(name=name, kind=ChannelKind.SLACK), NOTICE) for name in names]


def test_each_notice_is_answered() -> None:
    sent = []

    def send(channel: Channel, notice: Notice, now: float) -> None:
        if channel.name == "full":
            raise NoticeRefused("it answered with status 503")
        if channel.name == "odd":
            raise UnicodeError("https://secret")
        sent.append((channel.name, now))

    answers = dict(dispatch(to("a", "full", "odd", "a"), send, now=5.0, budget_s=LONG))
    assert answers == {
        0: "", 1: "it answered with status 503", 2: "it failed with UnicodeError", 3: "",
    }  # fmt: skip
    assert sent == [("a", 5.0), ("a", 5.0)]


@pytest.mark.parametrize("budget_s", [0.0, 0.3])
def test_what_hangs_isnt_waited_for(budget_s: float) -> None:
    gate, arrived = threading.Event(), threading.Event()

    def send(channel: Channel, notice: Notice, now: float) -> None:
        if channel.name == "hangs":
            gate.wait(60)
        arrived.set()

    try:
        answers = dict(dispatch(to("hangs", "b"), send, now=0.0, budget_s=budget_s))
        # The other channel is sent to all the same, though its answer may come too late on a busy machine.
        assert arrived.wait(60)
        assert 0 not in answers
    finally:
        gate.set()


def test_nothing_to_send_takes_no_time() -> None:
    assert [*dispatch([], lambda *_: None, now=0.0, budget_s=LONG)] == []
