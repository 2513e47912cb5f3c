"""Follow how old published data are, and were when they were read, event by event.

The age of a stage's data is the time since its watermark, as `operations/watermarks.py` derives it through
lineage. Predictions read what the inputs of their model are then: its features, without the input that has
the label unless there is no other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import field
from operator import itemgetter
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import (
    Computed,
    EnvironmentCreated,
    EnvironmentDropped,
    Published,
    RecordedEvent,
    Removed,
    Served,
)
from tidemill.operations.watermarks import (
    UNKNOWN,
    StageWatermark,
    publish_partition,
    seed_watermarks,
)
from tidemill.workflow.model import Artifact


@dataclass(slots=True, kw_only=True)
class ReadAges:
    """How many requests read data of each age in seconds, by its first three digits, or of an unknown one."""

    counts: dict[float, int] = field(default_factory=dict)
    unknown: int = 0

    def add(self, age: float | None, requests: int) -> None:
        """Add requests that read data of an age; None if that isn't known."""
        if age is None:
            self.unknown += requests
            return
        digits = float(f"{max(0.0, age):.3g}")
        self.counts[digits] = self.counts.get(digits, 0) + requests


@dataclass(slots=True, kw_only=True)
class DataAges:
    """The watermarks of the stages of an environment, and how old what its endpoints read was.

    `inputs` are the tables that versions of models read, `reads` is by endpoint and day; days, and times in
    keys of partitions, are those of the time zone `zone`.
    """

    environment: str
    zone: str
    watermarks: dict[str, StageWatermark] = field(default_factory=dict)
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reads: dict[str, dict[str, ReadAges]] = field(default_factory=dict)

    def add(self, fact: RecordedEvent) -> None:
        """Add an event, in the order of the ledger; those of other environments and kinds change nothing."""
        handler = _HANDLERS.get(type(fact.event))
        if handler is not None:
            handler(self, fact.event, fact.at)

    def seed(self, heads: Mapping[str, Mapping[str, Binding]]) -> None:
        """Add what is published of stages that no event was about, because it is older than all of them."""
        seed_watermarks(self.watermarks, heads, self.zone)

    def prune(self, since: float) -> None:
        """Forget what was before a time."""
        for watermark in self.watermarks.values():
            watermark.prune(since)
        first = local_day(since, self.zone)
        for endpoint, days in [*self.reads.items()]:
            self.reads[endpoint] = {day: each for day, each in days.items() if day >= first}

    def _is_here(self, event: Any) -> bool:
        return bool(event.environment == self.environment)

    def _end_environment(self, event: EnvironmentCreated | EnvironmentDropped, _: float) -> None:
        """Forget the data of an environment of the same name."""
        if self._is_here(event):
            self.watermarks = {}

    def _publish(self, event: Published, at: float) -> None:
        self._note_model(event.binding)
        if self._is_here(event):
            publish_partition(
                self.watermarks, event.stage, event.partition, event.binding, at, self.zone
            )

    def _compute(self, event: Computed, _: float) -> None:
        self._note_model(event.binding)

    def _note_model(self, binding: Binding) -> None:
        artifact = binding.product.artifact
        if artifact is not None:
            self.inputs.setdefault(artifact.id, _features(artifact, binding))

    def _remove(self, event: Removed, at: float) -> None:
        if self._is_here(event) and event.stage in self.watermarks:
            self.watermarks[event.stage].remove(event.partition, at)

    def _serve(self, event: Served, _: float) -> None:
        if not self._is_here(event):
            return
        # Of when in a period which requests were answered, only the middle is known.
        middle, day = (event.since + event.until) / 2, local_day(event.until, self.zone)
        for usage in event.usages:
            if usage.requests:
                by_day = self.reads.setdefault(usage.endpoint, {})
                age = self._age_read(usage.version, middle)
                by_day.setdefault(day, ReadAges()).add(age, usage.requests)

    def _age_read(self, version: str, at: float) -> float | None:
        """The age of what a version reads: of its oldest input of which one is known."""
        found = [
            watermark
            for name in self.inputs.get(version, ())
            if (watermark := watermark_at(self.watermarks.get(name), at)) is not None
        ]
        return at - min(found) if found else None


def watermark_at(known: StageWatermark | None, at: float) -> float | None:
    """The watermark of a stage at a time; None if it was unknown then."""
    if known is None:
        return None
    place = bisect_right(known.history, at, key=itemgetter(0)) - 1
    if place < 0 or known.history[place][1] == UNKNOWN:
        return None
    return known.history[place][1]


def _features(artifact: Artifact, binding: Binding) -> tuple[str, ...]:
    """The inputs of a training that predictions need."""
    named = tuple(binding.inputs)
    features = tuple(name for name in named if artifact.output not in binding.seen.get(name, {}))
    return features or named


_HANDLERS: Mapping[type, Callable[[DataAges, Any, float], None]] = {
    EnvironmentCreated: DataAges._end_environment,
    EnvironmentDropped: DataAges._end_environment,
    Published: DataAges._publish,
    Computed: DataAges._compute,
    Removed: DataAges._remove,
    Served: DataAges._serve,
}

# The kinds of events that ages are derived from.
AGE_KINDS = tuple(sorted(kind.__name__ for kind in _HANDLERS))
