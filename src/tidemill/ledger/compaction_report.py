"""What is compacted of a ledger, and what that did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionTerms:
    """Which events are compacted: those older than `after_s` seconds.

    `batch` events are replaced in one transaction, for which a writer may have to wait. With `goes_on` only
    what was recorded since the last event that was compacted before is looked at, not the whole ledger.
    """

    after_s: float
    batch: int = 250
    goes_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionReport:
    """What a compaction did, or would do.

    `events` counts by kind those that lost details, `packed` those that were only compressed. `bytes_before`
    and `bytes_after` are the sizes of these events, `file_before` and `file_after` those of the ledger's
    files.
    """

    events: Mapping[str, int] = field(default_factory=dict)
    packed: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    file_before: int = 0
    file_after: int = 0
    notes: tuple[str, ...] = ()
