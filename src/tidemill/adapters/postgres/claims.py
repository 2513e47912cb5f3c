"""Claim keys between the machines that share a home, by advisory locks of its server.

The server releases the locks of a connection that ends, so there is no heartbeat and nothing to clean up.
"""

from __future__ import annotations

import threading

from tidemill.adapters.files.claims import try_until
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.server import LedgerServer, statement
from tidemill.core.errors import TidemillError

_FIRST_PAUSE_S = 0.002
_MAX_PAUSE_S = 0.1
# The server releases the locks of one that it doesn't hear of for about so long.
_ALIVE_S = 30.0


class PostgresClaims:
    """One holder's claims in a shared home; thread-safe.

    Claims only save work, so a server that can't be reached keeps nobody from working.
    """

    def __init__(self, address: HomeAddress) -> None:
        self._schema = address.schema
        # A connection of its own: locks are those of a connection.
        self._server = LedgerServer(address, lock_s=_ALIVE_S)
        self._held = set[str]()
        self._lock = threading.Lock()

    def take(self, key: str) -> bool:
        with self._lock:
            if key not in self._held and self._ask("try_claim", key, otherwise=True):
                self._held.add(key)
            return key in self._held

    def wait(self, key: str, timeout_s: float) -> bool:
        return try_until(lambda: self.take(key), timeout_s, _FIRST_PAUSE_S, _MAX_PAUSE_S)

    def release(self, key: str) -> None:
        with self._lock:
            if key in self._held:
                self._held.remove(key)
                self._ask("release_claim", key, otherwise=True)

    def _ask(self, name: str, key: str, *, otherwise: bool) -> bool:
        try:
            row = self._server.ask(
                lambda c: c.execute(statement(name), (f"{self._schema}/{key}",)).fetchone()
            )
        except TidemillError:
            return otherwise
        return row is not None and bool(row[0])
