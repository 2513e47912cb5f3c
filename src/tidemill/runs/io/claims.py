"""The keys that a run has claimed, so that no other run computes the same steps."""

from __future__ import annotations

from collections import defaultdict

from tidemill.ledger.run import Attempt, Outcome
from tidemill.ports.reuse import Claims

# How long to wait for one key before the other steps that were put off are tried again.
_PATIENCE_S = 0.2
# A holder that was stopped keeps its keys: after so long its work is done once more.
GIVEN_UP_S = 300.0


class ClaimSet:
    """The keys that a run computes; each is given back when its result is published, or there is none."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        # Keys that were requested, and those of them that are surely ours.
        self._keys: set[str] = set()
        self._held: set[str] = set()
        self._waited: dict[str, float] = defaultdict(float)

    def take(self, key: str) -> bool:
        """Claim a key; return whether a step may go on to compute its result."""
        # Noted first: an interrupt right after the claim must not leave it behind.
        self._keys.add(key)
        taken = self._claims.take(key) or self._waited[key] >= GIVEN_UP_S
        if taken:
            self._held.add(key)
        return taken

    def wait(self, key: str) -> None:
        """Wait a while for another run to give a key back."""
        self._keys.add(key)
        # The step that waits comes next, and gives the key back as if it had claimed it.
        if self._claims.wait(key, _PATIENCE_S):
            self._held.add(key)
        else:
            self._waited[key] += _PATIENCE_S

    def pass_on(self, key: str, attempt: Attempt | None) -> str:
        """Return the key to give back once the result is published; without a result, give it back now."""
        if key not in self._held:
            return ""
        self._held.discard(key)
        if attempt is None or attempt.outcome not in (Outcome.OK, Outcome.PRUNED):
            self.release(key)
            return ""
        return key

    def release(self, key: str) -> None:
        """Let other runs claim a key."""
        self._claims.release(key)
        self._keys.discard(key)

    def release_all(self) -> None:
        """Let other runs claim all keys of this run, however it ended."""
        for key in list(self._keys):
            self.release(key)
