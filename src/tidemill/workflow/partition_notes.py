"""Notes that `check` prints where partitions of different lengths or time zones meet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import product
from zoneinfo import ZoneInfo

from tidemill.core.partition import Grain, Partitioning
from tidemill.workflow.partition_mapping import (
    Partitionings,
    has_same_keys,
    is_alike,
    key_clocks,
    partitionings_of,
)
from tidemill.workflow.stage import Flow, Kind, Stage

# The lengths of which one partition holds whole ones, on the same clock.
_HOLDS = {
    Grain.HOUR: (),
    Grain.DAY: (Grain.HOUR,),
    Grain.WEEK: (Grain.HOUR, Grain.DAY),
    Grain.MONTH: (Grain.HOUR, Grain.DAY),
}
_HOUR = timedelta(hours=1)


def partition_notes(flow: Flow) -> Iterator[str]:
    """Say which partitions of an input each partition of a stage reads, where they aren't the same ones."""
    cuts = partitionings_of(flow)
    for stage in flow.stages:
        if stage.kind is Kind.TRANSFORM and cuts[stage.name].is_time:
            yield from _stage_notes(stage, cuts)


def _stage_notes(stage: Stage, cuts: Partitionings) -> Iterator[str]:
    own, inferred = cuts[stage.name], not stage.partitioning.zone
    for item in stage.frames:
        other = cuts[item.name]
        if item.window is not None or not is_alike(own, other):
            continue
        unclear = bool(own.zone) != bool(other.zone)
        if has_same_keys(own, other) and not unclear:
            continue
        note = f"{stage.name}: {_described(own, 'a')} reads {_described(other, 'every')} of {item.name} "
        note += "that overlaps it"
        if inferred and own.zone:
            note += f"; {own.column} has no time zone and counts as a time in {own.zone}"
        elif unclear:
            unzoned = own if own.zone == "" else other
            note += f"; {unzoned.column} has no time zone, so both count as times of one clock"
        if _sticks_out(own, other):
            note += f"; leave rows of other {own.grain}s out"
        yield note


def _described(cut: Partitioning, article: str) -> str:
    article = "an" if (article, cut.grain) == ("a", Grain.HOUR) else article
    return f"{article} {cut.grain}{f' ({cut.clock})' if cut.clock else ''}"


def _sticks_out(own: Partitioning, other: Partitioning) -> bool:
    """Whether a partition of the input can have rows of two partitions of the stage."""
    assert own.grain is not None
    assert other.grain is not None
    if other.grain != own.grain and other.grain not in _HOLDS[own.grain]:
        return True
    clocks = key_clocks(own, other)
    return any(clocks) and not (other.grain is Grain.HOUR and all(map(_has_whole_hours, clocks)))


@lru_cache(maxsize=100)
def _has_whole_hours(clock: str) -> bool:
    """Whether a clock differs from UTC by whole hours, in all seasons of these decades."""
    zone = ZoneInfo(clock)
    moments = (
        datetime(year, month, 1, tzinfo=zone) for year, month in product(range(1990, 2040), (1, 7))
    )
    return all(not (moment.utcoffset() or timedelta()) % _HOUR for moment in moments)
