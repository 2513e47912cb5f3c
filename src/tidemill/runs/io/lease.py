"""Take the lease of a run and keep it alive with a heartbeat."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.ports.ledger import Lease
from tidemill.ports.runtime import Tools

# A holder that hasn't renewed for this long is taken for dead; on the same host it is seen at once.
LEASE_SECONDS = 30.0


class Heartbeat:
    """Keeps a lease alive from a thread of its own until it is closed, then gives it back."""

    def __init__(self, tools: Tools, lease: Lease) -> None:
        self._tools = tools
        self.lease = lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="tidemill-lease", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 6):
            try:
                self._tools.ledger.renew(self.lease, now=self._tools.clock(), ttl=LEASE_SECONDS)
            except ConflictError:
                # Another runner took it; every further append of ours is refused by its guard.
                return
            except StorageError:
                # A disk that is full may be emptied; the lease lasts over several of these.
                continue

    def close(self) -> None:
        """Stop renewing and release the lease."""
        self._stop.set()
        self._thread.join()
        self._tools.ledger.release(self.lease)


def take_lease(
    tools: Tools, environment: str, holder: Mapping[str, str], wait_s: float
) -> Heartbeat:
    """The right to run in an environment, waited for `wait_s` seconds; ConflictError says who has it."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            lease = tools.ledger.acquire(
                f"run:{environment}", holder, now=tools.clock(), ttl=LEASE_SECONDS, dead=is_dead
            )
        except ConflictError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
        else:
            return Heartbeat(tools, lease)
