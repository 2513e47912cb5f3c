"""Keep a transaction of a server alive while its program does something else for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from tidemill.adapters.postgres.patience import Patience
from tidemill.adapters.postgres.server import Connection, statement


class Pulse:
    """Says now and then that a transaction goes on: the server gives up those that say nothing for long."""

    _timer: threading.Timer | None = None

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._lock = threading.Lock()

    @contextmanager
    def beside(self, connection: Connection, every_s: float) -> Iterator[None]:
        """Do so while the block lasts, or until it is stopped."""
        self._start(connection, every_s)
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """End it, so that the connection can be used for something else."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None

    def _start(self, connection: Connection, every_s: float) -> None:
        self._timer = threading.Timer(every_s, self._beat, (connection, every_s))
        self._timer.daemon = True
        self._timer.start()

    def _beat(self, connection: Connection, every_s: float) -> None:
        with self._lock:
            if self._timer is None:
                return
            # Whoever uses the connection next is told that it was lost.
            with suppress(psycopg.Error), self._patience.with_answer(connection):
                connection.execute(statement("still_here"))
                self._start(connection, every_s)
