"""The event of a compaction: old events were made smaller, because nothing needs all of them any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """Bodies of old events were replaced by smaller ones, between the events `first` and `last`.

    `events` counts by kind those that lost details, `packed` those that were only compressed. The hash chain
    has the digests of the old bodies; `sha256` covers the new ones (ledger/compacted.py). `bytes_before` and
    `bytes_after` are the sizes of all these bodies. `actor` is who had it done.
    """

    first: int
    last: int
    sha256: str
    events: Mapping[str, int] = field(default_factory=dict)
    packed: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    actor: str = ""
