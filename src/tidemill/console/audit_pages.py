"""Find the page about what an entry of the audit trail tells of, and name its kind in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from tidemill.governance.audit_trail import AuditEntry

Parts: TypeAlias = tuple[str, ...]

_WORD = re.compile("[A-Z][a-z]+")


def words_of_kind(kind: str) -> str:
    """The kind of an event in words: `IncidentOpened` is "incident opened"."""
    return _WORD.sub(r" \g<0>", kind).strip().lower()


def page_of_entry(entry: AuditEntry) -> Parts:
    """The parts of the path of the page about an entry; none if there is no such page."""
    find = _PAGES.get(entry.kind)
    if find is not None:
        return find(_words(entry))
    if entry.run:
        return "runs", entry.run
    stage = _words(entry)[0]
    return ("stages", stage) if entry.kind in _OF_STAGES and stage else ()


def _words(entry: AuditEntry) -> Parts:
    return tuple(entry.subject.split()) or ("",)


def _always(*parts: str) -> Callable[[Parts], Parts]:
    return lambda _: parts


def _first(page: str) -> Callable[[Parts], Parts]:
    return lambda words: tuple(filter(None, (page, words[0])))


def _last(page: str) -> Callable[[Parts], Parts]:
    return lambda words: tuple(filter(None, (page, words[-1])))


_RULES, _TOKENS = _always("settings", "rules"), _always("settings", "tokens")
_SCHEDULES, _RETENTION = _always("settings", "schedules"), _always("settings", "retention")
# Events that no person acts by, and that are about a stage.
_OF_STAGES = frozenset({"Published", "Removed", "Superseded", "DriftAlarmed", "EffectQueued"})
_PAGES: Mapping[str, Callable[[Parts], Parts]] = {
    "RunStarted": _first("runs"),
    "RunEnded": _first("runs"),
    "IncidentOpened": _first("incidents"),
    "IncidentClosed": _first("incidents"),
    "Silenced": _always("silences"),
    "SilenceEnded": _always("silences"),
    "TokenCreated": _TOKENS,
    "TokenRevoked": _TOKENS,
    "Waived": _RULES,
    "WaiverEnded": _RULES,
    "RulesLoaded": _RULES,
    "PolicyDecided": _always("settings", "decisions"),
    "ReviewOpened": _last("reviews"),
    "Voted": _last("reviews"),
    "ReviewClosed": _last("reviews"),
    "EnvironmentCreated": _first("environments"),
    "EnvironmentDropped": _always("environments"),
    "Ticked": _SCHEDULES,
    "ScheduleChanged": _SCHEDULES,
    "SchedulePaused": _SCHEDULES,
    "ScheduleResumed": _SCHEDULES,
    "Decided": _first("models"),
    "Delivered": _first("models"),
    "RolloutStepped": _first("endpoints"),
    "Ruled": lambda words: ("stages", words[0].rstrip(":"), "quarantine") if words[0] else (),
    "SweepMarked": _RETENTION,
    "SweepConfirmed": _RETENTION,
    "DataPinned": _RETENTION,
    "DataUnpinned": _RETENTION,
}
