"""Send a notice by webhook, Slack, Teams or e-mail. Nothing is retried here, and no redirect is followed."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from email.message import EmailMessage
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from tidemill.governance.notices import (
    Notice,
    email_text,
    signature,
    slack_body,
    teams_body,
    webhook_body,
)
from tidemill.governance.notify_settings import EmailSettings, NotifySettings, is_allowed_address

# What each step of sending may take: connecting, or waiting for an answer.
TIMEOUT_S = 5.0


class NoticeRefused(Exception):
    """A channel didn't accept a notice; the message has no secrets."""


def send_notice(channel: str, notice: Notice, settings: NotifySettings, now: float) -> None:
    """Send a notice by a channel; NoticeRefused says why it wasn't accepted."""
    try:
        _SENDERS[channel](notice, settings, now)
    except (OSError, HTTPException, smtplib.SMTPException, ValueError) as error:
        # Messages of libraries may have addresses, which are secrets.
        raise NoticeRefused(f"{type(error).__name__}{_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f" {error.smtp_code}"
    return f": {os.strerror(error.errno)}" if isinstance(error, OSError) and error.errno else ""


def _send_webhook(notice: Notice, settings: NotifySettings, now: float) -> None:
    body, headers = webhook_body(notice), {"X-Tidemill-Notice": notice.id}
    if settings.webhook_key:
        at = int(now)
        key = _variable(settings.webhook_key, "webhook_key").encode()
        headers["X-Tidemill-Timestamp"] = str(at)
        headers["X-Tidemill-Signature"] = f"sha256={signature(key, at, body)}"
    _post(_address(settings.webhook, "webhook"), body, headers)


def _send_slack(notice: Notice, settings: NotifySettings, now: float) -> None:
    _post(_address(settings.slack, "slack"), slack_body(notice), {})


def _send_teams(notice: Notice, settings: NotifySettings, now: float) -> None:
    _post(_address(settings.teams, "teams"), teams_body(notice), {})


def _post(address: str, body: bytes, headers: Mapping[str, str]) -> None:
    parts = urlsplit(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    given = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "tidemill", **headers}
    try:
        connection.request("POST", target, body, given)
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NoticeRefused(f"it answered with status {status}")


def _send_email(notice: Notice, settings: NotifySettings, now: float) -> None:
    found = settings.email
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


def _address(value: str, name: str) -> str:
    """The address of a hook: as it is in the settings, or in the environment variable that they name."""
    if "://" in value:
        return value
    found = _variable(value, name)
    if not is_allowed_address(found):
        raise NoticeRefused(f"the environment variable {value} holds no https:// address")
    return found


def _variable(variable: str, name: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise NoticeRefused(f"the environment variable {variable} isn't set, which {name} names")
    return value


def channel_secrets(settings: NotifySettings) -> frozenset[str]:
    """The values that no message may show: addresses of hooks, the key, and the password."""
    hooks = (settings.webhook, settings.slack, settings.teams)
    names = [each for each in hooks if each and "://" not in each]
    names += [settings.webhook_key, settings.email.password if settings.email else ""]
    values = [os.environ.get(name, "").strip() for name in names if name]
    return frozenset(
        value for value in [*values, *(each for each in hooks if "://" in each)] if value
    )


_SENDERS: Mapping[str, Callable[[Notice, NotifySettings, float], None]] = {
    "webhook": _send_webhook,
    "slack": _send_slack,
    "teams": _send_teams,
    "email": _send_email,
}
