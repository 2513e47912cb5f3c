"""Derive how new the published data of each stage is: the watermark of its rows, through its lineage.

The watermark of a partition is the newest time in its rows if a freshness rule had it recorded, else the end
of the partition, as far as it was past when the partition was published. It is never newer than those of
the inputs at that time, but for models: what these were trained on says nothing about the rows that they
predict. An output without times of its own is as new as its inputs, or without inputs as new
as its last change. So to publish old data again refreshes nothing, and data that arrive late hold back what
was computed without them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import lru_cache
from operator import itemgetter

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import time_zone
from tidemill.core.partition import time_bounds
from tidemill.ledger.binding import Binding

# The partitions of a stage whose watermarks are known: the newest ones.
_KEPT = 64
# Changes within so many seconds of one are one: a run may publish thousands of partitions in that time.
_RESOLUTION_S = 1.0
UNKNOWN = float("-inf")


@dataclass(slots=True, kw_only=True)
class StageWatermark:
    """The watermarks of a stage's newest partitions, and when the newest of them changed.

    `history` has pairs of the time of a change and the watermark from then on, in Unix seconds; UNKNOWN
    while no partition with a known one is published. `content` is the last one of an output without times;
    `contents` has that of each partition with a time, and the time. `is_dated` says that the watermark is a
    time in the data, its own or those of inputs, and not merely when they changed. A stage that `is_model`
    publishes models.
    """

    partitions: dict[str, float] = field(default_factory=dict)
    history: list[tuple[float, float]] = field(default_factory=list)
    content: str = ""
    contents: dict[str, tuple[str, float]] = field(default_factory=dict)
    is_dated: bool = False
    is_model: bool = False

    @property
    def current(self) -> float | None:
        """The watermark now; None while it is unknown."""
        return max(self.partitions.values()) if self.partitions else None

    def publish(self, partition: str, watermark: float, at: float) -> None:
        """Record that a partition was published with a watermark."""
        self.partitions[partition] = watermark
        if len(self.partitions) > _KEPT:
            _, oldest = min(zip(self.partitions.values(), self.partitions, strict=True))
            del self.partitions[oldest]
            self.contents.pop(oldest, None)
        self._note_change(at)

    def remove(self, partition: str, at: float) -> None:
        """Record that a partition was removed."""
        self.partitions.pop(partition, None)
        self.contents.pop(partition, None)
        self._note_change(at)

    def _note_change(self, at: float) -> None:
        found = self.current
        watermark = UNKNOWN if found is None else found
        if self.history and self.history[-1][1] == watermark:
            return
        # Also when the clock was put back: that changes nothing about the order.
        if self.history and at < self.history[-1][0] + _RESOLUTION_S:
            at, _ = self.history.pop()
        self.history.append((at, watermark))

    def prune(self, since: float) -> None:
        """Forget changes that don't matter after `since`."""
        later = next((n for n, (at, _) in enumerate(self.history) if at > since), len(self.history))
        del self.history[: max(0, later - 1)]

    def missed_seconds(self, within: float, start: float, end: float) -> tuple[float, float]:
        """Seconds between two times in which data were older than `within`, and in which that is known."""
        missed = known = 0.0
        history = self.history
        place = max(0, bisect_right(history, start, key=itemgetter(0)) - 1)
        ends = [at for at, _ in history[place + 1 :]] + [end]
        for (since, watermark), until in zip(history[place:], ends, strict=False):
            # Many changes are looked at, and functions take longer than comparisons.
            first = since if since > start else start
            last = until if until < end else end
            if watermark == UNKNOWN or last <= first:
                continue
            known += last - first
            late = watermark + within
            if late < last:
                missed += last - (late if late > first else first)
        return missed, known


def publish_partition(
    known: dict[str, StageWatermark],
    stage: str,
    partition: str,
    binding: Binding,
    at: float,
    zone: str,
) -> None:
    """Add a publication to the watermarks of all stages; times in keys of partitions are those of `zone`."""
    if any(finding.severity == "fail" for finding in binding.findings):
        return
    own = known.setdefault(stage, StageWatermark())
    own.is_model = binding.product.artifact is not None
    read = [known[name] for name in binding.inputs if name in known and name != stage]
    sources = [mark for mark in read if not mark.is_model] or read
    inputs = [mark.current for mark in sources if mark.current is not None]
    event_time = _event_time(partition, binding, at, zone)
    own.is_dated = event_time is not None or any(mark.is_dated for mark in sources)
    if event_time is None and not inputs:
        if own.content == binding.product.content and own.partitions:
            return
        event_time = at
    content = own.content = binding.product.content
    if event_time is not None:
        before, known_time = own.contents.get(partition, ("", event_time))
        if content == before:
            # The same rows again are no newer, though more of the partition's time is past.
            event_time = min(event_time, known_time)
        own.contents[partition] = content, event_time
    own.publish(partition, min([*inputs, *([] if event_time is None else [event_time])]), at)


def seed_watermarks(
    known: dict[str, StageWatermark], heads: Mapping[str, Mapping[str, Binding]], zone: str
) -> None:
    """Add the newest partitions of stages of which nothing is known, from what is published now."""
    unknown: Iterable[tuple[float, str, str, Binding]] = sorted(
        (
            (binding.at, stage, partition, binding)
            for stage, partitions in heads.items()
            if stage not in known
            for partition, binding in partitions.items()
        ),
        key=lambda item: item[:3],
    )
    for at, stage, partition, binding in unknown:
        publish_partition(known, stage, partition, binding, at, zone)


def _event_time(partition: str, binding: Binding, at: float, zone: str) -> float | None:
    """The newest time in the rows of a partition; None if neither rows nor key have one."""
    if binding.verdict is not None and binding.verdict.newest:
        return min(min(binding.verdict.newest.values()), at)
    end = _partition_end(partition, zone)
    return None if end is None else min(end, at)


@lru_cache(maxsize=50_000)
def _partition_end(partition: str, zone: str) -> float | None:
    """The Unix time at which a partition ends; None if its key isn't a time."""
    try:
        end = time_bounds(partition)[1]
    except UsageError:
        return None
    return end.replace(tzinfo=time_zone(zone)).timestamp()
