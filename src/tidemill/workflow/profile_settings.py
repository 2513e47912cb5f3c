"""Read run profiles from the settings: `[tool.tidemill.profiles.NAME]`; three are built in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.units import is_finite, is_number, parse_bytes, parse_seconds
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.spending_limit import SpendingLimit, parse_limit

_DAY_S = 86_400.0
_KEYS = ("sample", "params", "cpus", "memory", "preemptible", "budget", "lifetime")
# An experiment is cheap, gives way to everything else, and ends by itself. A large run may use the whole
# machine, whatever the settings say of other runs.
BUILT_IN: Mapping[str, RunProfile] = {
    "experiment": RunProfile(
        name="experiment",
        sample=0.1,
        cpus=1.0,
        preemptible=True,
        budget=SpendingLimit(amount=1.0, in_cpu_hours=True),
        lifetime=14 * _DAY_S,
        place="the built-in profiles",
    ),
    "standard": RunProfile(name="standard", place="the built-in profiles"),
    "large": RunProfile(name="large", whole_machine=True, place="the built-in profiles"),
}


def parse_profiles(
    said: object, place: str, *, project_settings: Collection[str] = ()
) -> dict[str, RunProfile]:
    """Read all profiles; what a table says replaces what the built-in profile of its name says.

    `place` begins the name of a table in messages. UsageError names the entry and what fits, also for one of
    the `project_settings`.
    """
    tables = _tables(f"{place}] profiles", said)
    own = {
        name: _profile(name, table, f"{place}.profiles.{name}]", project_settings)
        for name, table in tables.items()
    }
    return {**BUILT_IN, **own}


def _profile(
    name: str, table: Mapping[str, Any], place: str, project_settings: Collection[str]
) -> RunProfile:
    for key in table:
        if key in _KEYS:
            continue
        if key in project_settings:
            raise UsageError(
                f"{place} {key} is a setting of the whole project: a profile changes what is computed, and "
                "how much of the machine and of money is used for it"
            )
        raise UsageError(f"{place} {key}: {did_you_mean(key, _KEYS)}")
    readers: Mapping[str, Callable[[Any, str], Any]] = {
        "sample": _sample,
        "cpus": _cpus,
        "memory": _memory,
        "preemptible": _preemptible,
        "budget": _budget,
        "lifetime": _lifetime,
    }
    given = {key: read(table[key], place) for key, read in readers.items() if key in table}
    base = BUILT_IN.get(name, RunProfile(name=name))
    if {"cpus", "memory"} & {*given}:
        given["whole_machine"] = False
    return replace(base, **given, params=_params(table.get("params", {}), place), place=place)


def _sample(value: object, place: str) -> float:
    if is_finite(value) and 0 < value < 1:
        return float(value)
    raise UsageError(
        f"{place} sample = {value!r} is not a share of rows between 0 and 1, such as 0.05"
    )


def _cpus(value: object, place: str) -> float:
    if is_number(value) and is_finite(value) and value > 0:
        return float(value)
    raise UsageError(f"{place} cpus = {value!r} is not a number of CPUs, such as 2")


def _memory(value: Any, place: str) -> int:
    try:
        return parse_bytes(value)
    except ValueError as error:
        raise UsageError(f"{place} memory = {error}") from error


def _preemptible(value: object, place: str) -> bool:
    if isinstance(value, bool):
        return value
    raise UsageError(f"{place} preemptible = {value!r} is not true or false")


def _budget(value: object, place: str) -> SpendingLimit:
    try:
        return parse_limit(value)
    except ValueError as error:
        raise UsageError(f"{place} budget = {error}") from error


def _lifetime(value: object, place: str) -> float:
    try:
        return parse_seconds(value)
    except ValueError as error:
        raise UsageError(f"{place} lifetime = {error}") from error


def _params(said: object, place: str) -> Mapping[str, Mapping[str, Any]]:
    params = _tables(f"{place} params", said)
    for model, values in params.items():
        for key, value in values.items():
            if not _is_plain(value):
                raise UsageError(
                    f"{place} params.{model}.{key} = {value!r} is not a parameter: use numbers, text, "
                    "true, false, lists or tables"
                )
    return params


def _tables(place: str, value: object) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(value, dict):
        raise UsageError(f"{place} = {value!r} is not a table")
    for name, table in value.items():
        if not isinstance(table, dict):
            raise UsageError(f"{place}.{name} = {table!r} is not a table")
    return value


def _is_plain(value: object) -> bool:
    """Whether a TOML value can be a model parameter: not a date, which has no JSON form."""
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, str | int | float)
