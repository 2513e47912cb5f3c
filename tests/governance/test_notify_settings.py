"""Settings of notices: secrets are named, not written, and nothing goes out in the clear."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.governance.notify_settings import NotifySettings, parse_notify_settings
from tidemill.notices.channel_settings import EmailSettings

PLACE = "pyproject.toml: [tool.tidemill.notify]"
EMAIL = {"host": "mail.example", "from": "mill@example.com", "to": ["ops@example.com"]}


def test_all_settings() -> None:
    table = {
        "webhook": "https://hooks.example/a?b=1", "webhook_key": "HOOK_KEY", "slack": "SLACK_URL",
        "teams": "TEAMS_URL", "link": "https://ops.example/{id}",
        "email": {**EMAIL, "port": 2525, "user": "mill", "password": "SMTP_PASSWORD", "tls": "tls"},
    }  # fmt: skip
    found = parse_notify_settings(table, PLACE)
    assert [*found.channels] == ["webhook", "slack", "teams", "email"]
    assert found.channels["webhook"].key == "HOOK_KEY"
    assert found.email == EmailSettings(
        host="mail.example", sender="mill@example.com", to=("ops@example.com",), port=2525, tls="tls",
        user="mill", password="SMTP_PASSWORD",
    )  # fmt: skip
    assert parse_notify_settings({}, PLACE) == NotifySettings()
    assert NotifySettings().channels == {}


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_each_kind_of_tls_has_its_port(tls: str, port: int) -> None:
    found = parse_notify_settings({"email": {**EMAIL, "to": "ops@example.com", "tls": tls}}, PLACE)
    assert found.email is not None
    assert (found.email.port, found.email.to) == (port, ("ops@example.com",))


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost", "127.0.0.1", "127.8.0.1", "::1", "[::1]"]
)
def test_a_password_goes_to_this_machine_without_tls(host: str) -> None:
    known = {**EMAIL, "user": "mill", "password": "SMTP_PASSWORD", "tls": "none"}
    found = parse_notify_settings({"email": {**known, "host": host}}, PLACE)
    assert found.email is not None
    for other in ("localhost.example", "10.0.0.1", "127.0.0.1.example", "::", "0.0.0.0"):
        with pytest.raises(UsageError, match="in clear text"):
            parse_notify_settings({"email": {**known, "host": other}}, PLACE)


@pytest.mark.parametrize("host", ["mail.example", "10.0.0.1"])
def test_a_server_that_is_trusted_needs_no_tls_without_a_password(host: str) -> None:
    found = parse_notify_settings({"email": {**EMAIL, "host": host, "tls": "none"}}, PLACE)
    assert [*found.channels] == ["email"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"slak": "X"}, "slak: did you mean 'slack'"),
        ({"slack": 5}, "slack = 5 is not text"),
        ({"slack": "not an address"}, "neither an https:// address nor the name of an environment"),
        ({"webhook": "http://hooks.example/a"}, "webhook = 'http://hooks.example/a' is neither"),
        ({"webhook": "https://user:secret@hooks.example"}, "is neither"),
        (
            {"webhook_key": "a key"},
            "webhook_key = 'a key' isn't the name of an environment variable",
        ),
        ({"link": "https://ops.example/"}, "isn't an address with {id}"),
        ({"link": "javascript:{id}"}, "isn't an address with {id}"),
        ({"email": 5}, r"notify.email\] = 5 is not a table"),
        ({"email": {**EMAIL, "host": ""}}, "needs host"),
        ({"email": {**EMAIL, "from": "mill"}}, "from = 'mill' isn't an address"),
        ({"email": {**EMAIL, "from": "a@b.c\nBcc: x@y.z"}}, "isn't an address"),
        ({"email": {**EMAIL, "to": ["ops", "a@b.c"]}}, "to = 'ops' isn't an address"),
        ({"email": {**EMAIL, "to": [5]}}, "to = 5 isn't an address"),
        ({"email": {**EMAIL, "to": 5}}, "to = 5 isn't an address"),
        ({"email": {**EMAIL, "to": {"ops": 1}}}, "to = {'ops': 1} isn't an address"),
        ({"email": {**EMAIL, "to": []}}, "needs to ="),
        ({"email": {**EMAIL, "tls": "ssl"}}, "'ssl' is not one of 'starttls', 'tls', 'none'"),
        ({"email": {**EMAIL, "port": 0}}, "port = 0 is not a port"),
        ({"email": {**EMAIL, "port": True}}, "port = True is not a port"),
        (
            {"email": {**EMAIL, "user": "mill", "password": "SMTP_PASSWORD", "tls": "none"}},
            "would send the password of mill to mail.example in clear text",
        ),
        ({"email": {**EMAIL, "user": "mill"}}, "user and password belong together"),
        (
            {"email": {**EMAIL, "user": "m", "password": "pass word"}},
            "names the environment variable",
        ),
        ({"email": {**EMAIL, "subject": "x"}}, "subject: "),
    ],
)
def test_what_makes_no_sense_is_refused(table: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_notify_settings(table, PLACE)
