"""The settings of `tidemill up`, from `[tool.tidemill.up]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_finite, parse_seconds

# What happens when the code of the workflow changes, and when data changes.
_CHOICES = {"on_change": ("run", "plan"), "on_data": ("run", "schedule")}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpSettings:
    """What the supervisor does, and how long it waits; times in seconds.

    It runs a source that changed once nothing has changed for `settle`, at the latest `max_wait` after the
    first change. While a process writes a file of a source, runs wait up to `write_wait`. Sources that the
    system can't watch are listed each `poll`, and a plan is made each `plan_every`, whatever happened.
    Changed code is run, or only planned (`on_change`); changed data is run, or left to schedules
    (`on_data`). A run that finds more than `max_catch_up` partitions of a stage to do takes so many at a
    time. A process that imports the workflow for longer than `import_limit` is ended, which counts as a
    failed import. What failed is tried again after `retry`, then twice that and so on, up to `retry_max`.
    Alerts, reviews and sweeps are looked after each `check_every`. A prepared process without work is
    released after `idle`. When `up` is stopped it waits for the run up to `drain`. Endpoints are served
    unless `serve` is false.
    """

    serve: bool = True
    settle: float = 0.2
    max_wait: float = 10.0
    write_wait: float = 300.0
    poll: float = 60.0
    plan_every: float = 3_600.0
    on_change: str = "run"
    on_data: str = "run"
    max_catch_up: int = 30
    import_limit: float = 300.0
    retry: float = 10.0
    retry_max: float = 1_800.0
    check_every: float = 300.0
    idle: float = 600.0
    drain: float = 30.0


def parse_up_settings(table: Mapping[str, Any], place: str) -> UpSettings:
    """Read the table `up`; `place` names it in messages. UsageError names the entry and what fits."""
    kinds = {field.name: str(field.type) for field in fields(UpSettings)}
    for name in table:
        if name not in kinds:
            raise UsageError(f"{place} {name}: {did_you_mean(name, kinds)}")
    values: dict[str, Any] = {name: _value(kinds, name, table[name], place) for name in table}
    found = UpSettings(**values)
    for name, choices in _CHOICES.items():
        if getattr(found, name) not in choices:
            raise UsageError(
                f"{place} {name} = {getattr(found, name)!r} is not one of {', '.join(map(repr, choices))}"
            )
    for low, high in (("settle", "max_wait"), ("retry", "retry_max")):
        shorter, longer = getattr(found, low), getattr(found, high)
        if shorter > longer:
            raise UsageError(
                f"{place} {low} = {shorter:g} s is longer than {high} = {longer:g} s: make it shorter, or "
                f"{high} longer"
            )
    return found


def _value(kinds: Mapping[str, str], name: str, value: object, place: str) -> object:
    kind = kinds[name]
    if kind == "float":
        return _seconds(name, value, place)
    fits = {
        "bool": (isinstance(value, bool), "true or false"),
        "int": (type(value) is int and value >= 1, "a whole number from 1"),
        "str": (isinstance(value, str), "text"),
    }
    is_right, wanted = fits[kind]
    if not is_right:
        raise UsageError(f"{place} {name} = {value!r} is not {wanted}")
    return value


def _seconds(name: str, value: object, place: str) -> float:
    if is_finite(value) and value == 0 and name in ("settle", "write_wait", "idle", "drain"):
        return 0.0
    try:
        return parse_seconds(value)
    except ValueError as error:
        raise UsageError(f"{place} {name} = {error}") from error
