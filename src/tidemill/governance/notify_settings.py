"""Read from the settings who is notified of reviews, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean

_ADDRESS = re.compile(r"https?://[^\s/@]+(/\S*)?")
_LOCAL = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/\S*)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAILBOX = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
_TLS = ("starttls", "tls", "none")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailSettings:
    """The server that takes e-mails, and who gets them. `password` names an environment variable."""

    host: str
    sender: str
    to: tuple[str, ...]
    port: int
    tls: str = "starttls"
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Who is notified of reviews: addresses of hooks, or names of environment variables that hold one.

    `webhook_key` names the variable with the key that signs what `webhook` gets. `link` is the address of a
    review's page, with `{id}`.
    """

    webhook: str = ""
    webhook_key: str = ""
    slack: str = ""
    teams: str = ""
    email: EmailSettings | None = None
    link: str = ""

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels that are configured."""
        named = {
            "webhook": self.webhook,
            "slack": self.slack,
            "teams": self.teams,
            "email": self.email,
        }
        return tuple(name for name, value in named.items() if value)


def parse_notify_settings(table: Mapping[str, Any], place: str) -> NotifySettings:
    """Read the table `notify`; `place` names it in messages. UsageError names the entry and what fits."""
    keys = ("webhook", "webhook_key", "slack", "teams", "email", "link")
    _require_known(table, keys, place)
    hooks = {name: _hook(table, name, place) for name in ("webhook", "slack", "teams")}
    key = _text(table, "webhook_key", place)
    if key and not _VARIABLE.fullmatch(key):
        raise UsageError(f"{place} webhook_key = {key!r} isn't the name of an environment variable")
    link = _text(table, "link", place)
    if link and (not is_allowed_address(link) or "{id}" not in link):
        raise UsageError(
            f"{place} link = {link!r} isn't an address with {{id}}, such as "
            '"https://tidemill.example.com/reviews/{id}"'
        )
    email, email_place = table.get("email"), f"{place[:-1]}.email]"
    if email is not None and not isinstance(email, dict):
        raise UsageError(f"{email_place} = {email!r} is not a table")
    return NotifySettings(
        **hooks,
        webhook_key=key,
        link=link,
        email=None if email is None else _email(email, email_place),
    )


def _email(table: Mapping[str, Any], place: str) -> EmailSettings:
    _require_known(table, ("host", "port", "from", "to", "user", "password", "tls"), place)
    host, sender = _text(table, "host", place), _text(table, "from", place)
    to = table.get("to", [])
    people = to if isinstance(to, list) else [to]
    if not host:
        raise UsageError(f'{place} needs host = "smtp.example.com"')
    for name, mailbox in (("from", sender), *(("to", each) for each in people)):
        if not isinstance(mailbox, str) or not _MAILBOX.fullmatch(mailbox):
            raise UsageError(
                f'{place} {name} = {mailbox!r} isn\'t an address, such as "ops@example.com"'
            )
    if not people:
        raise UsageError(f'{place} needs to = ["ops@example.com"]')
    tls = _text(table, "tls", place) or "starttls"
    if tls not in _TLS:
        raise UsageError(f"{place} tls = {tls!r} is not one of {', '.join(map(repr, _TLS))}")
    port = table.get("port", _PORTS[tls])
    if type(port) is not int or not 0 < port < 65_536:
        raise UsageError(f"{place} port = {port!r} is not a port, such as {_PORTS[tls]}")
    user, password = _login(table, place, host=host, tls=tls)
    return EmailSettings(
        host=host, sender=sender, to=tuple(people), port=port, tls=tls, user=user, password=password
    )


def _login(table: Mapping[str, Any], place: str, *, host: str, tls: str) -> tuple[str, str]:
    """The user at the server, and the variable with the password; both empty if it needs none."""
    user, password = _text(table, "user", place), _text(table, "password", place)
    if bool(user) != bool(password):
        raise UsageError(f"{place} user and password belong together")
    if password and not _VARIABLE.fullmatch(password):
        raise UsageError(
            f"{place} password names the environment variable that holds it, such as SMTP_PASSWORD"
        )
    if user and tls == "none" and not _is_this_machine(host):
        raise UsageError(
            f'{place} tls = "none" would send the password of {user} to {host} in clear text: use '
            '"starttls" or "tls", or leave out user and password'
        )
    return user, password


def _is_this_machine(host: str) -> bool:
    """Whether what is sent to a host stays on this machine, without asking what its name stands for."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _hook(table: Mapping[str, Any], name: str, place: str) -> str:
    value = _text(table, name, place)
    if value and not is_allowed_address(value) and not _VARIABLE.fullmatch(value):
        raise UsageError(
            f"{place} {name} = {value!r} is neither an https:// address nor the name of an environment "
            f"variable that holds one, such as {name.upper()}_URL"
        )
    return value


def is_allowed_address(address: str) -> bool:
    """Whether notices may be sent there: over TLS, or to this machine; without a password in it."""
    if address.startswith("http://"):
        return _LOCAL.fullmatch(address) is not None
    return _ADDRESS.fullmatch(address) is not None


def _require_known(table: Mapping[str, Any], keys: tuple[str, ...], place: str) -> None:
    for name in table:
        if name not in keys:
            raise UsageError(f"{place} {name}: {did_you_mean(name, keys)}")


def _text(table: Mapping[str, Any], name: str, place: str) -> str:
    value = table.get(name, "")
    if not isinstance(value, str):
        raise UsageError(f"{place} {name} = {value!r} is not text")
    return value.strip()
