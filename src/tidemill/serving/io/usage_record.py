"""Record what a server uses while it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from tidemill.core.errors import TidemillError
from tidemill.serving.counters import Snapshot
from tidemill.serving.io.meter import ADJUST_EVERY_S, Meter, resident_memory
from tidemill.serving.io.usage_recorder import UsageRecorder

_log = logging.getLogger("tidemill.serving")


class UsageRecord:
    """Adjusts the measured CPU times every few seconds, and records them now and then.

    Without a recorder another process records them. `fault` says why they can't be recorded now; what isn't
    is part of the next record.
    """

    def __init__(
        self, meter: Meter, recorder: UsageRecorder | None, snapshot: Callable[[], Snapshot]
    ) -> None:
        self._meter = meter
        self._recorder = recorder
        self._snapshot = snapshot
        self.fault = ""

    async def run(self) -> None:
        """Record until this task is cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(ADJUST_EVERY_S)
                self._meter.adjust(await asyncio.to_thread(resident_memory))
                recorder = self._recorder
                if recorder is not None and recorder.is_due(self._snapshot(), time.time()):
                    await self._record(recorder)
        finally:
            self._meter.adjust(resident_memory())
            if self._recorder is not None:
                await asyncio.shield(self._record_at_the_end(self._recorder))
                if self.fault:
                    lost = self._recorder.unrecorded(self._snapshot())
                    _log.error("the usage of %d requests isn't recorded yet: %s", lost, self.fault)

    async def _record_at_the_end(self, recorder: UsageRecorder) -> None:
        """Keep it first: whoever stops the server may not wait for a ledger that doesn't answer."""
        with suppress(TidemillError):
            await asyncio.to_thread(recorder.keep, self._snapshot(), time.time())
        await self._record(recorder)

    async def _record(self, recorder: UsageRecorder) -> None:
        try:
            await asyncio.to_thread(recorder.record, self._snapshot(), time.time())
            self.fault = ""
        except TidemillError as error:
            self.fault = str(error)
