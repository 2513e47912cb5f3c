"""Settings of channels: what each kind needs, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.notices.channel_settings import (
    Channel,
    ChannelKind,
    CommandSettings,
    is_allowed_address,
    parse_channel,
)

PLACE = "pyproject.toml: [tool.tidemill.alerts.channels.oncall]"


def parse(**table: Any) -> Channel:
    return parse_channel("oncall", table, PLACE)


def test_each_kind_of_channel() -> None:
    hook = parse(kind="webhook", url="https://hooks.example/a", key="HOOK_KEY")
    assert hook == Channel(
        name="oncall", kind=ChannelKind.WEBHOOK, address="https://hooks.example/a", key="HOOK_KEY"
    )
    assert parse(kind="slack", url="SLACK_URL").address == "SLACK_URL"
    mail = parse(kind="email", host="mail.example", **{"from": "a@b.c"}, to="d@e.f").email
    assert mail is not None
    assert (mail.port, mail.to) == (587, ("d@e.f",))
    assert parse(kind="command", command=["page", "--now"]).command == CommandSettings(
        arguments=("page", "--now")
    )
    full = parse(kind="command", command=["page"], timeout="2s", env=["PAGER_KEY"]).command
    assert full == CommandSettings(arguments=("page",), timeout_s=2.0, env=("PAGER_KEY",))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "kind = '': "),
        ({"kind": "slak"}, "did you mean 'slack'"),
        ({"kind": "slack"}, "needs url = "),
        ({"kind": "slack", "url": "http://hooks.example"}, "such as SLACK_URL"),
        ({"kind": "slack", "url": "A", "key": "K"}, "key: "),
        ({"kind": "webhook", "url": "A", "key": "a key"}, "isn't the name of an environment"),
        ({"kind": "email", "host": ""}, "needs host"),
        ({"kind": "command"}, "command = None is not a list of a program"),
        ({"kind": "command", "command": "page --now"}, "no shell reads it"),
        ({"kind": "command", "command": []}, "is not a list of a program"),
        ({"kind": "command", "command": ["page", "a\0b"]}, "is not a list of a program"),
        ({"kind": "command", "command": ["page"], "env": ["A B"]}, "is not a list of names"),
        ({"kind": "command", "command": ["page"], "env": "A"}, "is not a list of names"),
        (
            {"kind": "command", "command": ["page"], "timeout": "soon"},
            "timeout: 'soon' is not a dur",
        ),
        ({"kind": "command", "command": ["page"], "timeout": "9s"}, "is longer than 8 s"),
        ({"kind": "command", "command": ["page"], "url": "x"}, "url: "),
    ],
)
def test_what_makes_no_sense_is_refused(table: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(**table)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://hooks.example", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://localhost/x", True),
        ("http://[::1]:1/x", True),
        ("http://127.0.0.1.evil.example/x", False),
        ("http://localhost@evil.example/x", False),
        ("ftp://hooks.example", False),
        ("https:// evil", False),
    ],
)
def test_notices_leave_the_machine_over_tls_only(address: str, allowed: bool) -> None:
    assert is_allowed_address(address) == allowed
