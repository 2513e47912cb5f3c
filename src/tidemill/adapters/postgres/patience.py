"""Give up a server that is reached and doesn't answer: nothing else would wake who waits for it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg


class Patience:
    """Ends a connection once an answer took longer than `most_s`; whoever waits is told that it was lost."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._lock = threading.Lock()

    @contextmanager
    def with_answer(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Wait for no answer in this block for longer than that."""
        asking = [connection]
        timer = threading.Timer(self._most_s, self._cut, (asking,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                asking.clear()

    def _cut(self, asking: list[psycopg.Connection[Any]]) -> None:
        with self._lock, suppress(OSError):
            for connection in asking:
                # Its own descriptor is closed by whoever waits.
                with socket.socket(fileno=os.dup(connection.fileno())) as found:
                    found.shutdown(socket.SHUT_RDWR)
