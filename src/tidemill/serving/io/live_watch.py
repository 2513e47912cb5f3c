"""Watch the ledger for what is live, from a thread of a running server.

A ledger that can't be read for a while stops nothing: what serves keeps serving, and the fault is known.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from tidemill.core.errors import TidemillError
from tidemill.ports.ledger import Ledger, State

POLL_S = 0.2
# What was read is stale after so many seconds without an answer of the ledger.
STALE_S = 3.0

_log = logging.getLogger("tidemill.serving")


class LiveWatch:
    """Calls `changed` with the state of an environment when events of some kinds were recorded.

    A look that isn't answered is as bad as one that fails: `read_at` is when the last one succeeded.
    """

    def __init__(
        self,
        ledger: Ledger,
        environment: str,
        kinds: Collection[str],
        changed: Callable[[State], None],
        poll_s: float = POLL_S,
    ) -> None:
        self._ledger = ledger
        self._environment = environment
        self._kinds = tuple(kinds)
        self._changed = changed
        self.poll_s = poll_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidemill-live", daemon=True)
        self._seen = 0
        self._must_look = False
        self._fault = ""
        self.read_at = time.time()

    @property
    def stale_since(self) -> float | None:
        """When the ledger was last read, if it can't be read now; else None."""
        is_stale = bool(self._fault) or time.time() - self.read_at > max(STALE_S, 3 * self.poll_s)
        return self.read_at if is_stale and self._thread.ident is not None else None

    @property
    def fault(self) -> str:
        """Why the ledger can't be read now; "" if it can."""
        if self._fault or self.stale_since is None:
            return self._fault
        return "the ledger doesn't answer: what is live is what it said last"

    def start(self, state: State) -> None:
        """Watch for what is recorded after a state that is known."""
        self._seen, self.read_at = state.seq, time.time()
        self._thread.start()

    def look_again(self) -> None:
        """Read the state at the next look, whatever was recorded; from any thread."""
        self._must_look = True

    def close(self) -> None:
        """End the watch, after a change that is being handled."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.poll_s):
            self.poll()

    def poll(self) -> None:
        """Look once."""
        try:
            if self._must_look or self._has(self._seen, self._kinds) or self._is_older():
                self._must_look = False
                state = self._ledger.state(self._environment)
                self._changed(state)
                self._seen = state.seq
            self._fault, self.read_at = "", time.time()
        except TidemillError as error:
            # Also what was asked for is still to be read.
            self._must_look, self._fault = True, str(error)
        # The watch must not end: nothing else would follow what is live.
        except Exception as error:  # noqa: BLE001
            _log.exception("the ledger can't be followed")
            self._must_look = True
            self._fault = f"the ledger can't be followed: {type(error).__name__}"

    def _has(self, after: int, kinds: Collection[str] = ()) -> bool:
        return any(True for _ in self._ledger.events(kinds=kinds, after=after, limit=1))

    def _is_older(self) -> bool:
        """Whether the ledger was restored from a backup that lacks what was seen."""
        return self._seen > 0 and not self._has(self._seen - 1)
