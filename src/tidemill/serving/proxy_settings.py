"""The settings of a proxy that says who asks, from `[tool.tidemill.serve.proxy]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass

# Proxies drop headers with `_` in their name, or take them for those with `-`.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
# Headers that mean something else to this server, to proxies or to browsers.
_TAKEN = frozenset((
    "accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length",
    "content-type", "cookie", "expect", "host", "inference-header-content-length", "keep-alive", "origin",
    "te", "tidemill-key", "traceparent", "trailer", "transfer-encoding", "upgrade", "user-agent",
    "x-forwarded-proto", "x-request-id", "x-request-timeout-ms",
))  # fmt: skip
_HEADERS = ("user_header", "groups_header", "secret_header")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """The headers in which a proxy names the user and its groups, and proves that it is the proxy.

    `groups_header` is "" if it states none. The secret that it sends in `secret_header` is the value of the
    environment variable `secret_env`, or in `secret_file`, relative to the project; without either the server
    listens on a Unix socket that only the proxy may open.
    """

    user_header: str = "X-Forwarded-User"
    groups_header: str = ""
    secret_header: str = "Tidemill-Proxy-Secret"
    secret_env: str = ""
    secret_file: str = ""

    @property
    def has_secret(self) -> bool:
        """Whether the proxy sends a secret."""
        return bool(self.secret_env or self.secret_file)


def parse_proxy_settings(table: object, place: str) -> ProxySettings:
    """Read the table; `place` names it in messages. UsageError names the setting, its value and what fits."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{place} = {table!r} is not a table")
    known = [field.name for field in fields(ProxySettings)]
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
        fault = _fault(name, value)
        if fault:
            raise UsageError(f"{place} {name} = {value!r} {fault}")
    settings = ProxySettings(**table)
    if settings.secret_env and settings.secret_file:
        raise UsageError(f"{place} has secret_env and secret_file: name one of them")
    used: dict[str, str] = {}
    for name in _HEADERS:
        header = str(getattr(settings, name))
        other = used.setdefault(header.lower(), name)
        if header and other != name:
            raise UsageError(f"{place} {name} = {header!r} is the {other} as well")
    return settings


def _fault(name: str, value: Any) -> str:
    """What is wrong with the value of a setting, "" if nothing is."""
    if not isinstance(value, str) or not value.strip():
        return "is not text"
    if name not in _HEADERS:
        return ""
    if not _NAME.fullmatch(value):
        return "is not a name of letters, digits and hyphens, such as X-Forwarded-User"
    return "is a header with another meaning: choose another one" if value.lower() in _TAKEN else ""
