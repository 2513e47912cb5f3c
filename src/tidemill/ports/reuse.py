"""Ports that only save work: the probe cache, claims on step keys, and the memo store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from tidemill.analysis.query.summary import QuerySummary


class Probes(Protocol):
    """A cache of probe results, so that the next plan needn't call user code."""

    def get(self, keys: Collection[str]) -> Mapping[str, QuerySummary]:
        """Return the cached results for these keys; unreadable entries count as missing."""

    def put(self, found: Mapping[str, QuerySummary]) -> None:
        """Cache these results; a failure to write is ignored."""


class Claims(Protocol):
    """Claims on step keys, so that two runs don't compute the same result.

    Claims only save work; correctness never depends on them. A holder may claim many keys, a key has one
    holder, and the claims of a dead holder are released.
    """

    def take(self, key: str) -> bool:
        """Claim the key without waiting; return whether we hold it. Claiming it twice is harmless."""

    def wait(self, key: str, timeout_s: float) -> bool:
        """Wait up to `timeout_s` to claim the key; return whether we hold it."""

    def release(self, key: str) -> None:
        """Release the key; does nothing if we don't hold it."""


class Memos(Protocol):
    """Results of memoised functions, in spaces: immutable segments, and intents to compute rows.

    Names of segments sort by age; a merged segment takes the place of the oldest that it replaces.
    Intents only save work; those of a dead process vanish.
    """

    def segments(self, space: str) -> Mapping[str, int]:
        """Return the names of a space's segments, oldest first, with their sizes in bytes."""

    def open(self, space: str, segment: str) -> str | bytes | None:
        """Return the path of a segment's file, or its bytes; None if it was merged into another."""

    def append(self, space: str, payload: bytes, mark: str = "") -> None:
        """Add a segment, durably; its name has the `mark`, a checksum of the bytes."""

    def merge(
        self,
        space: str,
        segments: Sequence[str],
        payload: bytes,
        mark: str = "",
        *,
        keep: bool = False,
    ) -> bool:
        """Replace adjacent segments by one; return False if some of them are gone.

        With `keep` they stay stored, but aren't listed any more.
        """

    def intend(self, space: str, payload: bytes) -> str:
        """Announce rows that are about to be computed; return the name of the intent."""

    def intents(self, space: str, before: str) -> Mapping[str, bytes]:
        """Return the intents of others that were announced before the intent `before`."""

    def withdraw(self, space: str, intent: str) -> None:
        """Remove an intent, because its rows were computed or won't be."""

    def turn(self, space: str, every_s: float) -> float:
        """Reserve the next turn in a space; return the seconds until it. Turns are `every_s` apart."""
