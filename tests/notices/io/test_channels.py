"""Channels against real servers on loopback: what arrives, what is refused, and what stays secret."""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
import smtplib
import socket
import ssl
import sys
import time
from dataclasses import replace
from email import message_from_string, policy
from http.client import BadStatusLine, HTTPConnection, InvalidURL, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest

from tests.support.notice_servers import hook, mail
from tidemill.notices.channel_settings import (
    Channel,
    ChannelKind,
    CommandSettings,
    EmailSettings,
    parse_channel,
)
from tidemill.notices.io import channels
from tidemill.notices.io.channels import NoticeRefused, channel_secrets, send_notice
from tidemill.notices.notice import Notice

NOTICE = Notice(
    id="r1-7", title="Should m 1 go live? \u00e9", lines=("asked: ben",),
    command="tidemill review show r1", link="https://ops.example/r1",
    document={"schema": "tidemill.notice/1", "review": "r1"},
)  # fmt: skip


def hook_to(kind: str, address: str, key: str = "") -> Channel:
    return Channel(name=kind, kind=ChannelKind(kind), address=address, key=key)


def email(port: int, **terms: str) -> Channel:
    found = EmailSettings(
        host="127.0.0.1", sender="mill@example.com", to=("a@example.com", "b@example.com"), port=port,
        **{"tls": "none", **terms},
    )  # fmt: skip
    return Channel(name="email", kind=ChannelKind.EMAIL, email=found)


def test_a_webhook_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", "the key")
    with hook() as server:
        send_notice(hook_to("webhook", server.address, "HOOK_KEY"), NOTICE, now=1_700_000_000.9)
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
        found = parse_channel(channel, {"kind": channel, "url": "HOOK_URL"}, "settings")
        send_notice(found, NOTICE, now=0.0)
    [(_, headers, body)] = server.got
    assert "X-Tidemill-Signature" not in headers
    assert {"slack": "text", "teams": "attachments", "webhook": "schema"}[channel] in json.loads(
        body
    )


@pytest.mark.parametrize("kind", ["slack", "teams", "webhook"])
@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_an_answer_that_isnt_ok_is_a_refusal_and_no_redirect_is_followed(
    status: int, kind: str
) -> None:
    refused = pytest.raises(NoticeRefused, match=f"^it answered with status {status}$")
    with hook(status) as server, refused:
        send_notice(hook_to(kind, server.address), NOTICE, now=0.0)
    assert len(server.got) == 1


