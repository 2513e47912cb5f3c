"""The settings of workers on a Ray cluster: `executor`, and `[tool.tidemill.ray]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field, fields, replace
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_number, parse_bytes, parse_seconds
from tidemill.planning.placement import DEFERRABLE, ORDINARY, TRAINING

_ADDRESS = re.compile(r"(ray://)?([\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")
CLASSES = (ORDINARY, TRAINING, DEFERRABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RayWorkerSettings:
    """What Ray reserves for a worker: CPUs, memory, devices, and the labels of the nodes that may hold it."""

    cpus: float = 1.0
    memory: int = 0
    gpus: int = 0
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """Up to `workers` workers, as `worker` says or the one of a step's class.

    A step for which no worker was placed within `pending` seconds fails.
    """

    workers: int = 8
    pending: float = 300.0
    worker: RayWorkerSettings = field(default_factory=RayWorkerSettings)
    classes: Mapping[str, RayWorkerSettings] = field(default_factory=dict)


def parse_executor(text: object, place: str) -> str:
    """The address of a cluster, always an explicit one; "" is this machine. UsageError for other text."""
    if text == "":
        return ""
    found = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    if found is None or not 0 < int(found[3]) < 65_536:
        raise UsageError(
            f'{place} executor = {text!r} is no address of a cluster: use "ray://HOST:10001" from anywhere, '
            'or "HOST:6379" on a machine of the cluster; a token belongs into RAY_AUTH_TOKEN'
        )
    return str(text)


def parse_ray_settings(table: Mapping[str, Any], place: str) -> RaySettings:
    """Read the table; `place` names it in messages. UsageError names the setting, its value and what fits."""
    own = {each.name for each in fields(RayWorkerSettings)}
    known = own | {"workers", "pending", "classes"}
    for name in table:
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
    worker = _worker({k: v for k, v in table.items() if k in own}, place, RayWorkerSettings())
    values = {
        name: _read(name, table[name], place) for name in ("workers", "pending") if name in table
    }
    return RaySettings(worker=worker, classes=_classes(table, place, worker), **values)


def _classes(
    table: Mapping[str, Any], place: str, worker: RayWorkerSettings
) -> dict[str, RayWorkerSettings]:
    classes = table.get("classes", {})
    if not isinstance(classes, dict):
        raise UsageError(f"{place} classes = {classes!r} is not a table")
    found = {}
    for name, own in classes.items():
        if name not in CLASSES:
            raise UsageError(f"{place} classes.{name}: {did_you_mean(name, CLASSES)}")
        if not isinstance(own, dict):
            raise UsageError(f"{place} classes.{name} = {own!r} is not a table")
        found[name] = _worker(own, f"{place} classes.{name}:", worker)
    return found


def _worker(table: Mapping[str, Any], place: str, base: RayWorkerSettings) -> RayWorkerSettings:
    known = [each.name for each in fields(RayWorkerSettings)]
    for name in table:
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
    return replace(base, **{name: _read(name, value, place) for name, value in table.items()})


def _read(name: str, value: object, place: str) -> Any:
    try:
        return _READERS[name](value)
    except ValueError as error:
        raise UsageError(f"{place} {name} = {error}") from None


def _positive(value: object) -> float:
    if not is_number(value) or not value > 0:
        raise ValueError(f"{value!r} is not a number above 0")
    return float(value)


def _count(least: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{value!r} is not a whole number of {least} or more")
        return value

    return read


def _memory(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f'{value!r} is no amount such as "4GB"')
    return parse_bytes(value)


def _duration(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f'{value!r} is no time such as "5m"')
    return parse_seconds(value)


def _labels(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(held, str) for held in value.values()):
        raise ValueError(f'{value!r} is no table of texts, such as {{ pool = "spot" }}')
    return tuple(sorted(value.items()))


_READERS: Mapping[str, Callable[[object], Any]] = {
    "cpus": _positive,
    "memory": _memory,
    "gpus": _count(0),
    "labels": _labels,
    "workers": _count(1),
    "pending": _duration,
}
