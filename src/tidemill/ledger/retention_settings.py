"""How long a workflow keeps results, deliveries, pages, logs and memos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRetention:
    """What differs for one stage; None where it doesn't."""

    keep_for: float | None = None
    keeps_forever: bool = False
    keep_last: int | None = None
    hold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long things are kept, in seconds; None is for ever.

    A result that was superseded can be reused for `keep_for`; the `keep_last` last ones of a partition
    longer. What readers may still read is kept for `grace`. `restore_for` is for earlier versions of
    delivered tables, `models` counts the versions that were live before, `reviews` is for pages of closed
    reviews, `logs` and `memos` since they were used last. With `hold` nothing is removed. Without `automatic`
    only commands sweep. `is_declared`: the project says how long it keeps data.
    """

    keep_for: float | None = 7 * _DAY
    keep_last: int = 0
    grace: float = 3_600.0
    restore_for: float | None = 30 * _DAY
    models: int = 2
    reviews: float | None = None
    logs: float | None = 90 * _DAY
    memos: float | None = 180 * _DAY
    hold: bool = False
    automatic: bool = True
    stages: Mapping[str, StageRetention] = field(default_factory=dict)
    is_declared: bool = False

    def is_held(self, stage: str) -> bool:
        """Whether nothing of a stage may be removed."""
        own = self.stages.get(stage)
        return self.hold or (own is not None and own.hold)

    def span(self, stage: str) -> float | None:
        """How long superseded results of a stage are kept."""
        own = self.stages.get(stage, StageRetention())
        if own.keeps_forever:
            return None
        return self.keep_for if own.keep_for is None else own.keep_for

    def last(self, stage: str) -> int:
        """How many superseded results of each partition of a stage are kept, whatever their age."""
        own = self.stages.get(stage, StageRetention())
        return self.keep_last if own.keep_last is None else own.keep_last

    @property
    def most_last(self) -> int:
        """The largest of these numbers."""
        return max(self.keep_last, *(self.last(stage) for stage in self.stages), 0)

    @property
    def least_span(self) -> float | None:
        """The shortest time that any stage keeps results; None if none is ever removed."""
        spans = [self.keep_for, *(self.span(stage) for stage in self.stages)]
        known = [span for span in spans if span is not None]
        return max(min(known), self.grace) if known else None
