"""Follow what other machines record in a shared ledger, as soon as its server tells of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg
from psycopg import sql

from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.server import channel_of, connect
from tidemill.core.errors import TidemillError

# Seconds: how often a quiet connection is asked whether it still is one, after how long a server that is away
# is asked again, and how long it takes to end.
_ALIVE_S, _AGAIN_S, _STOP_S = 10.0, 1.0, 0.25
# So long it gathers what it is told, so that many followers don't ask the server about every append.
_GATHER_S = 0.05


class LedgerFollower:
    """Calls `follow` in a thread whenever something was recorded, until it is closed.

    A server that is away is waited for: whoever reads the ledger is told that it is.
    """

    def __init__(self, address: HomeAddress, follow: Callable[[], None]) -> None:
        self._address = address
        self._follow = follow
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidemill-follow", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, after what it is following."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(TidemillError, psycopg.Error, OSError):
                self._listen()
            self._stop.wait(_AGAIN_S)

    def _listen(self) -> None:
        with connect(self._address, autocommit=True) as connection:
            channel = sql.Identifier(channel_of(self._address))
            connection.execute(sql.SQL("LISTEN {}").format(channel))
            # What was recorded before it listened.
            self._follow()
            quiet_s = 0.0
            while not self._stop.is_set():
                told = [*connection.notifies(timeout=_STOP_S, stop_after=1)]
                quiet_s = 0.0 if told else quiet_s + _STOP_S
                if told:
                    self._stop.wait(_GATHER_S)
                    # Following once covers these as well.
                    list(connection.notifies(timeout=0))
                    self._follow()
                elif quiet_s >= _ALIVE_S:
                    connection.execute("SELECT 1")
                    quiet_s = 0.0
