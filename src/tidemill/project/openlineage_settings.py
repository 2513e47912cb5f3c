"""The settings of OpenLineage, from `[tool.tidemill.openlineage]`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds

_ENV = "env:"
_TARGETS = ("url", "file", "command")
_API_KEY = 'use api_key = "env:NAME"'


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLineageSettings:
    """Where events are sent: a server's `url`, a `file`, or the standard input of a `command`.

    `endpoint` is the path below the URL. `url` and `api_key` may be `env:NAME`; a key is always. Jobs and
    stages are in the `namespace`. With `gzip` requests are compressed. A request may wait `timeout` seconds
    for the server, the end of a run `flush` seconds for all that is left.
    """

    url: str = ""
    file: str = ""
    command: tuple[str, ...] = ()
    endpoint: str = "api/v1/lineage"
    namespace: str = "tidemill"
    api_key: str = ""
    gzip: bool = False
    timeout: float = 5.0
    flush: float = 2.0

    @property
    def sends(self) -> bool:
        """Whether events are sent: a URL in a variable that isn't set switches it off."""
        return bool(self.file or self.command or resolve_variable(self.url))

    @property
    def target(self) -> str:
        """What the settings name: a file, a command or a server, whose URL is in a variable perhaps."""
        return self.file or " ".join(self.command) or self.url


def parse_openlineage(table: Mapping[str, Any], place: str) -> OpenLineageSettings:
    """Read the table; `place` names it in messages. UsageError names the setting, its value and what fits."""
    known = [field.name for field in fields(OpenLineageSettings)]
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
        try:
            values[name] = _READERS[name](value)
        except ValueError as error:
            raise UsageError(f"{place} {name} = {_shown(name, value)} {error}") from None
    targets = [name for name in _TARGETS if values.get(name)]
    if len(targets) > 1:
        raise UsageError(f"{place} has {' and '.join(targets)}: choose one")
    return OpenLineageSettings(**values)


def lineage_url(settings: OpenLineageSettings) -> str:
    """The URL that events are posted to; UsageError if the variable that it is in holds none."""
    base = resolve_variable(settings.url)
    try:
        check_server_url(base, _API_KEY)
    except ValueError as error:
        raise UsageError(f"{settings.url} {error}") from None
    return f"{base.rstrip('/')}/{settings.endpoint.lstrip('/')}"


def resolve_variable(text: str) -> str:
    """The value of the variable that `env:NAME` names, "" if it isn't set; other text as it is."""
    if text.startswith(_ENV):
        return os.environ.get(text.removeprefix(_ENV), "").strip()
    return text


def _shown(name: str, value: object) -> str:
    # A key, or a URL with a password, isn't repeated.
    return "..." if name in ("api_key", "url") else repr(value)


def check_server_url(url: str, credentials: str) -> None:
    """Raise ValueError for what isn't the URL of a server; `credentials` says where a user belongs."""
    try:
        parts = urlsplit(url)
        secret, host, _ = "@" in parts.netloc, parts.hostname, parts.port
    except ValueError:
        parts, secret, host = None, False, None
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise ValueError("is not an http:// or https:// URL")
    if secret:
        raise ValueError(f"has a user or a password: {credentials}")


def _url(value: object) -> str:
    text = _text(value)
    if not text.startswith(_ENV):
        check_server_url(text, _API_KEY)
    return text


def _key(value: object) -> str:
    text = _text(value)
    if not text.startswith(_ENV) or text == _ENV:
        raise ValueError('would be in a file that others read: write "env:NAME"')
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not text")
    return value


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(w, str) for w in value):
        raise ValueError(
            'is not a list of a program and its arguments, such as ["ship", "--lines"]'
        )
    return tuple(value)


def read_flag(value: object) -> bool:
    """Return a flag; ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError("is not true or false")
    return value


def _seconds(value: Any) -> float:
    try:
        return parse_seconds(value)
    except ValueError:
        raise ValueError("is not a duration; write seconds, or text such as '2s'") from None


_READERS: dict[str, Callable[[Any], object]] = {
    "url": _url,
    "file": _text,
    "command": _words,
    "endpoint": _text,
    "namespace": _text,
    "api_key": _key,
    "gzip": read_flag,
    "timeout": _seconds,
    "flush": _seconds,
}
