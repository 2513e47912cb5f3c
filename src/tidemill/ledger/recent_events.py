"""Find the events since a time, reading a ledger from its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidemill.ledger.event import RecordedEvent

# A clock that was set forward and back leaves later times before earlier ones: so many events before the
# last that is recent enough may be older.
PATIENCE = 1_000


def events_since(
    newest_first: Iterable[RecordedEvent], since: float, patience: int = PATIENCE
) -> Iterator[RecordedEvent]:
    """The events from a time on (Unix seconds), newest first; ends after `patience` older ones in a row."""
    older = 0
    for fact in newest_first:
        if fact.at >= since:
            older = 0
            yield fact
        else:
            older += 1
            if older >= patience:
                return
