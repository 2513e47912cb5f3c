"""Let a candidate compute the requests that another version answered, off the path of the replies."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from tidemill.core.errors import ConflictError
from tidemill.serving.answers import as_list
from tidemill.serving.errors import BrokenRows
from tidemill.serving.io.cpu_watch import CpuWatch
from tidemill.serving.io.loaded_version import LoadedVersion
from tidemill.serving.io.prediction_log import EndpointLog
from tidemill.serving.io.runner import USER_ERRORS
from tidemill.serving.rollout_counts import Output
from tidemill.serving.rollout_tally import RolloutTally
from tidemill.serving.rows import InferRequest

# Requests that wait for the candidate; beyond that they are dropped, and counted.
_MOST_WAITING = 256

_log = logging.getLogger("tidemill.serving")


class ShadowRequests:
    """Replays requests to a candidate one after the other, and compares its predictions.

    What it uses is the candidate's cost. A request that is dropped is counted for neither version. Its
    predictions are logged, too.
    """

    def __init__(
        self, candidate: LoadedVersion, tally: RolloutTally, log: EndpointLog | None = None
    ) -> None:
        self.drops = 0
        self._log = log
        self._candidate = candidate
        self._tally = tally
        self._waiting: deque[tuple[InferRequest, Sequence[Output], bytes | None]] = deque()
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def add(
        self, request: InferRequest, outputs: Sequence[Output], logged_as: bytes | None = None
    ) -> None:
        """Queue a request that was answered with these predictions, with its id if it is logged."""
        if len(self._waiting) >= _MOST_WAITING:
            self.drops += 1
            return
        self._waiting.append((request, outputs, logged_as))
        self._wake.set()

    async def close(self) -> None:
        """Stop; what waits is dropped."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._replay(*self._waiting.popleft())
                # Replies come first.
                await asyncio.sleep(0)

    async def _replay(
        self, request: InferRequest, outputs: Sequence[Output], logged_as: bytes | None
    ) -> None:
        watch = CpuWatch()
        try:
            answer, _ = await self._candidate.answer(request, watch, partial=False)
            found: Sequence[Output] | None = as_list(answer.columns[0])
            if self._log is not None and logged_as is not None:
                self._log.add(logged_as, "shadow", self._candidate.logged, request, answer)
            if answer.count != len(outputs):
                found = None
        except ConflictError:
            return
        except BrokenRows:
            # The version before accepted these rows: the candidate fails them.
            found = None
        except USER_ERRORS:
            _log.exception("the candidate %s failed a request", self._candidate.id)
            found = None
        finally:
            self._candidate.series.cpu_ns += watch.read_ns()
        self._tally.pair(outputs, found)
