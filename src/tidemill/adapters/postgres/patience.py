"""Give up a server that is reached and doesn't answer: nothing else would wake who waits for it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psycopg


class _Question(NamedTuple):
    connection: psycopg.Connection[Any]
    until: float


class Patience:
    """Ends a connection once an answer took longer than `most_s`; whoever waits is told that it was lost.

    One thread watches all questions, and ends when it finds none: a thread for each would take longer than
    most answers.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._begin()

    def _begin(self) -> None:
        # A forked child has no thread, and may have copied a lock that is held.
        self._process, self._lock = os.getpid(), threading.Lock()
        self._asking: dict[object, _Question] = {}
        self._is_watched = False

    @contextmanager
    def with_answer(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Wait for no answer in this block for longer than that."""
        if self._process != os.getpid():
            self._begin()
        key = object()
        try:
            with self._lock:
                self._asking[key] = _Question(connection, time.monotonic() + self._most_s)
                if not self._is_watched:
                    threading.Thread(
                        target=self._watch, name="tidemill-patience", daemon=True
                    ).start()
                    self._is_watched = True
            yield
        finally:
            with self._lock:
                self._asking.pop(key, None)

    def _watch(self) -> None:
        while (pause_s := self._cut_late()) is not None:
            time.sleep(pause_s)

    def _cut_late(self) -> float | None:
        """End what takes too long; return when to look again, None if nothing is asked."""
        with self._lock:
            now = time.monotonic()
            for key, question in [*self._asking.items()]:
                if question.until <= now:
                    del self._asking[key]
                    _cut(question.connection)
            self._is_watched = bool(self._asking)
            return min((each.until - now for each in self._asking.values()), default=None)


def _cut(connection: psycopg.Connection[Any]) -> None:
    # It may be lost already; its own descriptor is closed by whoever waits.
    with (
        suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as found,
    ):
        found.shutdown(socket.SHUT_RDWR)
