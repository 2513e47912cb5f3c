"""The tree is that of a set of partitions; a change of one concerns the nodes above it only."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.partition import Grain, Partitioning, partition_key, partition_start
from tidemill.folds.merge_tree import MergeNode, build_tree, position_of

DAILY = Partitioning(column="day", grain=Grain.DAY)
BY_VALUE = Partitioning(column="place")
FIRST = date(2020, 1, 1)


def days(many: int) -> dict[str, str]:
    """Days, with a content each."""
    return {str(FIRST + timedelta(days=n)): f"content {n}" for n in range(many)}


def keys(node: MergeNode) -> set[str]:
    return {part.key for part in node}


@given(numbers=st.sets(st.integers(0, 3_000), min_size=1, max_size=40), time=st.booleans())
def test_every_partition_is_in_it_once(numbers: set[int], time: bool) -> None:
    all_days = [*days(3_001)]
    contents = {all_days[n]: f"content {n}" for n in numbers}
    root = build_tree(contents, DAILY if time else BY_VALUE)
    leaves = [node for node in root if node.leaf]
    assert sorted(node.leaf for node in leaves) == sorted(contents)
    assert all(contents[node.leaf] == node.key for node in leaves)
    assert all(2 <= len(node.parts) <= 8 for node in root if not node.leaf)
    # Whatever order they come in.
    assert build_tree(dict(reversed(contents.items())), DAILY if time else BY_VALUE) == root


@pytest.mark.parametrize("cut", [DAILY, BY_VALUE])
def test_a_change_concerns_what_is_above_it(cut: Partitioning) -> None:
    before = days(1_000)
    known = keys(build_tree(before, cut))
    for other in (
        before | {"2021-05-05": "changed"},
        before | {str(FIRST + timedelta(days=1_000)): "new"},
        {key: held for key, held in before.items() if key != "2021-05-05"},
    ):
        new = keys(build_tree(other, cut)) - known
        assert 1 <= len(new) <= 8


def test_windows_share_what_is_whole_in_both() -> None:
    every = days(200)
    windows = [dict(list(every.items())[n : n + 64]) for n in (100, 101)]
    one, other = (keys(build_tree(window, DAILY)) for window in windows)
    assert len(other - one) < 12


@pytest.mark.parametrize("grain", Grain)
def test_places_are_numbers_of_time(grain: Grain) -> None:
    first = partition_start(partition_key(partition_start("2024-02-28", Grain.DAY), grain), grain)
    moments = [first + timedelta(hours=n) for n in range(24 * 400)]
    places = [
        position_of(key, grain) for key in dict.fromkeys(partition_key(m, grain) for m in moments)
    ]
    assert places == list(range(places[0], places[0] + len(places)))


def test_keys_of_another_cut_are_known_by_their_text() -> None:
    contents = {"2024-01-01": "a", "somewhere": "b"}
    root = build_tree(contents, DAILY)
    assert {node.leaf for node in root} == {"", *contents}
    assert root == build_tree(contents, BY_VALUE)


def test_the_key_of_a_node_is_pinned() -> None:
    assert build_tree(days(3), DAILY).key == "b102c470c62646858dcd1ea930567edb"
    assert build_tree(days(3), BY_VALUE).key == "a4af2edfc8cec14f73e1f740e5f6b7e9"
    assert build_tree({"all": "content"}, Partitioning()) == MergeNode(key="content", leaf="all")
