"""Map partitions: which partitions a stage should have, and which of its inputs each one reads."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from graphlib import CycleError, TopologicalSorter

from tidemill.core.partition import (
    WHOLE,
    Grain,
    Partitioning,
    keys_between,
    partition_instants,
    readable_keys,
)
from tidemill.workflow.stage import Flow, Input, Kind, Stage
from tidemill.workflow.window import select_partitions

Partitionings = Mapping[str, Partitioning]


def partitionings_of(flow: Flow) -> dict[str, Partitioning]:
    """Return the partitioning of each stage's output; a delivery has that of its features.

    A partition column without a time zone, such as a Date, is in the time zone of the inputs' ones.
    """
    return resolve_partitionings(flow.stages)


def resolve_partitionings(stages: Collection[Stage]) -> dict[str, Partitioning]:
    """Return the partitioning of each stage's output, for stages in any order."""
    cuts = {stage.name: stage.partitioning for stage in stages}
    for stage in _after_inputs(stages):
        cuts[stage.name] = _resolved(stage, cuts)
    return cuts


def _after_inputs(stages: Collection[Stage]) -> Sequence[Stage]:
    """Order stages after their inputs; as they are if they read each other in a circle."""
    known = {stage.name: stage for stage in stages}
    inputs = {
        name: [item.name for item in stage.inputs if item.name in known]
        for name, stage in known.items()
    }
    try:
        return [known[name] for name in TopologicalSorter(inputs).static_order()]
    except CycleError:
        return list(stages)


def _resolved(stage: Stage, cuts: Partitionings) -> Partitioning:
    """The partitioning of a stage, with what it has of its inputs."""
    own = cuts[stage.name]
    if stage.kind is Kind.DELIVER:
        return cuts.get(stage.inputs[0].name, own)
    zones = inherited_zones(stage, cuts)
    if len(zones) != 1:
        return own
    (zone,) = zones
    return replace(own, zone=zone, clock=zone)


def inherited_zones(stage: Stage, partitionings: Partitionings) -> set[str]:
    """The time zones of inputs by time, if a stage's own partition column has none."""
    own = partitionings[stage.name]
    if not own.is_time or own.zone:
        return set()
    inputs = [partitionings[item.name] for item in stage.frames if item.name in partitionings]
    return {other.zone for other in inputs if other.is_time and other.zone}


def output_partitions(
    stage: Stage, partitionings: Partitionings, available: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the partitions that a transform should have, given the partitions of its inputs.

    These are the partitions of all required inputs that are partitioned alike; of the optional ones, if
    no such input is required. Whether a partition must wait for other inputs is decided later, so that a
    missing input is reported instead of skipped.
    """
    cut = partitionings[stage.name]
    if cut.is_whole:
        return [WHOLE]
    same = [item for item in stage.frames if is_alike(cut, partitionings[item.name])]
    found: set[str] = set()
    for item in [item for item in same if not item.optional] or same:
        other = partitionings[item.name]
        keys = readable_keys(available[item.name])
        found.update(
            keys if has_same_keys(cut, other) else _overlapped_partitions(keys, other, cut)
        )
    return sorted(found)


def is_alike(partitioning: Partitioning, other: Partitioning) -> bool:
    """Whether partitions of two outputs correspond: both are by time, or both by value."""
    return (
        not partitioning.is_whole and not other.is_whole and partitioning.is_time == other.is_time
    )


def has_same_keys(partitioning: Partitioning, other: Partitioning) -> bool:
    """Whether a key names the same span of time, or the same value, in two outputs that are alike."""
    return partitioning.grain == other.grain and key_clocks(partitioning, other)[0] == ""


def key_clocks(partitioning: Partitioning, other: Partitioning) -> tuple[str, str]:
    """The time zones between which keys have to be converted; none if they are equal, or one is unknown."""
    clocks = partitioning.clock, other.clock
    return clocks if all(clocks) and clocks[0] != clocks[1] else ("", "")


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
    return _visible_by_time(item, partition, partitioning, input_partitioning, keys)


def visible_to_unpartitioned(
    stage: Stage, partitionings: Partitionings, available: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return the partitions of each input that an unpartitioned stage reads.

    Its windows end with the newest partition that all its inputs by time have reached, so that an input
    that is ahead of the others doesn't shift its window. Inputs without partitions are left out.
    """
    keys = {item.name: readable_keys(available[item.name]) for item in stage.frames}
    cuts = {item.name: partitionings[item.name] for item in stage.frames}
    # Without a zone a clock can't be compared with others.
    zoned = all(cut.clock for cut in cuts.values() if cut.grain)
    newest = [
        sortable_end(keys[name][-1], cut.grain, cut.clock if zoned else "")
        for name, cut in cuts.items()
        if cut.grain and keys[name]
    ]
    end = min(newest, default="")
    seen: dict[str, tuple[str, ...]] = {}
    for item in stage.frames:
        cut, reached = cuts[item.name], keys[item.name]
        if cut.grain is not None and item.window is not None:
            end_of = partial(sortable_end, grain=cut.grain, clock=cut.clock if zoned else "")
            reached = reached[: bisect_right(reached, end, key=end_of)]
        found = visible_partitions(item, WHOLE, Partitioning(), cut, reached)
        if found:
            seen[item.name] = found
    return seen


def _visible_by_time(
    item: Input,
    partition: str,
    partitioning: Partitioning,
    input_partitioning: Partitioning,
    keys: Sequence[str],
) -> tuple[str, ...] | None:
    grain, other = partitioning.grain, input_partitioning.grain
    assert grain is not None
    assert other is not None
    if has_same_keys(partitioning, input_partitioning):
        if not _contains(partition, keys):
            return None
        if item.window is None:
            return (partition,)
        return tuple(select_partitions(item.window, keys, other, partition))
    own, clock = key_clocks(partitioning, input_partitioning)
    begin, end = partition_instants(partition, grain, own)
    if item.window is not None:
        ended = bisect_right(keys, end, key=lambda key: partition_instants(key, other, clock)[1])
        return (
            tuple(select_partitions(item.window, keys, other, keys[ended - 1])) if ended else None
        )
    first = bisect_right(keys, begin, key=lambda key: partition_instants(key, other, clock)[1])
    last = bisect_left(keys, end, key=lambda key: partition_instants(key, other, clock)[0])
    return tuple(keys[first:last]) or None


def _contains(key: str, keys: Sequence[str]) -> bool:
    """Whether sorted `keys` contain `key`, by binary search."""
    place = bisect_left(keys, key)
    return place < len(keys) and keys[place] == key


def _overlapped_partitions(
    keys: Iterable[str], partitioning: Partitioning, into: Partitioning
) -> set[str]:
    """Return the partitions of `into` that overlap `keys` in time."""
    assert partitioning.grain is not None
    assert into.grain is not None
    clock, own = key_clocks(partitioning, into)
    found: set[str] = set()
    for key in keys:
        found.update(
            keys_between(*partition_instants(key, partitioning.grain, clock), into.grain, own)
        )
    return found


@lru_cache(maxsize=200_000)
def sortable_end(key: str, grain: Grain, clock: str = "") -> str:
    """Return the end of a partition as ISO text, which sorts by time across grains (and clocks)."""
    return partition_instants(key, grain, clock)[1].isoformat()
