"""Channels against real servers on loopback: what arrives, what is refused, and what stays secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from email import message_from_string, policy

import pytest

from tests.support.notice_servers import hook, mail
from tidemill.governance.io.notice_channels import NoticeRefused, channel_secrets, send_notice
from tidemill.governance.notices import Notice
from tidemill.governance.notify_settings import EmailSettings, NotifySettings, parse_notify_settings

NOTICE = Notice(
    review="r1", about=7, kind="opened", environment="prod", workflow="flights",
    title="Should m 1 go live? \u00e9", lines=("asked: ben",), command="tidemill review show r1",
    link="https://ops.example/r1",
)  # fmt: skip


def email(port: int, **terms: str) -> NotifySettings:
    found = EmailSettings(
        host="127.0.0.1", sender="mill@example.com", to=("a@example.com", "b@example.com"), port=port,
        **{"tls": "none", **terms},
    )  # fmt: skip
    return NotifySettings(email=found)


def test_a_webhook_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", "the key")
    with hook() as server:
        settings = NotifySettings(webhook=server.address, webhook_key="HOOK_KEY")
        send_notice("webhook", NOTICE, settings, now=1_700_000_000.9)
    [(path, headers, body)] = server.got
    assert path == "/hook?key=secret-key"
    assert json.loads(body)["review"] == "r1"
    assert headers["X-Tidemill-Notice"] == "r1-7"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    stamp = headers["X-Tidemill-Timestamp"]
    expected = hmac.new(b"the key", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert (stamp, headers["X-Tidemill-Signature"]) == ("1700000000", f"sha256={expected}")


@pytest.mark.parametrize("channel", ["slack", "teams", "webhook"])
def test_the_address_may_be_in_the_environment(
    channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook(204) as server:
        monkeypatch.setenv("HOOK_URL", server.address)
        settings = parse_notify_settings({channel: "HOOK_URL"}, "settings")
        send_notice(channel, NOTICE, settings, now=0.0)
    [(_, headers, body)] = server.got
    assert "X-Tidemill-Signature" not in headers
    assert {"slack": "text", "teams": "attachments", "webhook": "schema"}[channel] in json.loads(
        body
    )


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_an_answer_that_isnt_ok_is_a_refusal_and_no_redirect_is_followed(status: int) -> None:
    refused = pytest.raises(NoticeRefused, match=f"^it answered with status {status}$")
    with hook(status) as server, refused:
        send_notice("slack", NOTICE, NotifySettings(slack=server.address), now=0.0)
    assert len(server.got) == 1


def test_a_refusal_never_shows_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{port}/hook?key=secret-key")
    settings = NotifySettings(slack="HOOK_URL", teams="NOT_SET", webhook="PLAIN_URL")
    with pytest.raises(NoticeRefused, match=r"^ConnectionRefusedError: Connection refused$"):
        send_notice("slack", NOTICE, settings, now=0.0)
    with pytest.raises(NoticeRefused, match="variable NOT_SET isn't set, which teams names"):
        send_notice("teams", NOTICE, settings, now=0.0)
    monkeypatch.setenv("PLAIN_URL", "http://hooks.example/secret")
    with pytest.raises(NoticeRefused, match="PLAIN_URL holds no https:// address"):
        send_notice("webhook", NOTICE, settings, now=0.0)


def test_an_email_has_the_notice_and_one_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    with mail() as server:
        settings = email(server.port, user="mill", password="SMTP_PASSWORD")
        send_notice("email", NOTICE, settings, now=0.0)
    [text] = server.messages
    found = message_from_string(text, policy=policy.default)
    assert found["Subject"] == "[tidemill] Should m 1 go live? \u00e9"
    assert (found["To"], found["From"]) == ("a@example.com, b@example.com", "mill@example.com")
    assert (found["Message-ID"], found["Auto-Submitted"]) == (
        "<r1-7@example.com>",
        "auto-generated",
    )
    assert "Open the page: https://ops.example/r1" in found.get_content()
    assert any(command.startswith("AUTH PLAIN") for command in server.commands)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"RCPT": "550 a@example.com unknown"}, r"^SMTPRecipientsRefused$"),
        ({"DATA": "554 no"}, r"^SMTPDataError 554$"),
        ({"AUTH": "535 hunter2 is wrong"}, r"^SMTPAuthenticationError 535$"),
    ],
)
def test_a_mail_server_that_refuses_is_a_refusal(
    answers: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    with mail(answers=answers) as server, pytest.raises(NoticeRefused, match=says):
        send_notice(
            "email", NOTICE, email(server.port, user="mill", password="SMTP_PASSWORD"), now=0.0
        )


def test_a_mail_server_without_tls_gets_nothing_in_the_clear() -> None:
    with mail(offers=()) as server:
        with pytest.raises(NoticeRefused, match=r"^SMTPNotSupportedError$"):
            send_notice("email", NOTICE, email(server.port, tls="starttls"), now=0.0)
        with pytest.raises(NoticeRefused, match=r"SSL|Connection"):
            send_notice("email", NOTICE, email(server.port, tls="tls"), now=0.0)
        assert server.messages == []
        settings = email(server.port, user="mill", password="NOT_SET")
        with pytest.raises(NoticeRefused, match="NOT_SET isn't set, which password names"):
            send_notice("email", NOTICE, settings, now=0.0)


def test_what_no_message_may_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_URL", "https://hooks.example/a")
    monkeypatch.setenv("HOOK_KEY", "the key")
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    settings = NotifySettings(
        webhook="HOOK_URL", webhook_key="HOOK_KEY", slack="https://slack.example/b", teams="NOT_SET",
        email=email(25, user="mill", password="SMTP_PASSWORD").email,
    )  # fmt: skip
    assert channel_secrets(settings) == {
        "https://hooks.example/a", "https://slack.example/b", "the key", "hunter2",
    }  # fmt: skip
    assert channel_secrets(NotifySettings()) == frozenset()
