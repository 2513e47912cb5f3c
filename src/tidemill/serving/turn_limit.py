"""Decide how many requests begin in one turn of an event loop."""

from __future__ import annotations

# A turn that takes longer delays what arrives meanwhile, because the loop can't see it.
TURN_S = 0.002
_FIRST, _MOST = 8, 1024


class TurnLimit:
    """How many requests may begin in a turn, so that turns take between half of `turn_s` and all of it."""

    __slots__ = ("_turn", "requests")

    def __init__(self, turn_s: float = TURN_S) -> None:
        self.requests = _FIRST
        self._turn = turn_s

    def note(self, begun: int, took_s: float) -> None:
        """Note a turn in which so many requests began."""
        if took_s > self._turn:
            # What delays a turn in which few began isn't their number.
            if 2 * begun > self.requests:
                self.requests = max(1, begun // 2)
        elif begun >= self.requests and 2 * took_s <= self._turn:
            self.requests = min(_MOST, 2 * self.requests)
