"""Read from the settings how long results, deliveries, pages, logs and memos are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.units import parse_seconds
from tidemill.ledger.retention_settings import RetentionSettings, StageRetention

FOREVER = "forever"
_DAY = 86_400.0
_SPANS = ("keep_for", "keep", "grace", "restore_for", "reviews", "logs", "memos")
_COUNTS = ("keep_last", "models")
_FLAGS = ("hold", "automatic")
_OF_STAGE = ("keep_for", "keep_last", "hold")
_UNITS = {"w": 7 * _DAY, "mo": 31 * _DAY}


def parse_retention(table: Mapping[str, Any], place: str) -> RetentionSettings:
    """Read the table `retention`; `place` names it in messages. UsageError names the entry and what fits."""
    known = (*_SPANS, *_COUNTS, *_FLAGS, "stages")
    for name in table:
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
    if not table:
        raise UsageError(f'{place} has no entry, such as keep_for = "30d"')
    if "keep" in table and "keep_for" in table:
        raise UsageError(f"{place} keep and keep_for mean the same: remove one")
    given: dict[str, Any] = {
        "keep_for" if name == "keep" else name: _value(name, value, place)
        for name, value in table.items()
        if name != "stages"
    }
    if given.get("grace", 0.0) is None:
        raise UsageError(f'{place} grace = "{FOREVER}" would keep all there is: use hold = true')
    stages = table.get("stages", {})
    if not isinstance(stages, Mapping):
        raise UsageError(f"{place} stages = {stages!r} is not a table")
    own = {name: _stage(each, f"{place[:-1]}.stages.{name}]") for name, each in stages.items()}
    return RetentionSettings(**given, stages=own, is_declared=True)


def _stage(table: object, place: str) -> StageRetention:
    if not isinstance(table, Mapping):
        raise UsageError(f"{place} = {table!r} is not a table")
    for name in table:
        if name not in _OF_STAGE:
            raise UsageError(f"{place} {name}: {did_you_mean(name, _OF_STAGE)}")
    given: dict[str, Any] = {name: _value(name, value, place) for name, value in table.items()}
    forever = "keep_for" in given and given["keep_for"] is None
    return StageRetention(**given, keeps_forever=forever)


def _value(name: str, value: object, place: str) -> object:
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise UsageError(f"{place} {name} = {value!r} is not true or false")
        return value
    if name in _COUNTS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UsageError(f"{place} {name} = {value!r} is not a number of versions, such as 2")
        return value
    return _seconds(name, value, place)


def _seconds(name: str, value: object, place: str) -> float | None:
    if value == FOREVER:
        return None
    text = value.strip() if isinstance(value, str) else ""
    if text in ("0", "0s", "0d"):
        return 0.0
    for unit, seconds in _UNITS.items():
        count = text.removesuffix(unit)
        if count != text and count.isdecimal() and int(count):
            return int(count) * seconds
    try:
        return parse_seconds(text)
    except ValueError:
        raise UsageError(
            f"{place} {name} = {value!r} is not a length of time such as '36h', '60d', '8w', '3mo' or "
            f"{FOREVER!r}"
        ) from None
