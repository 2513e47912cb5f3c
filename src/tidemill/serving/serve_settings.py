"""The settings of `tidemill serve`, from `[tool.tidemill.serve]`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from math import isfinite
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_number, parse_bytes, parse_seconds
from tidemill.serving.host_names import is_loopback, parse_name, parse_origin
from tidemill.serving.proxy_settings import ProxySettings, parse_proxy_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Where to listen, who may call, and how much is accepted; sizes in bytes, times in seconds.

    With `socket`, a path relative to the project, the server listens on a Unix socket instead of `host` and
    `port`; its owner and the members of the group `socket_group` may connect. `certificate` and `key` are PEM
    files, relative to the project, and switch TLS on; the environment variable `key_password_env` has the
    password of an encrypted key. `allowed_hosts` are the names under which callers reach
    the server, beside `host` and those of loopback; `cors` are the origins whose pages may call it. Callers
    have to say who they are where `needs_authentication` says so: by a token, or through `proxy`.

    A token, or a user whom the proxy names, is allowed `rate` requests a second, and `burst` at once (0: as
    many as one second allows); 0 is no limit. More than `max_in_flight` requests at once, bodies of more than
    `max_body` bytes and more than `max_rows` rows are refused. A caller has `header_timeout` for the headers
    and `body_timeout` for the body; a connection without requests is closed after `keep_alive`. A server that
    stops first says for `drain_delay` that it isn't ready, and waits for requests in flight for `drain` at
    most.

    With `grpc` the Open Inference Protocol is answered over gRPC as well, on the same port or socket.

    Up to `workers` processes serve; those beyond the first are released after `release` without need.
    `access_log` is a file, "" for none; `telemetry` exports through OpenTelemetry. `cached_answers` are
    kept, 0 for none.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    socket: str = ""
    socket_group: str = ""
    certificate: str = ""
    key: str = ""
    key_password_env: str = ""
    grpc: bool = False
    allowed_hosts: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    require_tokens: bool = False
    proxy: ProxySettings | None = None
    rate: float = 0.0
    burst: float = 0.0
    max_in_flight: int = 64
    max_connections: int = 1000
    max_body: int = 8_000_000
    max_rows: int = 10_000
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    keep_alive: float = 75.0
    drain: float = 30.0
    drain_delay: float = 0.0
    workers: int = 1
    release: float = 60.0
    access_log: str = ""
    telemetry: bool = False
    cached_answers: int = 0

    @property
    def base_url(self) -> str:
        """Where callers reach the server, for examples."""
        scheme = "https" if self.certificate else "http"
        name = (*self.allowed_hosts, self.host)[0]
        return f"{scheme}://{f'[{name}]' if ':' in name else name}:{self.port}"

    @property
    def is_exposed(self) -> bool:
        """Whether others than users of this machine can reach the server, directly or through a proxy."""
        return not all(map(_is_local, (self.host, *self.allowed_hosts)))

    @property
    def needs_authentication(self) -> bool:
        """Whether callers have to say who they are: beyond loopback, and behind a trusted proxy, always."""
        return self.require_tokens or self.is_exposed or self.proxy is not None

    @property
    def uses_tls(self) -> bool:
        """Whether the server speaks HTTPS itself."""
        return bool(self.certificate)


def parse_serve_settings(table: Mapping[str, Any], place: str) -> ServeSettings:
    """Read the table; `place` names it in messages. UsageError names the setting, its value and what fits."""
    known = [field.name for field in fields(ServeSettings)]
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
        values[name] = (
            parse_proxy_settings(value, f"{place.removesuffix(']')}.proxy]")
            if name == "proxy"
            else _read(name, value, f"{place} {name} =")
        )
    settings = ServeSettings(**values)
    for fault in _faults(settings, table):
        raise UsageError(f"{place} {fault}")
    return settings


def with_options(settings: ServeSettings, options: Mapping[str, Any]) -> ServeSettings:
    """The settings with options of a command line in place of some; UsageError for one that doesn't fit."""
    read = {name: _read(name, value, f"--{name}") for name, value in options.items()}
    for name in ("host", "port"):
        if settings.socket and name in read:
            raise UsageError(
                f"--{name} doesn't fit socket = {settings.socket!r} in [tool.tidemill.serve]: a server "
                "listens on one of them"
            )
    return replace(settings, **read)


def _read(name: str, value: object, place: str) -> Any:
    try:
        return _READERS[name](value)
    except ValueError as error:
        raise UsageError(f"{place} {value!r} {error}") from error


