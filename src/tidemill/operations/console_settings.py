"""The settings of the console, from `[tool.tidemill.console]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds
from tidemill.serving.host_names import parse_name, parse_origin

_TIMES = ("session", "idle")
_KEYS = ("host", "port", "hosts", "url", "up", *_TIMES)
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """`host` and `port` are where the console listens; times are in seconds.

    Port 0 is any that is free; without a choice it is 8484, or the next that is free. Browsers may reach it
    by the names `hosts` as well as by its address, and by the public `url`, such as that of a proxy. People
    log in again after `session`. A process that has the workflow imported ends after `idle` without
    requests. `tidemill up` opens the console if `up`.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    hosts: tuple[str, ...] = ()
    url: str = ""
    session: float = 12 * 3_600.0
    idle: float = 120.0
    up: bool = True


def parse_console_settings(table: Mapping[str, Any], place: str) -> ConsoleSettings:
    """Read the table `console`; `place` names it in messages. UsageError names the entry and what fits."""
    for name in table:
        if name not in _KEYS:
            raise UsageError(f"{place} {name}: {did_you_mean(name, _KEYS)}")
    known = ConsoleSettings()
    hosts = table.get("hosts", [])
    if not isinstance(hosts, list):
        raise UsageError(
            f'{place} hosts = {hosts!r} is not a list, such as ["console.example.org"]'
        )
    return ConsoleSettings(
        host=_host(table.get("host", known.host), "host", place),
        port=_port(table["port"], place) if "port" in table else None,
        hosts=tuple(_host(each, "hosts", place) for each in hosts),
        url=_url(table["url"], place) if "url" in table else "",
        session=_seconds(table, "session", known.session, place),
        idle=_seconds(table, "idle", known.idle, place),
        up=_flag(table.get("up", known.up), place),
    )


def _host(value: object, name: str, place: str) -> str:
    found = parse_name(value) if isinstance(value, str) else None
    if found is None or found.port is not None:
        raise UsageError(f"{place} {name} = {value!r} is not a host, such as 127.0.0.1")
    return found.host


def _url(value: object, place: str) -> str:
    found = parse_origin(value.removesuffix("/")) if isinstance(value, str) else None
    if found is None:
        raise UsageError(
            f"{place} url = {value!r} is no address without a path, such as https://console.example.org"
        )
    scheme, name = found
    return f"{scheme}://{name}"


def _port(value: object, place: str) -> int:
    if type(value) is not int or not 0 <= value <= _LAST_PORT:
        raise UsageError(f"{place} port = {value!r} is not a port, such as 8484")
    return value


def _flag(value: object, place: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{place} up = {value!r} is not true or false")
    return value


def _seconds(table: Mapping[str, Any], name: str, default: float, place: str) -> float:
    if name not in table:
        return default
    try:
        return parse_seconds(table[name])
    except ValueError as error:
        raise UsageError(f"{place} {name} = {error}") from error
