"""Which partitions of its inputs a partition of a stage sees, and which partitions a stage has."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from tidemill.core.partition import WHOLE, Grain, Partitioning, end_of, key_of, placed, start_of
from tidemill.workflow.stage import Flow, Input, Kind, Stage
from tidemill.workflow.window import select

Cuts = Mapping[str, Partitioning]


def cuts_of(flow: Flow) -> dict[str, Partitioning]:
    """How each stage's output is cut; a delivery is cut as the features that it delivers."""
    cuts = {stage.name: stage.partitioning for stage in flow.stages}
    for stage in flow.stages:
        if stage.kind is Kind.DELIVER:
            cuts[stage.name] = cuts[stage.inputs[0].name]
    return cuts


def outputs(stage: Stage, cuts: Cuts, available: Mapping[str, Sequence[str]]) -> list[str]:
    """The partitions that a transform should have, given the partitions of its inputs.

    Every partition that some required input of the same kind has (some optional one, when no such
    input is required): whether it waits for the others is judged later, so that a missing input is
    seen and not passed over.
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
    """Whether partitions of two outputs stand for each other: both by time, or both by value."""
    return not cut.is_whole and not other.is_whole and cut.is_time == other.is_time


def visible(
    item: Input, partition: str, cut: Partitioning, other: Partitioning, keys: Sequence[str]
) -> tuple[str, ...] | None:
    """The partitions of an input (of its sorted `keys`) that `partition` of a stage sees.

    None means that its own partition of the input is missing, or all of it: it must wait. An
    unpartitioned input is seen whole; a value partition sees the same value; a stage that is cut
    another way, or not at all, sees everything, or its window.
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
    """What an unpartitioned stage sees of each input, and the partition that its windows end with.

    The anchor is the newest partition that all its inputs by time have reached, so that one input
    that runs ahead doesn't shift the windows of the others apart. Inputs without any partition are
    left out.
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
    """Whether sorted `keys` hold `key`."""
    place = bisect_left(keys, key)
    return place < len(keys) and keys[place] == key


def _recut(keys: Iterable[str], grain: Grain | None, into: Grain | None) -> set[str]:
    """The partitions of another grain that share time with `keys`."""
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
    """The end of a partition as text that sorts in time, over all grains."""
    return end_of(key, grain).isoformat()
