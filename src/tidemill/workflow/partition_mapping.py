"""Map partitions: which partitions a stage should have, and which of its inputs each one reads."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from tidemill.core.partition import WHOLE, Grain, Partitioning, end_of, key_of, placed, start_of
from tidemill.workflow.stage import Flow, Input, Kind, Stage
from tidemill.workflow.window import select

Cuts = Mapping[str, Partitioning]


def cuts_of(flow: Flow) -> dict[str, Partitioning]:
    """Return the partitioning of each stage's output; a delivery has that of its features."""
    cuts = {stage.name: stage.partitioning for stage in flow.stages}
    for stage in flow.stages:
        if stage.kind is Kind.DELIVER:
            cuts[stage.name] = cuts[stage.inputs[0].name]
    return cuts


def outputs(stage: Stage, cuts: Cuts, available: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the partitions that a transform should have, given the partitions of its inputs.

    These are the partitions of all required inputs that are partitioned alike; of the optional ones, if
    no such input is required. Whether a partition must wait for other inputs is decided later, so that a
    missing input is reported instead of skipped.
    """
    cut = stage.partitioning
    if cut.is_whole:
        return [WHOLE]
    same = [item for item in stage.frames if alike(cut, cuts[item.name])]
    found: set[str] = set()
    for item in [item for item in same if not item.optional] or same:
        other = cuts[item.name]
        keys = placed(available[item.name])
        found.update(keys if cut.grain == other.grain else _recut(keys, other.grain, cut.grain))
    return sorted(found)


def alike(cut: Partitioning, other: Partitioning) -> bool:
    """Whether partitions of two outputs correspond: both are by time, or both by value."""
    return not cut.is_whole and not other.is_whole and cut.is_time == other.is_time


def visible(
    item: Input, partition: str, cut: Partitioning, other: Partitioning, keys: Sequence[str]
) -> tuple[str, ...] | None:
    """Return the partitions of an input (of its sorted `keys`) that `partition` of a stage reads.

    None means that they are missing, so that the stage must wait. An unpartitioned input is read whole,
    a value partition reads the partition of the same value. A stage that is partitioned differently, or
    not at all, reads all partitions, or its window.
    """
    if other.is_whole:
        return (WHOLE,) if WHOLE in keys else None
    if not alike(cut, other):
        if item.window is None or other.grain is None or not keys:
            return tuple(keys) or None
        return tuple(select(item.window, keys, other.grain, keys[-1]))
    if cut.grain is None or other.grain is None:
        return (partition,) if _among(partition, keys) else None
    return _in_time(item, partition, cut.grain, other.grain, keys)


def seen_whole(
    stage: Stage, cuts: Cuts, available: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return the partitions of each input that an unpartitioned stage reads.

    Its windows end with the newest partition that all its inputs by time have reached, so that an input
    that is ahead of the others doesn't shift its window. Inputs without partitions are left out.
    """
    keys = {item.name: placed(available[item.name]) for item in stage.frames}
    newest = [
        moment(keys[item.name][-1], grain)
        for item in stage.frames
        if (grain := cuts[item.name].grain) and keys[item.name]
    ]
    end = min(newest, default="")
    seen: dict[str, tuple[str, ...]] = {}
    for item in stage.frames:
        grain = cuts[item.name].grain
        reached = keys[item.name]
        if grain is not None and item.window is not None:
            reached = [key for key in reached if moment(key, grain) <= end]
        found = visible(item, WHOLE, Partitioning(), cuts[item.name], reached)
        if found:
            seen[item.name] = found
    return seen


def _in_time(
    item: Input, partition: str, grain: Grain, other: Grain, keys: Sequence[str]
) -> tuple[str, ...] | None:
    if grain == other:
        if not _among(partition, keys):
            return None
        if item.window is None:
            return (partition,)
        return tuple(select(item.window, keys, other, partition))
    begin, end = start_of(partition, grain), end_of(partition, grain)
    if item.window is not None:
        ended = bisect_right(keys, end, key=lambda key: end_of(key, other))
        return tuple(select(item.window, keys, other, keys[ended - 1])) if ended else None
    first = bisect_right(keys, begin, key=lambda key: end_of(key, other))
    return tuple(keys[first : bisect_left(keys, end, key=lambda key: start_of(key, other))]) or None


def _among(key: str, keys: Sequence[str]) -> bool:
    """Whether sorted `keys` contain `key`, by binary search."""
    place = bisect_left(keys, key)
    return place < len(keys) and keys[place] == key


def _recut(keys: Iterable[str], grain: Grain | None, into: Grain | None) -> set[str]:
    """Return the partitions of grain `into` that overlap `keys` in time."""
    assert grain is not None
    assert into is not None
    found: set[str] = set()
    for key in keys:
        moment, end = start_of(key, grain), end_of(key, grain)
        while moment < end:
            found.add(key_of(moment, into))
            moment = end_of(key_of(moment, into), into)
    return found


@lru_cache(maxsize=200_000)
def moment(key: str, grain: Grain) -> str:
    """Return the end of a partition as ISO text, which sorts by time across grains."""
    return end_of(key, grain).isoformat()
