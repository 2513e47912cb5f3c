"""Ids of runs: valid UUIDs of version 7, the same for the same run, ordered by time."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from tidemill.lineage.openlineage.run_ids import run_uuid

TIMES = st.floats(0, 2**47 / 1000, allow_nan=False)
PARTS = st.lists(st.text(), max_size=3)


@given(TIMES, PARTS)
def test_they_are_uuids_of_the_start(started: float, parts: list[str]) -> None:
    found = UUID(run_uuid(started, *parts))
    assert (found.variant, found.version) == (RFC_4122, 7)
    assert found.int >> 80 == int(started * 1000)
    assert run_uuid(started, *parts) == str(found)


@given(TIMES, PARTS, PARTS)
def test_other_parts_are_other_runs(started: float, one: list[str], other: list[str]) -> None:
    # The parts of an id have no null character.
    same = "\0".join(one) == "\0".join(other)
    assert (run_uuid(started, *one) == run_uuid(started, *other)) == same


def test_a_clock_before_1970_gives_an_id() -> None:
    assert UUID(run_uuid(-5.0, "a")).int >> 80 == 0
