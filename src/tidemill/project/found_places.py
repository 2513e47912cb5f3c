"""A place that has something of a person, and how it is removed from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.erasure import ErasurePlace
from tidemill.ledger.event import Event


def _nothing() -> tuple[Event, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPlace:
    """A place that has rows or mentions of a person; `remove` is None where they stay.

    `prepare` stores what takes their place, and returns the events that go with the record of the erasure.
    After those are recorded, `remove` removes the rows or mentions, and returns how many there were.
    """

    place: ErasurePlace
    prepare: Callable[[], Sequence[Event]] = _nothing
    remove: Callable[[], int] | None = None

    def kept(self, why: str) -> FoundPlace:
        """The same place, where nothing is removed for a reason."""
        return FoundPlace(place=replace(self.place, left=self.place.left or why))
