"""Send a notice by webhook, Slack, Teams, e-mail or a command. Nothing is retried, no redirect followed."""

from __future__ import annotations

import errno
import os
import signal
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from email.message import EmailMessage
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPSConnection,
    InvalidURL,
    RemoteDisconnected,
)
from urllib.parse import urlsplit

from tidemill.notices.channel_settings import (
    HOOKS,
    Channel,
    ChannelKind,
    EmailSettings,
    is_allowed_address,
)
from tidemill.notices.notice import (
    Notice,
    email_text,
    signature,
    slack_body,
    teams_body,
    webhook_body,
)

# What each step of sending may take: connecting, or waiting for an answer.
TIMEOUT_S = 5.0
# The environment variables that a command gets without naming them.
_HARMLESS = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME")


class NoticeRefused(Exception):
    """A channel didn't accept a notice; the message has no secrets."""


def send_notice(channel: Channel, notice: Notice, now: float) -> None:
    """Send a notice by a channel; NoticeRefused says why it wasn't accepted."""
    _refusing(lambda: _SENDERS[channel.kind](channel, notice, now))


def get_address(channel: Channel) -> None:
    """Ask for the address of a hook; NoticeRefused says why that wasn't accepted."""
    _refusing(lambda: _request("GET", _address(channel), None, {}))


def _refusing(act: Callable[[], None]) -> None:
    try:
        act()
    except (OSError, HTTPException, smtplib.SMTPException, ValueError) as error:
        # Messages of libraries may have addresses, which are secrets.
        raise NoticeRefused(_reason(error)) from None


def _reason(error: Exception) -> str:
    # smtplib says of a server that doesn't answer that it closed the connection.
    if any(isinstance(each, TimeoutError) for each in (error, error.__context__)):
        return f"it didn't answer within {TIMEOUT_S:g} s"
    text = next((text for kinds, text in _REASONS if isinstance(error, kinds)), "")
    if text:
        return text
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered with code {error.smtp_code}"
    if isinstance(error, OSError) and error.errno:
        return f"it can't be reached: {os.strerror(error.errno)}"
    return "it can't be used"


_CLOSED = (
    smtplib.SMTPServerDisconnected,
    RemoteDisconnected,
    ConnectionResetError,
    BrokenPipeError,
)
# The first kind that fits counts.
_REASONS: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (_CLOSED, "it closed the connection"),
    (ConnectionRefusedError, "it refused the connection"),
    (socket.gaierror, "its host name is unknown"),
    (ssl.SSLCertVerificationError, "its certificate isn't valid here"),
    (ssl.SSLError, "it can't be reached by TLS"),
    (smtplib.SMTPAuthenticationError, "it refused the user or the password"),
    (smtplib.SMTPRecipientsRefused, "it refused the recipients"),
    (smtplib.SMTPSenderRefused, "it refused the sender"),
    (smtplib.SMTPNotSupportedError, "it doesn't offer what the settings need: TLS, or a login"),
    ((InvalidURL, ValueError), "its address, or another setting, can't be used"),
    (HTTPException, "its answer isn't HTTP"),
)


def _send_webhook(channel: Channel, notice: Notice, now: float) -> None:
    body, headers = webhook_body(notice), {"X-Tidemill-Notice": notice.id}
    if channel.key:
        at = int(now)
        key = _variable(channel.key, f"the key of {channel.name}").encode()
        headers["X-Tidemill-Timestamp"] = str(at)
        headers["X-Tidemill-Signature"] = f"sha256={signature(key, at, body)}"
    _post(_address(channel), body, headers)


def _send_slack(channel: Channel, notice: Notice, now: float) -> None:
    _post(_address(channel), slack_body(notice), {})


def _send_teams(channel: Channel, notice: Notice, now: float) -> None:
    _post(_address(channel), teams_body(notice), {})


def _post(address: str, body: bytes, headers: Mapping[str, str]) -> None:
    kind = "application/json; charset=utf-8"
    _request("POST", address, body, {"Content-Type": kind, **headers})


def _request(method: str, address: str, body: bytes | None, headers: Mapping[str, str]) -> None:
    parts = urlsplit(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, {"User-Agent": "tidemill", **headers})
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NoticeRefused(f"it answered with status {status}")


def _send_email(channel: Channel, notice: Notice, now: float) -> None:
    found = channel.email
    assert found is not None
    message = EmailMessage()
    message["Subject"] = f"[tidemill] {notice.title}"
    message["From"] = found.sender
    message["To"] = ", ".join(found.to)
    message["Message-ID"] = f"<{notice.id}@{found.sender.partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(email_text(notice))
    with _connected(found) as server:
        if found.user:
            server.login(found.user, _variable(found.password, "password"))
        server.send_message(message)


def _connected(settings: EmailSettings) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if settings.tls == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT_S, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_S)
    with ExitStack() as undo:
        undo.callback(server.close)
        if settings.tls == "starttls":
            server.starttls(context=context)
        undo.pop_all()
    return server


def _run_command(channel: Channel, notice: Notice, now: float) -> None:
    """Run the command of a channel, which reads the document; all that it started ends with it."""
    found = channel.command
    assert found is not None
    names = (*_HARMLESS, *found.env)
    try:
        process = subprocess.Popen(
            found.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in names if name in os.environ},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = os.strerror(getattr(error, "errno", errno.EINVAL))
        raise NoticeRefused(f"the command can't be started: {why}") from None
    try:
        process.communicate(webhook_body(notice) + b"\n", timeout=found.timeout_s)
    except subprocess.TimeoutExpired:
        raise NoticeRefused(f"the command took longer than {found.timeout_s:g} s") from None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode < 0:
        raise NoticeRefused(f"the command was killed by {_signal_name(-process.returncode)}")
    if process.returncode:
        raise NoticeRefused(f"the command ended with exit code {process.returncode}")


def _signal_name(number: int) -> str:
    known = number in {*signal.Signals}
    return signal.Signals(number).name if known else f"signal {number}"


def _address(channel: Channel) -> str:
    """The address of a hook: as it is in the settings, or in the environment variable that they name."""
    if "://" in channel.address:
        return channel.address
    found = _variable(channel.address, channel.name)
    if not is_allowed_address(found):
        raise NoticeRefused(f"the environment variable {channel.address} holds no https:// address")
    return found


def _variable(variable: str, name: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise NoticeRefused(f"the environment variable {variable} isn't set, which {name} names")
    return value


def channel_variables(channels: Iterable[Channel]) -> frozenset[str]:
    """The environment variables with addresses, keys, passwords and more that channels name."""
    found: set[str] = set()
    for channel in channels:
        found |= {channel.key, channel.email.password if channel.email else ""}
        found |= {*channel.command.env} if channel.command else set()
        if channel.kind in HOOKS and "://" not in channel.address:
            found.add(channel.address)
    return frozenset(found - {""})


def channel_secrets(channels: Iterable[Channel]) -> frozenset[str]:
    """The values that no message may show: of the variables that channels name, and addresses of hooks."""
    every = [*channels]
    found = {os.environ.get(name, "").strip() for name in channel_variables(every)}
    found |= {channel.address for channel in every if "://" in channel.address}
    return frozenset(found - {""})


_SENDERS: Mapping[ChannelKind, Callable[[Channel, Notice, float], None]] = {
    ChannelKind.WEBHOOK: _send_webhook,
    ChannelKind.SLACK: _send_slack,
    ChannelKind.TEAMS: _send_teams,
    ChannelKind.EMAIL: _send_email,
    ChannelKind.COMMAND: _run_command,
}
