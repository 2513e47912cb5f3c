"""Partitions that a head released are read again, and are the same."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.garbage import no_garbage_collection
from tidemill.adapters.sqlite import state_reader
from tidemill.adapters.sqlite.head_partitions import LoadedHeads
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import ConflictError
from tidemill.ledger.binding import Binding, find_bindings
from tidemill.ledger.event import EnvironmentCreated, Event
from tidemill.ports.ledger import State
from tidemill.testing.records import binding, published_event, removed_event

STAGES = {"a": 1, "b": 2, "c": 130}
BOUND = {
    stage: {f"{n:03}": binding(f"{stage} {n}") for n in range(count)}
    for stage, count in STAGES.items()
}
LOOKS: tuple[Callable[[Mapping[str, Binding], str], object], ...] = (
    lambda held, _: dict(held.items()),
    lambda held, _: list(held.values()),
    lambda held, _: list(held),
    lambda held, _: len(held),
    lambda held, _: bool(held),
    lambda held, key: held.get(key),
    lambda held, key: find_bindings(held, [key, "unheard"]),
)
LOOKED = st.tuples(st.sampled_from(sorted(STAGES)), st.sampled_from(LOOKS), st.integers(0, 129))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteLedger]:
    found = SqliteLedger(tmp_path_factory.mktemp("heads") / "ledger.db")
    events: list[Event] = [EnvironmentCreated(environment="prod")]
    events += [EnvironmentCreated(environment="dev", parent="prod")]
    events += [
        published_event(key, stage=stage, bound=each)
        for stage, bound in BOUND.items()
        for key, each in bound.items()
    ]
    found.append(events[:1] + events[2:], now=1.0)
    found.append(events[1:2], now=2.0)
    found.append([removed_event("000", stage="b", environment="dev")], now=3.0)
    yield found
    found.close()


def state_of(ledger: SqliteLedger, environment: str, most: int) -> State:
    """A state whose heads keep so many partitions of all that they read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_reader, "LoadedHeads", partial(LoadedHeads, most))
        return ledger.state(environment)


@given(looked=st.lists(LOOKED, max_size=30), most=st.integers(0, 140), is_branch=st.booleans())
def test_whatever_is_kept(
    ledger: SqliteLedger, looked: list[tuple[str, Any, int]], most: int, is_branch: bool
) -> None:
    heads = state_of(ledger, "dev" if is_branch else "prod", most).heads
    for stage, look, number in looked:
        bound = dict(BOUND[stage])
        if is_branch and stage == "b":
            del bound["000"]
        assert look(heads[stage].partitions, f"{number:03}") == look(bound, f"{number:03}")


def test_heads_that_were_loaded_first_are_released(ledger: SqliteLedger) -> None:
    heads = state_of(ledger, "prod", 131).heads
    first, small = heads["b"].partitions, heads["a"].partitions
    loaded = {name: heads[name].partitions.items() for name in ("b", "c")}
    assert first.get("000") is dict(loaded["b"])["000"]
    held = dict(small.items())["000"]
    assert first.get("000") is not dict(loaded["b"])["000"]
    assert small.get("000") is held
    assert heads["c"].partitions["000"] is dict(loaded["c"])["000"]


def test_the_last_one_is_kept_until_the_next(ledger: SqliteLedger) -> None:
    heads = state_of(ledger, "prod", 0).heads
    large = heads["c"].partitions
    held = dict(large.items())["007"]
    assert large["007"] is held
    assert heads["a"].partitions.items()
    assert large["007"] is not held


def test_what_was_loaded_is_looked_up_in_a_head_that_moved(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append([published_event(key) for key in "xyz"], now=1.0)
    partitions = ledger.state("prod").heads["features"].partitions
    held = dict(partitions.items())
    ledger.append([removed_event("x")], now=2.0)
    assert find_bindings(partitions, ["x", "unheard"]) == {"x": held["x"]}
    ledger.close()


def test_a_state_is_gone_with_its_last_reader(ledger: SqliteLedger) -> None:
    state = state_of(ledger, "prod", 100)
    head = weakref.ref(state.heads["c"].partitions)
    assert len(state.heads["c"].partitions.items()) == STAGES["c"]
    with no_garbage_collection():
        del state
        assert head() is None


def test_what_was_released_is_not_read_of_a_head_that_moved(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    events: list[Event] = [EnvironmentCreated(environment="prod")]
    events += [published_event(key, stage=stage) for stage in ("a", "b") for key in "xyz"]
    ledger.append(events, now=1.0)
    heads = state_of(ledger, "prod", 2).heads
    whole = ledger.state("prod", whole=True).heads
    kept = [dict(heads[name].partitions.items()) for name in ("a", "b")]
    ledger.append([removed_event("x", stage=stage) for stage in ("a", "b")], now=2.0)
    assert dict(heads["b"].partitions) == kept[1]
    with pytest.raises(ConflictError, match="moved while it was read"):
        heads["a"].partitions.get("x")
    # A state that was read as a whole is kept as a whole.
    assert [dict(whole[name].partitions) for name in ("a", "b")] == kept
    ledger.close()
