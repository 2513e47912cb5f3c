"""Read the objectives of stages and endpoints from the settings: `[tool.tidemill.slo.NAME]`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import Any

from tidemill.core.errors import Fault, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.setting_name import name_fault, shown_name
from tidemill.core.units import is_finite, parse_seconds

DAY = 86_400.0
_MOST_WINDOW_DAYS = 90
_STAGE_KEYS, _ENDPOINT_KEYS = ("freshness", "success"), ("availability", "latency")
_KEYS = ("stage", "endpoint", *_STAGE_KEYS, *_ENDPOINT_KEYS, "target", "window")


class ObjectiveKind(StrEnum):
    """What an objective is about."""

    FRESHNESS = "freshness"
    SUCCESS = "success"
    AVAILABILITY = "availability"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A share `target` of good events, or of the time, over the last `window` seconds.

    `subject` is a stage or an endpoint. Data are fresh, and requests are quick, up to `limit` seconds.
    """

    name: str
    kind: ObjectiveKind
    subject: str
    target: float
    window: float = 28 * DAY
    limit: float = 0.0

    @property
    def allowed(self) -> float:
        """The share that may be bad."""
        return 1 - self.target

    @property
    def stage(self) -> str:
        """The stage that it is about; empty for an endpoint."""
        return self.subject if self.kind in _STAGE_KEYS else ""


def parse_objectives(table: Mapping[str, Any], place: str) -> tuple[Objective, ...]:
    """Read the table `slo`; `place` names it in messages. UsageError names the entry and what fits."""
    found = []
    for name, entry in table.items():
        own = f"{place[:-1]}.{shown_name(name)}]"
        if fault := name_fault(name):
            raise UsageError(f"{place} {fault}")
        if not isinstance(entry, dict):
            raise UsageError(f"{own} = {entry!r} is not a table")
        found.append(_objective(name, entry, own))
    return tuple(found)


def subject_faults(
    objectives: Collection[Objective],
    stages: Collection[str],
    endpoints: Collection[str],
    place: str,
) -> Iterator[Fault]:
    """Faults for stages and endpoints that objectives name and that the workflow doesn't have."""
    for each in objectives:
        kind, known = ("stage", stages) if each.stage else ("endpoint", endpoints)
        if each.subject not in known:
            yield Fault(
                message=f"there is no {kind} {each.subject!r}",
                where=f"{place}.{each.name}]",
                hint=did_you_mean(each.subject, known) if known else "",
            )


def _objective(name: str, table: Mapping[str, Any], place: str) -> Objective:
    for key in table:
        if key not in _KEYS:
            raise UsageError(f"{place} {key}: {did_you_mean(key, _KEYS)}")
    subject_key = _only_one(table, ("stage", "endpoint"), place)
    kinds = _STAGE_KEYS if subject_key == "stage" else _ENDPOINT_KEYS
    for key in (*_STAGE_KEYS, *_ENDPOINT_KEYS):
        if key in table and key not in kinds:
            raise UsageError(f"{place} {key} is no objective of {_A[subject_key]}: {_or(kinds)}")
    kind = ObjectiveKind(_only_one(table, kinds, place))
    subject = table[subject_key]
    if not isinstance(subject, str) or not subject:
        raise UsageError(f"{place} {subject_key} = {subject!r} is not a name")
    return Objective(
        name=name,
        kind=kind,
        subject=subject,
        target=_target(table, place),
        window=_window(table, place),
        limit=_limit(table[kind], kind, place),
    )


_A = {"stage": "a stage", "endpoint": "an endpoint"}


def _only_one(table: Mapping[str, Any], keys: tuple[str, ...], place: str) -> str:
    given = [key for key in keys if key in table]
    if len(given) != 1:
        raise UsageError(f"{place} needs one of {_or(keys)}, has {' and '.join(given) or 'none'}")
    return given[0]


def _or(keys: tuple[str, ...]) -> str:
    return " or ".join(keys)


def _limit(value: object, kind: ObjectiveKind, place: str) -> float:
    if kind in (ObjectiveKind.SUCCESS, ObjectiveKind.AVAILABILITY):
        if value is not True:
            raise UsageError(f"{place} {kind} = {value!r} is not true")
        return 0.0
    example = "26h" if kind is ObjectiveKind.FRESHNESS else "50ms"
    try:
        return _seconds(value)
    except ValueError:
        raise UsageError(
            f"{place} {kind} = {value!r} is not a duration, such as {example!r}"
        ) from None


def _seconds(value: object) -> float:
    if isinstance(value, str):
        text = value.strip()
        if text.endswith("ms"):
            return parse_seconds(f"{text[:-2]}s") / 1000
        return parse_seconds(text)
    raise ValueError(value)


def _target(table: Mapping[str, Any], place: str) -> float:
    value = table.get("target")
    if not is_finite(value) or not 0 < value < 1:
        raise UsageError(
            f"{place} target = {value!r} is not a share above 0 and below 1, such as 0.99"
        )
    return float(value)


def _window(table: Mapping[str, Any], place: str) -> float:
    value = table.get("window", "28d")
    try:
        seconds = _seconds(value)
    except ValueError:
        seconds = 0.0
    if not DAY <= seconds <= _MOST_WINDOW_DAYS * DAY:
        raise UsageError(
            f"{place} window = {value!r} is not a duration from '1d' to '{_MOST_WINDOW_DAYS}d'"
        )
    return seconds