def require_safe_place(settings: ServeSettings, valid_tokens: int) -> None:
    """Raise UsageError for a server that can't tell who asks, or to which nobody has a valid token."""
    if settings.proxy is not None:
        for fault in _proxy_faults(settings, settings.proxy):
            raise UsageError(f"the server {fault}")
    if settings.needs_authentication and settings.proxy is None and not valid_tokens:
        why = "require_tokens is set"
        if settings.is_exposed:
            where = next(n for n in (settings.host, *settings.allowed_hosts) if not _is_local(n))
            why = f"others can reach {where}"
        raise UsageError(
            f"{why}, and no token is valid: create one with `tidemill tokens create HOLDER`, let a "
            "proxy name the users ([tool.tidemill.serve.proxy]), or serve on 127.0.0.1 without "
            "allowed_hosts of other machines"
        )


def _is_local(name: str) -> bool:
    found = parse_name(name)
    return found is not None and is_loopback(found.host)


def _faults(settings: ServeSettings, table: Mapping[str, Any]) -> list[str]:
    found = []
    for name in ("host", "port"):
        if settings.socket and name in table:
            found.append(f"has a socket and a {name}: a server listens on one of them")
    if settings.socket_group and not settings.socket:
        found.append("has a socket_group without a socket")
    if settings.proxy is not None:
        found.extend(_proxy_faults(settings, settings.proxy))
    if bool(settings.certificate) != bool(settings.key):
        there, missing = ("certificate", "key") if settings.certificate else ("key", "certificate")
        found.append(f"has a {there} without a {missing}: TLS needs both")
    if settings.key_password_env and not settings.key:
        found.append("has a key_password_env without a key")
    if settings.burst and not settings.rate:
        found.append("has a burst without a rate, which limits nothing: set rate as well")
    return found


def _proxy_faults(settings: ServeSettings, proxy: ProxySettings) -> list[str]:
    found = []
    if not settings.socket and not proxy.has_secret:
        found.append(
            f"has a proxy that nothing tells from others who send {proxy.user_header}: let it send a secret "
            "(secret_env or secret_file), or listen on a Unix socket (socket)"
        )
    if settings.require_tokens:
        found.append(
            "has a proxy and require_tokens: with a proxy all callers have a token or come through it; "
            "remove one of the two"
        )
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("is not text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is not true or false")
    return value


def _host(value: object) -> str:
    found = parse_name(_text(value))
    if found is None or found.port is not None:
        raise ValueError(
            "is not a host, such as 127.0.0.1, ::1 or 0.0.0.0; the port has its own setting"
        )
    return found.host


def _texts(value: object, read: Callable[[str], str]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("is not a list")
    return tuple(read(item) for item in value)


def _allowed_host(value: object) -> str:
    found = parse_name(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(
            f"holds {value!r}, which is not a host such as ml.example.com or 10.0.0.5:8443"
        )
    return str(found)


def _origin(value: object) -> str:
    if value == "*":
        raise ValueError("would let every page call the server: name the origins")
    found = parse_origin(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"holds {value!r}, which is not an origin such as https://app.example.com")
    return f"{found[0]}://{found[1]}"


def _whole(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"is not a whole number from {least} to {most}")
        return value

    return read


def _rate(value: object) -> float:
    if not is_number(value) or not isfinite(value) or value < 0 or 0 < value < 1e-3:
        raise ValueError("is not a number of requests, such as 50 or 0.5; 0 is no limit")
    return float(value)


def _burst(value: object) -> float:
    if not is_number(value) or not isfinite(value) or (value != 0 and value < 1):
        raise ValueError("is not a number of requests from 1; 0 is what one second allows")
    return float(value)


def _size(value: Any) -> int:
    try:
        return parse_bytes(value)
    except ValueError:
        raise ValueError("is not an amount of memory; write bytes, or text such as '8MB'") from None


def _seconds(value: Any) -> float:
    try:
        return parse_seconds(value)
    except ValueError:
        raise ValueError("is not a duration; write seconds, or text such as '90s'") from None


_MANY = 1_000_000_000
_READERS: dict[str, Callable[[Any], object]] = {
    "host": _host,
    "port": _whole(0, 65_535),
    "socket": _text,
    "socket_group": _text,
    "certificate": _text,
    "key": _text,
    "key_password_env": _text,
    "grpc": _flag,
    "allowed_hosts": lambda value: _texts(value, _allowed_host),
    "cors": lambda value: _texts(value, _origin),
    "require_tokens": _flag,
    "rate": _rate,
    "burst": _burst,
    "max_in_flight": _whole(1, _MANY),
    "max_connections": _whole(1, _MANY),
    "max_body": _size,
    "max_rows": _whole(1, _MANY),
    "header_timeout": _seconds,
    "body_timeout": _seconds,
    "keep_alive": _seconds,
    "drain": _seconds,
    "drain_delay": _seconds,
    "workers": _whole(1, 1024),
    "release": _seconds,
    "access_log": _text,
    "telemetry": _flag,
    "cached_answers": _whole(0, _MANY),
}
