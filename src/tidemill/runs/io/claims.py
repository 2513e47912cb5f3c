"""The keys that a run has claimed, so that no other run computes them."""

from __future__ import annotations

from collections import defaultdict

from tidemill.ledger.run import Attempt, Outcome
from tidemill.ports.reuse import Claims

# How long to wait for one key before the others that were put off are tried again.
_PATIENCE_S = 0.2
# A holder that was stopped, or fell asleep, keeps its keys: after so long its work is done once more.
GIVEN_UP_S = 300.0


class Claimed:
    """The keys that a run is at work on; each is given back when it is published, or came to nothing."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        # What was asked for, and of that what is surely ours.
        self._keys: set[str] = set()
        self._held: set[str] = set()
        self._waited: dict[str, float] = defaultdict(float)

    def take(self, key: str) -> bool:
        """Whether a step may go on to make what the key stands for."""
        # Noted first: an interrupt right after must not leave it behind.
        self._keys.add(key)
        taken = self._claims.take(key) or self._waited[key] >= GIVEN_UP_S
        if taken:
            self._held.add(key)
        return taken

    def wait(self, key: str) -> None:
        """Wait a while for another run to give a key."""
        self._keys.add(key)
        # Its step comes next, and then gives it back like one that took the key itself.
        if self._claims.wait(key, _PATIENCE_S):
            self._held.add(key)
        else:
            self._waited[key] += _PATIENCE_S

    def passed(self, key: str, attempt: Attempt | None) -> str:
        """The key to be given when what the step made is published; if it made nothing, given now."""
        if key not in self._held:
            return ""
        self._held.discard(key)
        if attempt is None or attempt.outcome is not Outcome.OK:
            self.give(key)
            return ""
        return key

    def give(self, key: str) -> None:
        """Let other runs have a key."""
        self._claims.give(key)
        self._keys.discard(key)

    def give_all(self) -> None:
        """Let other runs have everything, when this run ends in whatever way."""
        for key in list(self._keys):
            self.give(key)
