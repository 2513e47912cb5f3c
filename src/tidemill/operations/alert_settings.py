"""Read from the settings who is alerted of incidents, how, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.setting_name import name_fault
from tidemill.core.units import parse_bytes, parse_seconds
from tidemill.notices.channel_settings import (
    Channel,
    ChannelKind,
    entry_text,
    is_allowed_address,
    parse_channel,
    parse_hook,
    require_known,
)
from tidemill.operations.problem import ProblemKind, ProblemSeverity

_SECONDS = {"group": 30.0, "repeat": 14_400.0, "hold": 300.0, "reopen": 1_800.0, "stuck": 3_600.0}
_COUNTS = {"most_per_hour": 30, "failures": 3}
_DISK_FREE = 200_000_000
_KEYS = (
    "channels",
    "routes",
    "runbook",
    "runbooks",
    "owners",
    "resolved",
    "disk_free",
    "heartbeat",
    *_SECONDS,
    *_COUNTS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRoute:
    """Alerts of incidents that are at least so severe, and match a pattern of each kind, go `to` channels."""

    to: tuple[str, ...]
    severity: ProblemSeverity = ProblemSeverity.NOTE
    stages: tuple[str, ...] = ("*",)
    owners: tuple[str, ...] = ("*",)
    kinds: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """Channels by name, and the routes to them; without routes every alert goes to all channels.

    Incidents that begin within `group_s` of each other are one message, reminders come each `repeat_s`, and
    a channel gets `most_per_hour` messages. `resolved` tells the end. A channel that failed `failures` times
    in a row is an incident itself. An incident ends after `hold_s` without a problem, and continues if it is
    back within `reopen_s`. Deliveries are stuck after `stuck_s`; fewer than `disk_free` bytes are too few.
    `runbook` is an address with `{stage}`, in place of which `runbooks` has those of some stages. `owners`
    are those of stages by pattern, of which the first that matches counts; the workflow's owner has the rest.
    `heartbeat` is a hook that is asked for after each check of production.
    """

    channels: Mapping[str, Channel] = field(default_factory=dict)
    routes: tuple[AlertRoute, ...] = ()
    runbook: str = ""
    runbooks: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    resolved: bool = True
    group_s: float = _SECONDS["group"]
    repeat_s: float = _SECONDS["repeat"]
    hold_s: float = _SECONDS["hold"]
    reopen_s: float = _SECONDS["reopen"]
    stuck_s: float = _SECONDS["stuck"]
    most_per_hour: int = _COUNTS["most_per_hour"]
    failures: int = _COUNTS["failures"]
    disk_free: int = _DISK_FREE
    heartbeat: Channel | None = None


def parse_alert_settings(table: Mapping[str, Any], place: str) -> AlertSettings:
    """Read the table `alerts`; `place` names it in messages. UsageError names the entry and what fits."""
    require_known(table, _KEYS, place)
    named = _tables(table, "channels", place)
    for name in named:
        if fault := name_fault(name):
            raise UsageError(f"{place} channels: {fault}")
    channels = {
        name: parse_channel(name, each, f"{place[:-1]}.channels.{name}]")
        for name, each in named.items()
    }
    owners, resolved = table.get("owners", {}), table.get("resolved", True)
    if not isinstance(owners, dict):
        raise UsageError(
            f"{place} owners = {owners!r} is not a table of patterns of stages and owners"
        )
    if not isinstance(resolved, bool):
        raise UsageError(f"{place} resolved = {resolved!r} is not true or false")
    found = AlertSettings(
        channels=channels,
        routes=_routes(table, channels, place),
        runbook=_address(entry_text(table, "runbook", place), f"{place} runbook"),
        runbooks=_runbooks(table, place),
        owners={pattern: entry_text(owners, pattern, f"{place} owners") for pattern in owners},
        resolved=resolved,
        disk_free=_bytes(table, place),
        heartbeat=_heartbeat(table, place),
        most_per_hour=_count(table, "most_per_hour", place),
        failures=_count(table, "failures", place),
    )
    seconds = {f"{name}_s": _seconds(table, name, place) for name in _SECONDS}
    return replace(found, **seconds)  # type: ignore[arg-type]


def _heartbeat(table: Mapping[str, Any], place: str) -> Channel | None:
    address = parse_hook(table, "heartbeat", place)
    if not address:
        return None
    return Channel(name="heartbeat", kind=ChannelKind.WEBHOOK, address=address)


def _tables(table: Mapping[str, Any], name: str, place: str) -> Mapping[str, Mapping[str, Any]]:
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"{place} {name} = {found!r} is not a table")
    for key, value in found.items():
        if not isinstance(value, dict):
            raise UsageError(f"{place} {name}.{key} = {value!r} is not a table")
    return found


def _runbooks(table: Mapping[str, Any], place: str) -> Mapping[str, str]:
    found = table.get("runbooks", {})
    if not isinstance(found, dict):
        raise UsageError(f"{place} runbooks = {found!r} is not a table of stages and addresses")
    return {
        stage: _address(entry_text(found, stage, f"{place} runbooks"), f"{place} runbooks.{stage}")
        for stage in found
    }


def _address(value: str, place: str) -> str:
    if value and (not is_allowed_address(value) or set(value) & set('<>|"`')):
        raise UsageError(
            f"{place} = {value!r} isn't an https:// address, such as "
            '"https://wiki.example.com/runbooks/{stage}"'
        )
    return value


def _routes(
    table: Mapping[str, Any], channels: Mapping[str, Channel], place: str
) -> tuple[AlertRoute, ...]:
    found = table.get("routes", [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UsageError(
            f"{place} routes = {found!r}: write each as [[tool.tidemill.alerts.routes]]"
        )
    return tuple(
        _route(each, channels, f"{place} routes[{number}]") for number, each in enumerate(found)
    )


def _route(table: Mapping[str, Any], channels: Mapping[str, Channel], place: str) -> AlertRoute:
    require_known(table, ("to", "severity", "stages", "owners", "kinds"), place)
    to = _patterns(table, "to", place, default=())
    if not to:
        raise UsageError(f'{place} needs to = ["{next(iter(channels), "oncall")}"]')
    for name in to:
        if name not in channels:
            raise UsageError(f"{place} to: no channel {name!r} ({did_you_mean(name, channels)})")
    severities = [str(each) for each in ProblemSeverity]
    severity = entry_text(table, "severity", place) or str(ProblemSeverity.NOTE)
    if severity not in severities:
        raise UsageError(f"{place} severity = {severity!r}: {did_you_mean(severity, severities)}")
    kinds = _patterns(table, "kinds", place)
    for kind in kinds:
        known = [str(each) for each in ProblemKind]
        if kind not in known and not set(kind) & set("*?["):
            raise UsageError(f"{place} kinds: {kind!r} is none ({did_you_mean(kind, known)})")
    return AlertRoute(
        to=to,
        severity=ProblemSeverity(severity),
        stages=_patterns(table, "stages", place),
        owners=_patterns(table, "owners", place),
        kinds=kinds,
    )


def _patterns(
    table: Mapping[str, Any], name: str, place: str, default: tuple[str, ...] = ("*",)
) -> tuple[str, ...]:
    value = table.get(name, list(default))
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise UsageError(
            f'{place} {name} = {value!r} is not a list of names, such as ["features*"]'
        )
    return tuple(values)


def _seconds(table: Mapping[str, Any], name: str, place: str) -> float:
    try:
        return parse_seconds(table.get(name, _SECONDS[name]))
    except ValueError as error:
        raise UsageError(f"{place} {name}: {error}") from None


def _count(table: Mapping[str, Any], name: str, place: str) -> int:
    value = table.get(name, _COUNTS[name])
    if type(value) is not int or value < 1:
        raise UsageError(f"{place} {name} = {value!r} is not a whole number from 1")
    return value


def _bytes(table: Mapping[str, Any], place: str) -> int:
    try:
        return parse_bytes(table.get("disk_free", _DISK_FREE))
    except ValueError as error:
        raise UsageError(f"{place} disk_free: {error}") from None
