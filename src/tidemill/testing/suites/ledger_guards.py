"""Conformance suite for ledgers: the conditions under which events are appended."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tidemill.core.errors import ConflictError, StorageError, UsageError
from tidemill.ledger.schedule_events import Ticked
from tidemill.ports.ledger import Guard, Ledger
from tidemill.testing import records as samples
from tidemill.testing.records import PROD, effect_queued_event, published_event


class GuardSuite:
    """Nothing is appended if a guard doesn't hold."""

    def test_heads_are_guarded(self, ledger: Ledger) -> None:
        ledger.append([published_event()], now=1.0, guard=Guard(heads={"features": 0}))
        ledger.append([published_event()], now=1.0, guard=Guard(heads={"features": 1, "labels": 0}))
        with pytest.raises(
            ConflictError, match=r"'features' in 'prod' moved.* 1, it has version 2"
        ):
            ledger.append([published_event()], now=1.0, guard=Guard(heads={"features": 1}))
        ledger.append(
            [published_event(environment="dev")], now=1.0, guard=Guard(heads={"features": 0})
        )
        tick = Ticked(schedule="nightly", tick="1")
        with pytest.raises(UsageError, match="no event names an environment"):
            ledger.append([tick], now=1.0, guard=Guard(heads={"features": 2}))
        assert ledger.state(PROD).heads["features"].version == 2

    def test_what_is_live_is_guarded(self, ledger: Ledger) -> None:
        first, second = samples.delivered_event("first"), samples.delivered_event("second")
        ledger.append([first], now=1.0, guard=Guard(live={"delay_model": ""}))
        with pytest.raises(ConflictError, match="no version was live, version first is live now"):
            ledger.append([second], now=1.0, guard=Guard(live={"delay_model": ""}))
        ledger.append([second], now=1.0, guard=Guard(live={"delay_model": "first"}))
        with pytest.raises(ConflictError, match="'delay_model' in 'prod' moved meanwhile"):
            ledger.append([first], now=1.0, guard=Guard(live={"delay_model": "first"}))
        elsewhere = samples.delivered_event("first", environment="dev")
        ledger.append([elsewhere], now=1.0, guard=Guard(live={"delay_model": "", "other": ""}))
        tick = Ticked(schedule="nightly", tick="1")
        with pytest.raises(UsageError, match="no event names an environment"):
            ledger.append([tick], now=1.0, guard=Guard(live={"delay_model": "second"}))
        assert ledger.state(PROD).live["delay_model"].artifact.id == "second"
        assert len(list(ledger.events())) == 3

    def test_facts_of_a_kind_are_guarded(self, ledger: Ledger) -> None:
        def tick(name: str) -> Ticked:
            return Ticked(schedule="nightly", tick=name)

        guard = Guard(unchanged={"Ticked": 0, "Decided": 0})
        first = ledger.append([tick("1"), tick("2")], now=1.0, guard=guard)
        with pytest.raises(ConflictError, match=r"recorded Ticked meanwhile: event 2, after none"):
            ledger.append([tick("3")], now=1.0, guard=guard)
        ledger.append([published_event()], now=1.0)  # of another kind
        second = ledger.append([tick("3")], now=1.0, guard=Guard(unchanged={"Ticked": first}))
        with pytest.raises(
            ConflictError, match=rf"Ticked meanwhile: event {second}, after {first}"
        ):
            ledger.append([tick("4")], now=1.0, guard=Guard(unchanged={"Ticked": first}))
        assert len(list(ledger.events(kinds=("Ticked",)))) == 3

    def test_the_object_of_a_live_model_must_exist(self, ledger: Ledger) -> None:
        event = samples.delivered_event("lost")
        guard = Guard(find_missing=lambda names: names)
        with pytest.raises(StorageError, match=event.delivery.artifact.object):
            ledger.append([event], now=1.0, guard=guard)
        assert ledger.state(PROD).live == {}

    def test_objects_are_verified(self, ledger: Ledger) -> None:
        asked: list[list[str]] = []

        def present(names: Collection[str]) -> Collection[str]:
            asked.append(sorted(names))
            return [name for name in names if name == samples.object_name("lost")]

        first, bad = samples.product("first", quarantined=1), samples.product("lost")
        kept = published_event("1", bound=samples.binding("k1", first))
        ledger.append(
            [kept, published_event("2"), effect_queued_event()],
            now=1.0,
            guard=Guard(find_missing=present),
        )
        assert asked == [sorted({*first.all_objects, samples.object_name("features 2")})]
        lost = published_event("3", bound=samples.binding("k3", bad))
        with pytest.raises(StorageError, match=samples.object_name("lost")):
            ledger.append([lost], now=1.0, guard=Guard(find_missing=present))
        assert set(ledger.state(PROD).heads["features"].partitions) == {"1", "2"}
        ledger.append([effect_queued_event("other")], now=1.0, guard=Guard(find_missing=present))
        assert len(asked) == 2  # nothing was bound, so no objects were checked

    def test_a_failing_check_records_nothing(self, ledger: Ledger) -> None:
        def fails(names: Collection[str]) -> Collection[str]:
            raise OSError("unplugged")

        with pytest.raises(OSError, match="unplugged"):
            ledger.append([published_event()], now=1.0, guard=Guard(find_missing=fails))
        assert list(ledger.events()) == []
        assert ledger.append([published_event()], now=1.0) == 1
