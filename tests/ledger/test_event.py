"""Every fact is one of the union, frozen, and named for ever: the ledger tells them by their name."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

from tidemill.ledger import event
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.schedule_events import SCHEDULE_EVENTS, Ticked

KINDS: tuple[Any, ...] = get_args(Event)
NAMES = [
    "EnvironmentCreated", "EnvironmentDropped", "RunStarted", "RunEnded", "Attempted", "Published",
    "Computed", "Removed", "RecipeChanged", "SourceSeen", "Settled", "Judged", "DriftJudged", "DriftAlarmed",
    "Ruled", "Decided", "Delivered", "EffectQueued", "EffectDone", "Ticked",
    "TokenCreated", "TokenRevoked", "Served", "RolloutStepped",
    "RulesLoaded", "PolicyDecided", "ContractPublished", "Waived", "WaiverEnded", "ReviewOpened",
    "ReviewPageStored", "Voted",
    "ReviewExtended", "ReviewClosed", "NoticeSent",
    "LineageDropped", "Erased", "Acted", "Compacted",
    "IncidentOpened", "IncidentChanged", "IncidentClosed", "AlertSent", "AlertFailed",
    "Silenced", "SilenceEnded",
    "ScheduleChanged", "SchedulePaused", "ScheduleResumed",
    "SweepMarked", "SweepConfirmed", "DataPinned", "DataUnpinned", "StagesUndeclared",
    "RetentionDeclared", "PricesSet", "WorkDeferred", "StorageMetered", "ChangesSeen", "NoteSent",
]  # fmt: skip


def test_the_union_is_every_fact_of_the_module() -> None:
    assert [kind.__name__ for kind in KINDS] == NAMES
    # Each module of events, and no other class in it.
    files = [Path(event.__file__), *Path(event.__file__).parent.glob("*_events.py")]
    modules = {f"tidemill.ledger.{file.stem}" for file in files}
    own = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(import_module(module), inspect.isclass)
        if kind.__module__ == module
    }
    assert own == {*KINDS, RecordedEvent}


@pytest.mark.parametrize("kind", [*KINDS, RecordedEvent])
def test_facts_are_frozen_slotted_and_said_by_keyword(kind: Any) -> None:
    assert kind.__dataclass_params__.frozen
    assert kind.__slots__ == tuple(item.name for item in fields(kind))
    assert all(item.kw_only for item in fields(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_what_happens_in_an_environment_says_in_which(kind: Any) -> None:
    # A run's end is known by its run; what is computed is known in all. Schedules belong to the project,
    # sweeps to the home, and compactions to the ledger.
    named = {item.name: item.default for item in fields(kind)}
    names = (
        "RunEnded",
        "Computed",
        "Compacted",
        "SweepMarked",
        "SweepConfirmed",
        "RetentionDeclared",
    )
    bare = kind.__name__ in names or issubclass(kind, SCHEDULE_EVENTS)
    assert ("environment" in named) != bare
    assert bare or named["environment"] is MISSING


def test_a_recorded_fact_has_its_place() -> None:
    tick = Ticked(schedule="nightly", tick="2013-03-07")
    assert RecordedEvent(seq=7, at=1.5, event=tick).event is tick
