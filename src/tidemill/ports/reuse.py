"""Ports: probe results, key claims and memos, which only save work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from tidemill.analysis.query.summary import Query

if TYPE_CHECKING:
    pass


class Probes(Protocol):
    """What probes of stages found, kept so that the next plan needs no user code; a cache, no record."""

    def get(self, keys: Collection[str]) -> Mapping[str, Query]:
        """What is known under these keys; what can't be read isn't known."""

    def put(self, found: Mapping[str, Query]) -> None:
        """Keep these; nothing happens when they can't be written."""


class Claims(Protocol):
    """Who is at work on which key, so that two runs don't compute the same thing.

    Nothing depends on them for being right: they spare work. One holder may have many keys, a key has
    one holder, and a holder that dies has none.
    """

    def take(self, key: str) -> bool:
        """Whether the key is ours now; never waits. Taking it a second time changes nothing."""

    def wait(self, key: str, timeout_s: float) -> bool:
        """Whether the key became ours within so many seconds."""

    def give(self, key: str) -> None:
        """Let others have the key; nothing happens when it isn't ours."""


class Memos(Protocol):
    """Results of costly functions, in spaces: immutable segments, and who is about to compute what.

    A segment is named so that older ones come first, and the one that takes the place of several where
    the first of them was. Intents only spare work; those of whoever dies vanish.
    """

    def segments(self, space: str) -> Mapping[str, int]:
        """The names of a space's segments, oldest first, with their sizes in bytes."""

    def open(self, space: str, segment: str) -> str | bytes | None:
        """The path of a segment's file, or its bytes; None when it has been merged into another."""

    def append(self, space: str, payload: bytes) -> None:
        """Add a segment, durably."""

    def merge(self, space: str, segments: Sequence[str], payload: bytes) -> bool:
        """Put one segment in the place of several that are neighbours; False if some are gone."""

    def intend(self, space: str, payload: bytes) -> str:
        """Say what is about to be computed; the intent's name."""

    def intents(self, space: str, before: str) -> Mapping[str, bytes]:
        """What others that came `before` an intent are about to compute."""

    def withdraw(self, space: str, intent: str) -> None:
        """That was computed, or won't be."""

    def turn(self, space: str, every_s: float) -> float:
        """Seconds to wait for one's turn, where all turns of a space are so far apart."""
