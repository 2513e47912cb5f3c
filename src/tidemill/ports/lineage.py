"""Port: where events of lineage are sent, for other tools to read."""

from __future__ import annotations

from typing import Protocol


class LineageTransport(Protocol):
    """Sends events, one after the other, from one thread; only `abort` is called from another.

    One that `confirms` has passed an event on when `send` returns; of others only `close` tells.
    """

    @property
    def confirms(self) -> bool: ...

    def send(self, event: bytes) -> None:
        """Send an event, a JSON document in one line; SendError if it can't be, or is refused."""

    def abort(self) -> None:
        """Break off a `send` or `close` in another thread; what is sent afterwards fails at once."""

    def close(self) -> None:
        """Finish; SendError if the receiver refuses what it got before."""
