"""Read what is new in a ledger since the last time, of some kinds of events."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tidemill.ledger.event import RecordedEvent
from tidemill.ports.ledger import Ledger


class NewFacts:
    """The events of some kinds, each read once; the first time those after the number `after`."""

    def __init__(self, ledger: Ledger, kinds: Collection[str], after: int = 0) -> None:
        self._ledger, self._kinds, self._after = ledger, kinds, after
        self._last = dict.fromkeys(kinds, 0)

    def read(self) -> list[RecordedEvent]:
        """The events since the last call, in order."""
        found = list(self._ledger.events(kinds=self._kinds, after=self._after))
        for fact in found:
            self._last[type(fact.event).__name__] = fact.seq
            self._after = fact.seq
        return found

    @property
    def last_numbers(self) -> Mapping[str, int]:
        """The number of the last event of each kind that was read; 0 if there was none."""
        return self._last
