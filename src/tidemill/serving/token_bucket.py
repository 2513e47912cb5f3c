"""Limit the rate of requests."""

from __future__ import annotations


class TokenBucket:
    """Allows `burst` requests at once, and `rate` requests a second on average."""

    __slots__ = ("at", "level")

    def __init__(self, burst: float, now: float) -> None:
        self.level = burst
        self.at = now

    def take(self, now: float, *, rate: float, burst: float) -> float:
        """Take one request; return 0.0, or take none and return the seconds until there is one.

        A clock that goes back adds nothing.
        """
        self.level = min(burst, self.level + rate * max(0.0, now - self.at))
        self.at = now
        if self.level >= 1.0:
            self.level -= 1.0
            return 0.0
        return (1.0 - self.level) / rate
