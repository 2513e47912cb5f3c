"""Map partitions: which partitions a stage should have, and which of its inputs each one reads."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from tidemill.core.partition import (
    WHOLE,
    Grain,
    Partitioning,
    partition_end,
    partition_key,
    partition_start,
    readable_keys,
)
from tidemill.workflow.stage import Flow, Input, Kind, Stage
from tidemill.workflow.window import select_partitions

Partitionings = Mapping[str, Partitioning]


def partitionings_of(flow: Flow) -> dict[str, Partitioning]:
    """Return the partitioning of each stage's output; a delivery has that of its features."""
    cuts = {stage.name: stage.partitioning for stage in flow.stages}
    for stage in flow.stages:
        if stage.kind is Kind.DELIVER:
            cuts[stage.name] = cuts[stage.inputs[0].name]
    return cuts


def output_partitions(
    stage: Stage, partitionings: Partitionings, available: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the partitions that a transform should have, given the partitions of its inputs.

    These are the partitions of all required inputs that are partitioned alike; of the optional ones, if
    no such input is required. Whether a partition must wait for other inputs is decided later, so that a
    missing input is reported instead of skipped.
    """
    cut = stage.partitioning
    if cut.is_whole:
        return [WHOLE]
    same = [item for item in stage.frames if is_alike(cut, partitionings[item.name])]
    found: set[str] = set()
    for item in [item for item in same if not item.optional] or same:
        other = partitionings[item.name]
        keys = readable_keys(available[item.name])
        found.update(
            keys if cut.grain == other.grain else _convert_grain(keys, other.grain, cut.grain)
        )
    return sorted(found)


def is_alike(partitioning: Partitioning, other: Partitioning) -> bool:
    """Whether partitions of two outputs correspond: both are by time, or both by value."""
    return (
        not partitioning.is_whole and not other.is_whole and partitioning.is_time == other.is_time
    )


def visible_partitions(
    item: Input,
    partition: str,
    partitioning: Partitioning,
    input_partitioning: Partitioning,
    keys: Sequence[str],
) -> tuple[str, ...] | None:
    """Return the partitions of an input (of its sorted `keys`) that `partition` of a stage reads.

    None means that they are missing, so that the stage must wait. An unpartitioned input is read whole,
    a value partition reads the partition of the same value. A stage that is partitioned differently, or
    not at all, reads all partitions, or its window.
    """
    if input_partitioning.is_whole:
        return (WHOLE,) if WHOLE in keys else None
    if not is_alike(partitioning, input_partitioning):
        if item.window is None or input_partitioning.grain is None or not keys:
            return tuple(keys) or None
        # What isn't in time with its input waits for a window with rows, as an unpartitioned stage does.
        found = select_partitions(item.window, keys, input_partitioning.grain, keys[-1])
        return tuple(found) or None
    if partitioning.grain is None or input_partitioning.grain is None:
        return (partition,) if _contains(partition, keys) else None
    return _visible_by_time(item, partition, partitioning.grain, input_partitioning.grain, keys)


def visible_to_unpartitioned(
    stage: Stage, partitionings: Partitionings, available: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return the partitions of each input that an unpartitioned stage reads.

    Its windows end with the newest partition that all its inputs by time have reached, so that an input
    that is ahead of the others doesn't shift its window. Inputs without partitions are left out.
    """
    keys = {item.name: readable_keys(available[item.name]) for item in stage.frames}
    newest = [
        sortable_end(keys[item.name][-1], grain)
        for item in stage.frames
        if (grain := partitionings[item.name].grain) and keys[item.name]
    ]
    end = min(newest, default="")
    seen: dict[str, tuple[str, ...]] = {}
    for item in stage.frames:
        grain = partitionings[item.name].grain
        reached = keys[item.name]
        if grain is not None and item.window is not None:
            reached = [key for key in reached if sortable_end(key, grain) <= end]
        found = visible_partitions(item, WHOLE, Partitioning(), partitionings[item.name], reached)
        if found:
            seen[item.name] = found
    return seen


def _visible_by_time(
    item: Input, partition: str, grain: Grain, other: Grain, keys: Sequence[str]
) -> tuple[str, ...] | None:
    if grain == other:
        if not _contains(partition, keys):
            return None
        if item.window is None:
            return (partition,)
        return tuple(select_partitions(item.window, keys, other, partition))
    begin, end = partition_start(partition, grain), partition_end(partition, grain)
    if item.window is not None:
        ended = bisect_right(keys, end, key=lambda key: partition_end(key, other))
        return (
            tuple(select_partitions(item.window, keys, other, keys[ended - 1])) if ended else None
        )
    first = bisect_right(keys, begin, key=lambda key: partition_end(key, other))
    return (
        tuple(keys[first : bisect_left(keys, end, key=lambda key: partition_start(key, other))])
        or None
    )


def _contains(key: str, keys: Sequence[str]) -> bool:
    """Whether sorted `keys` contain `key`, by binary search."""
    place = bisect_left(keys, key)
    return place < len(keys) and keys[place] == key


def _convert_grain(keys: Iterable[str], grain: Grain | None, into: Grain | None) -> set[str]:
    """Return the partitions of grain `into` that overlap `keys` in time."""
    assert grain is not None
    assert into is not None
    found: set[str] = set()
    for key in keys:
        moment, end = partition_start(key, grain), partition_end(key, grain)
        while moment < end:
            found.add(partition_key(moment, into))
            moment = partition_end(partition_key(moment, into), into)
    return found


@lru_cache(maxsize=200_000)
def sortable_end(key: str, grain: Grain) -> str:
    """Return the end of a partition as ISO text, which sorts by time across grains."""
    return partition_end(key, grain).isoformat()
