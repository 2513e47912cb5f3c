"""Watch the upgrade of a ledger, which takes minutes for millions of events, and let it be interrupted."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Nobody needs to know about an upgrade that is over by then.
QUIET_S = 1.0
# SQLite calls back after so many of its instructions: every few milliseconds.
_INSTRUCTIONS = 100_000


class _Watch:
    """Is called again and again while statements are executed."""

    def __init__(self, say: Callable[[], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._began = clock()
        self._has_spoken = False
        self.interrupt: KeyboardInterrupt | None = None

    def __call__(self) -> int:
        """Whether the statement is to be given up; Python handles signals only here."""
        try:
            if not self._has_spoken and self._clock() - self._began >= QUIET_S:
                self._has_spoken = True
                self._say()
        except KeyboardInterrupt as interrupt:
            self.interrupt = interrupt
            return 1
        return 0


@contextmanager
def watch_upgrade(
    connection: sqlite3.Connection,
    path: str,
    say: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Say once what is going on if the statements inside take long; Ctrl-C raises KeyboardInterrupt."""
    watch = _Watch(lambda: (say or _warn)(upgrade_notice(path)), clock)
    connection.set_progress_handler(watch, _INSTRUCTIONS)
    try:
        yield
    except sqlite3.OperationalError:
        if watch.interrupt is not None:
            raise watch.interrupt from None
        raise
    finally:
        connection.set_progress_handler(None, 0)


def upgrade_notice(path: str) -> str:
    """What is going on, why it takes long, and what happens if it is interrupted."""
    size = os.path.getsize(path) / 1e9
    return (
        f"upgrading the ledger {path} ({size:,.1f} GB) to the schema of this Tidemill: once, for up to a "
        "minute per GB. Ctrl-C loses nothing: the next command begins it again"
    )


def _warn(message: str) -> None:
    import logging

    logging.getLogger("tidemill").warning(message)