@pytest.mark.parametrize("kind", ["slack", "teams", "webhook", "email"])
def test_a_server_that_takes_a_caller_and_says_nothing_is_given_up(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        to = email(port) if kind == "email" else hook_to(kind, f"http://127.0.0.1:{port}/hook")
        with pytest.raises(NoticeRefused, match=r"^it didn't answer within 0\.05 s$"):
            send_notice(to, NOTICE, now=0.0)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (smtplib.SMTPServerDisconnected("secret"), "it closed the connection"),
        (RemoteDisconnected("secret"), "it closed the connection"),
        (socket.gaierror(-2, "secret"), "its host name is unknown"),
        (ssl.SSLCertVerificationError("secret"), "its certificate isn't valid here"),
        (smtplib.SMTPSenderRefused(550, b"secret", "secret"), "it refused the sender"),
        (InvalidURL("secret"), "its address, or another setting, can't be used"),
        (BadStatusLine("secret"), "its answer isn't HTTP"),
        (OSError(errno.ENETUNREACH, "secret"), "it can't be reached: Network is unreachable"),
        (OSError("secret"), "it can't be used"),
    ],
)
def test_a_refusal_says_what_happened(
    error: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(HTTPConnection, "request", fail)
    with pytest.raises(NoticeRefused) as refused:
        send_notice(hook_to("slack", "http://127.0.0.1:1/secret"), NOTICE, now=0.0)
    assert str(refused.value) == says


def test_a_refusal_never_shows_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{port}/hook?key=secret-key")
    with pytest.raises(NoticeRefused, match=r"^it refused the connection$"):
        send_notice(hook_to("slack", "HOOK_URL"), NOTICE, now=0.0)
    with pytest.raises(NoticeRefused, match="variable NOT_SET isn't set, which teams names"):
        send_notice(hook_to("teams", "NOT_SET"), NOTICE, now=0.0)
    monkeypatch.setenv("PLAIN_URL", "http://hooks.example/secret")
    with pytest.raises(NoticeRefused, match="PLAIN_URL holds no https:// address"):
        send_notice(hook_to("webhook", "PLAIN_URL"), NOTICE, now=0.0)


def test_an_email_has_the_notice_and_one_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    with mail() as server:
        settings = email(server.port, user="mill", password="SMTP_PASSWORD")
        send_notice(settings, NOTICE, now=0.0)
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
        ({"RCPT": "550 a@example.com unknown"}, r"^it refused the recipients$"),
        ({"DATA": "554 no"}, r"^it answered with code 554$"),
        ({"EHLO": "500 what", "HELO": "500 what"}, r"^it answered with code 500$"),
        ({"AUTH": "535 hunter2 is wrong"}, r"^it refused the user or the password$"),
    ],
)
def test_a_mail_server_that_refuses_is_a_refusal(
    answers: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    with mail(answers=answers) as server:
        channel = email(server.port, user="mill", password="SMTP_PASSWORD")
        with pytest.raises(NoticeRefused, match=says):
            send_notice(channel, NOTICE, now=0.0)


def test_a_mail_server_without_tls_gets_nothing_in_the_clear() -> None:
    with mail(offers=()) as server:
        with pytest.raises(
            NoticeRefused, match=r"^it doesn't offer what the settings need: TLS, or a login$"
        ):
            send_notice(email(server.port, tls="starttls"), NOTICE, now=0.0)
        with pytest.raises(
            NoticeRefused, match=r"^it (can't be reached by TLS|closed the connection)$"
        ):
            send_notice(email(server.port, tls="tls"), NOTICE, now=0.0)
        assert server.messages == []
        settings = email(server.port, user="mill", password="NOT_SET")
        with pytest.raises(NoticeRefused, match="NOT_SET isn't set, which password names"):
            send_notice(settings, NOTICE, now=0.0)


def test_what_no_message_may_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_URL", "https://hooks.example/a")
    monkeypatch.setenv("HOOK_KEY", "the key")
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    monkeypatch.setenv("PAGER_KEY", "the pager")
    channels = [
        hook_to("webhook", "HOOK_URL", "HOOK_KEY"),
        hook_to("slack", "https://slack.example/b"),
        hook_to("teams", "NOT_SET"),
        email(25, user="mill", password="SMTP_PASSWORD"),
        command("page", env=("PAGER_KEY",)),
    ]
    assert channel_secrets(channels) == {
        "https://hooks.example/a", "https://slack.example/b", "the key", "hunter2", "the pager",
    }  # fmt: skip
    assert channel_secrets([]) == frozenset()


def command(*arguments: str, timeout_s: float = 60.0, env: tuple[str, ...] = ()) -> Channel:
    found = CommandSettings(arguments=arguments, timeout_s=timeout_s, env=env)
    return Channel(name="pager", kind=ChannelKind.COMMAND, command=found)


def python(code: str, **terms: Any) -> Channel:
    return command(sys.executable, "-c", code, **terms)


def test_a_command_gets_the_document_and_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    monkeypatch.setenv("PAGER_KEY", "the pager")
    to = tmp_path / "got.json"
    code = (
        "import json, os, sys\n"
        f"json.dump([json.load(sys.stdin), dict(os.environ)], open({str(to)!r}, 'w'))"
    )
    send_notice(python(code, env=("PAGER_KEY", "NOT_SET")), NOTICE, now=0.0)
    document, variables = json.loads(to.read_text())
    assert document == NOTICE.document
    assert variables["PAGER_KEY"] == "the pager"
    assert not {"DATABASE_PASSWORD", "NOT_SET"} & {*variables}


def test_a_command_is_read_by_no_shell(tmp_path: Path) -> None:
    to = tmp_path / "arguments"
    code = f"import sys; open({str(to)!r}, 'w').write(sys.argv[1])"
    send_notice(command(sys.executable, "-c", code, "$(id); `id`"), NOTICE, now=0.0)
    assert to.read_text() == "$(id); `id`"


def test_a_command_that_never_ends_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    to = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(to)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(to)!r} + '.new', {str(to)!r})\n"
        "time.sleep(600)\n"
    )
    # It may take long to start on a busy machine: it is waited for until it did.
    for timeout_s in (1.0, 4.0, 16.0, 60.0):
        with pytest.raises(NoticeRefused, match=f"^the command took longer than {timeout_s:g} s$"):
            send_notice(python(code, timeout_s=timeout_s), NOTICE, now=0.0)
        if to.exists():
            break
    own, child = map(int, to.read_text().split())
    with pytest.raises(ProcessLookupError):
        os.kill(own, 0)
    # What was ended is gone a moment later.
    deadline = time.monotonic() + 60
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that was ended, and that nobody waited for yet, doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit(3)", r"exit code 3$"),
        ("import os; os.kill(os.getpid(), 9)", r"killed by SIGKILL$"),
        ("import os; os.kill(os.getpid(), 40)", r"killed by signal 40$"),
    ],
)
def test_a_command_that_fails_is_a_refusal(code: str, says: str) -> None:
    with pytest.raises(NoticeRefused, match=says):
        send_notice(python(code), NOTICE, now=0.0)


def test_a_command_that_isnt_there_is_a_refusal() -> None:
    for name, why in (("/nowhere/page", "No such file or directory"), ("a\0b", "Invalid argument")):
        with pytest.raises(NoticeRefused, match=f"^the command can't be started: {why}$"):
            send_notice(command(name), NOTICE, now=0.0)


def test_a_command_that_reads_nothing_is_answered_all_the_same() -> None:
    large = replace(NOTICE, document={"text": "x" * 1_000_000})
    send_notice(python("pass"), large, now=0.0)


def test_tls_that_is_no_tls_is_a_refusal() -> None:
    with hook() as server:
        address = server.address.replace("http://", "https://")
        with pytest.raises(
            NoticeRefused, match=r"^it (can't be reached by TLS|closed the connection)$"
        ):
            send_notice(hook_to("slack", address), NOTICE, now=0.0)
    assert server.got == []
