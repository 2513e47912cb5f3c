"""Take the lease of a run and keep it alive with a heartbeat."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.io.lease_holder import active_run_message, is_dead
from tidemill.ports.ledger import Lease
from tidemill.ports.runtime import Runtime

# A holder that hasn't renewed for this long counts as dead; on the same host that is seen at once.
LEASE_SECONDS = 30.0

# Leases of this process that have ended though the ledger couldn't be written: on a full disk, or on a server
# that is away.
_UNRELEASED: set[tuple[str, frozenset[tuple[str, str]]]] = set()

_ADVICE = ("use --wait 5m to run after it (in Python: wait_s=300)", "try again when it has ended")


class Heartbeat:
    """Renews a lease from a thread until it is closed, then releases it."""

    def __init__(self, tools: Runtime, lease: Lease) -> None:
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
                # Another run took the lease; the guard refuses all further appends of this one.
                return
            except StorageError:
                # A full disk may be emptied; the lease outlasts several failed renewals.
                continue

    def close(self) -> None:
        """Stop renewing and release the lease.

        When the ledger can't be written, this process counts as having released it; for others it expires.
        """
        self._stop.set()
        self._thread.join()
        try:
            self._tools.ledger.release(self.lease)
        except StorageError:
            _UNRELEASED.add((self.lease.name, frozenset(self.lease.holder.items())))


def take_lease(
    tools: Runtime, environment: str, holder: Mapping[str, str], wait_s: float | None
) -> Heartbeat:
    """Acquire the lease of an environment within `wait_s` seconds; ConflictError says who holds it.

    Its advice names the option for waiting, unless `wait_s` is None: the caller can't wait.
    """
    name = f"run:{environment}"

    def is_over(held: Mapping[str, str]) -> bool:
        return (name, frozenset(held.items())) in _UNRELEASED or is_dead(held)

    deadline = time.monotonic() + (wait_s or 0.0)
    while True:
        try:
            lease = tools.ledger.acquire(
                name, holder, now=tools.clock(), ttl=LEASE_SECONDS, dead=is_over
            )
        except ConflictError as error:
            if time.monotonic() >= deadline:
                if not error.holder:
                    # Nobody has the lease: the ledger is busy with something else.
                    raise
                message = (
                    f"{active_run_message(environment, error.holder)}; {_ADVICE[wait_s is None]}"
                )
                raise ConflictError(message, holder=error.holder) from error
            time.sleep(0.1)
        except StorageError:
            # A server that is away may have given the lease before.
            _UNRELEASED.add((name, frozenset(holder.items())))
            raise
        else:
            _UNRELEASED.discard((name, frozenset(holder.items())))
            return Heartbeat(tools, lease)
