"""Make checkpoints of the ledger while a server runs: its events would be unsealed until it stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tidemill.core.errors import describe_error
from tidemill.core.lazy_dataclass import dataclass

_log = logging.getLogger("tidemill.serving")


@dataclass(frozen=True, slots=True)
class CheckpointOptions:
    """What makes a checkpoint if one is due, and how often to look whether one is, in seconds.

    `seal` returns what went wrong, "" if nothing did.
    """

    seal: Callable[[], str]
    every_s: float


class CheckpointWatch:
    """Makes checkpoints in the process that judges rollouts, in a thread beside the requests.

    `fault` says why none could be made the last time, and `failures` counts how often that happened. It is
    tried again when it is looked the next time.
    """

    def __init__(self, options: CheckpointOptions, judges: Callable[[], bool]) -> None:
        self._options = options
        self._judges = judges
        self.fault = ""
        self.failures = 0

    async def run(self) -> None:
        """Make checkpoints until this task is cancelled."""
        while True:
            await asyncio.sleep(self._options.every_s)
            if self._judges():
                self._note(await asyncio.to_thread(self._seal))

    def _seal(self) -> str:
        try:
            return self._options.seal()
        # Whatever a key or a place outside raises, requests are answered.
        except Exception as error:  # noqa: BLE001
            return f"no checkpoint was made: {describe_error(error)}"

    def _note(self, problem: str) -> None:
        if problem:
            self.failures += 1
            if problem != self.fault:
                _log.warning("%s", problem)
        self.fault = problem
