"""Read from the settings by which channels notices are sent: webhook, Slack, Teams, e-mail or a command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds

_ADDRESS = re.compile(r"https?://[^\s/@]+(/\S*)?")
_LOCAL = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/\S*)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAILBOX = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
_TLS = ("starttls", "tls", "none")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
# All notices of a command have 10 s together: what they start has ended by then.
_COMMAND_S, _LONGEST_COMMAND_S = 5.0, 8.0


class ChannelKind(StrEnum):
    """How a channel is reached."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    TEAMS = "teams"
    EMAIL = "email"
    COMMAND = "command"


HOOKS = (ChannelKind.WEBHOOK, ChannelKind.SLACK, ChannelKind.TEAMS)


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
class CommandSettings:
    """A program and its arguments, which gets a notice as JSON on its stdin within `timeout_s` seconds.

    Of the environment it gets only what names no secret, and the variables in `env`.
    """

    arguments: tuple[str, ...]
    timeout_s: float = _COMMAND_S
    env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel by its name. A hook has an `address`, or the name of an environment variable that holds one.

    `key` names the variable with the key that signs what a webhook gets.
    """

    name: str
    kind: ChannelKind
    address: str = ""
    key: str = ""
    email: EmailSettings | None = None
    command: CommandSettings | None = None


def parse_channel(name: str, table: Mapping[str, Any], place: str) -> Channel:
    """Read the table of a channel with its `kind`; UsageError names the entry and what fits."""
    found = entry_text(table, "kind", place)
    kinds = [str(kind) for kind in ChannelKind]
    if found not in kinds:
        raise UsageError(f"{place} kind = {found!r}: {did_you_mean(found, kinds)}")
    kind = ChannelKind(found)
    rest = {key: value for key, value in table.items() if key != "kind"}
    if kind is ChannelKind.EMAIL:
        return Channel(name=name, kind=kind, email=parse_email(rest, place))
    if kind is ChannelKind.COMMAND:
        return Channel(name=name, kind=kind, command=_command(rest, place))
    require_known(rest, ("url", "key") if kind is ChannelKind.WEBHOOK else ("url",), place)
    address = parse_hook(rest, "url", place, kind)
    if not address:
        raise UsageError(
            f'{place} needs url = "https://..." or the name of an environment variable that holds one'
        )
    return Channel(name=name, kind=kind, address=address, key=parse_variable(rest, "key", place))


def _command(table: Mapping[str, Any], place: str) -> CommandSettings:
    require_known(table, ("command", "timeout", "env"), place)
    arguments, env = table.get("command"), table.get("env", [])
    if not _is_texts(arguments) or not arguments:
        raise UsageError(
            f"{place} command = {arguments!r} is not a list of a program and its arguments, such as "
            '["/usr/local/bin/page", "--quiet"]; no shell reads it'
        )
    if not _is_texts(env) or not all(map(_VARIABLE.fullmatch, env)):
        raise UsageError(f"{place} env = {env!r} is not a list of names of environment variables")
    timeout = table.get("timeout", _COMMAND_S)
    try:
        seconds = parse_seconds(timeout)
    except ValueError as error:
        raise UsageError(f"{place} timeout: {error}") from None
    if seconds > _LONGEST_COMMAND_S:
        raise UsageError(f"{place} timeout = {timeout!r} is longer than {_LONGEST_COMMAND_S:g} s")
    return CommandSettings(arguments=tuple(arguments), timeout_s=seconds, env=tuple(env))


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, str) and each and "\0" not in each for each in value
    )


def parse_email(table: Mapping[str, Any], place: str) -> EmailSettings:
    """Read the table of a mail server and of who gets e-mails; UsageError as for a channel."""
    require_known(table, ("host", "port", "from", "to", "user", "password", "tls"), place)
    host, sender = entry_text(table, "host", place), entry_text(table, "from", place)
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
    tls = entry_text(table, "tls", place) or "starttls"
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
    user, password = entry_text(table, "user", place), entry_text(table, "password", place)
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


def parse_hook(table: Mapping[str, Any], name: str, place: str, kind: str = "") -> str:
    """The address of a hook of a kind, or the name of the variable that holds it; "" if there is none."""
    value = entry_text(table, name, place)
    if value and not is_allowed_address(value) and not _VARIABLE.fullmatch(value):
        raise UsageError(
            f"{place} {name} = {value!r} is neither an https:// address nor the name of an environment "
            f"variable that holds one, such as {(kind or name).upper()}_URL"
        )
    return value


def parse_variable(table: Mapping[str, Any], name: str, place: str) -> str:
    """The name of an environment variable; "" if there is none."""
    value = entry_text(table, name, place)
    if value and not _VARIABLE.fullmatch(value):
        raise UsageError(f"{place} {name} = {value!r} isn't the name of an environment variable")
    return value


def is_allowed_address(address: str) -> bool:
    """Whether notices may be sent there: over TLS, or to this machine; without a password in it."""
    if address.startswith("http://"):
        return _LOCAL.fullmatch(address) is not None
    return _ADDRESS.fullmatch(address) is not None


def require_known(table: Mapping[str, Any], keys: tuple[str, ...], place: str) -> None:
    """Raise UsageError for an entry of another name."""
    for name in table:
        if name not in keys:
            raise UsageError(f"{place} {name}: {did_you_mean(name, keys)}")


def entry_text(table: Mapping[str, Any], name: str, place: str) -> str:
    """The text of an entry without spaces around it; "" if there is none."""
    value = table.get(name, "")
    if not isinstance(value, str):
        raise UsageError(f"{place} {name} = {value!r} is not text")
    return value.strip()
