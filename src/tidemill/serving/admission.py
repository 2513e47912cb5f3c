"""Decide whether a request may be worked on, or is refused because too many are."""

from __future__ import annotations

from tidemill.serving.errors import Unavailable


class Admission:
    """Counts the requests in flight by endpoint; only the thread of the event loop calls it.

    An endpoint may have all of the `limit` while no other has requests in flight. Else each has an equal
    share, so that a flood of requests to one endpoint doesn't keep others from answering.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_flight: dict[str, int] = {}

    @property
    def in_flight(self) -> int:
        """The number of requests in flight."""
        return sum(self._in_flight.values())

    def is_full(self, endpoint: str) -> bool:
        """Whether an endpoint has its share in flight."""
        own = self._in_flight.get(endpoint, 0)
        others = len(self._in_flight) - (own > 0)
        return own >= max(1, self._limit // (others + 1))

    def enter(self, endpoint: str) -> None:
        """Begin a request; Unavailable if its endpoint has its share in flight already."""
        own = self._in_flight.get(endpoint, 0)
        if self.is_full(endpoint):
            raise Unavailable(
                f"{endpoint} has {own} requests in flight, which is all that it may have now"
            )
        self._in_flight[endpoint] = own + 1

    def leave(self, endpoint: str) -> None:
        """End a request that began."""
        left = self._in_flight[endpoint] - 1
        if left:
            self._in_flight[endpoint] = left
        else:
            del self._in_flight[endpoint]
