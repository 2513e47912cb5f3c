"""Watch the ledger for what is live, from a thread of a running server.

A ledger that can't be read for a while stops nothing: what serves keeps serving, and the fault is known.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection

from tidemill.core.errors import TidemillError
from tidemill.ports.ledger import Ledger, State

POLL_S = 0.2

_log = logging.getLogger("tidemill.serving")


class LiveWatch:
    """Calls `changed` with the state of an environment when events of some kinds were recorded.

    `fault` says why the ledger can't be read now; "" if it can.
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
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidemill-live", daemon=True)
        self._seen = 0
        self._must_look = False
        self.fault = ""

    def start(self, state: State) -> None:
        """Watch for what is recorded after a state that is known."""
        self._seen = state.seq
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
        while not self._stop.wait(self._poll_s):
            self.poll()

    def poll(self) -> None:
        """Look once."""
        try:
            if self._must_look or self._has(self._seen, self._kinds) or self._is_older():
                self._must_look = False
                state = self._ledger.state(self._environment)
                self._changed(state)
                self._seen = state.seq
            self.fault = ""
        except TidemillError as error:
            self.fault = str(error)
        # The watch must not end: nothing else would follow what is live.
        except Exception as error:  # noqa: BLE001
            _log.exception("the ledger can't be followed")
            self.fault = f"the ledger can't be followed: {type(error).__name__}"

    def _has(self, after: int, kinds: Collection[str] = ()) -> bool:
        return any(True for _ in self._ledger.events(kinds=kinds, after=after, limit=1))

    def _is_older(self) -> bool:
        """Whether the ledger was restored from a backup that lacks what was seen."""
        return self._seen > 0 and not self._has(self._seen - 1)
