"""The objects that a plan would read but that are gone, and what they were made of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.binding import Binding, Head
from tidemill.ledger.run import Action
from tidemill.planning.plan import Plan, Step
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import State
from tidemill.runs.io.job import MissingObjects
from tidemill.testing.records import binding, product

STAGES = ("a", "b", "c", "d")
KEYS = ("1", "2", "3")
PLACES = st.tuples(st.sampled_from(STAGES), st.sampled_from(KEYS))


class Store:
    """Artifacts of which some are missing."""

    def __init__(self, lost: Collection[str]) -> None:
        self._lost = lost

    def find_missing(self, names: Collection[str]) -> dict[str, str]:
        return {name: "missing" for name in names if name in self._lost}


def named(stage: str, key: str, inputs: Collection[str]) -> Binding:
    """A partition with an object of its own, made of the same partition of other stages."""
    made = replace(product(f"{stage}{key}"), objects=(f"{stage}{key}",))
    return replace(binding(output=made), inputs=dict.fromkeys(inputs, "digest"))


def step(stage: str, key: str, reads: Collection[tuple[str, str]]) -> Step:
    names = sorted({name for name, _ in reads})
    return Step(
        stage=stage,
        partition=key,
        action=Action.RUN,
        reasons=(),
        reads={name: tuple(sorted(k for other, k in reads if other == name)) for name in names},
    )


@given(
    bound=st.dictionaries(PLACES, st.sets(st.sampled_from(STAGES))),
    steps=st.dictionaries(PLACES, st.sets(PLACES, max_size=3), max_size=3),
    lost=st.sets(PLACES),
)
def test_what_lost_objects_were_made_of_is_looked_for(
    bound: dict[tuple[str, str], set[str]],
    steps: dict[tuple[str, str], set[tuple[str, str]]],
    lost: set[tuple[str, str]],
) -> None:
    heads = {
        name: Head(partitions={k: named(name, k, bound[n, k]) for n, k in bound if n == name})
        for name in {name for name, _ in bound}
    }
    plan = Plan(
        workflow="tides",
        environment="prod",
        heads={},
        recipes={},
        steps=tuple(step(*place, reads) for place, reads in steps.items()),
    )
    store = cast(Artifacts, Store({f"{name}{key}" for name, key in lost}))
    objects = MissingObjects(store, cast(State, _Published(heads)))
    found = objects.find(plan)
    waiting, seen = {*steps, *(place for reads in steps.values() for place in reads)}, set[Any]()
    while waiting:
        place = waiting.pop()
        seen.add(place)
        if place in bound and place in lost:
            waiting |= {(before, place[1]) for before in bound[place]} - seen
    expected = {f"{name}{key}" for name, key in seen & lost if (name, key) in bound}
    assert found == dict.fromkeys(expected, "missing")
    assert objects.find(plan) == {}


class _Published:
    def __init__(self, heads: dict[str, Head]) -> None:
        self.heads = heads
