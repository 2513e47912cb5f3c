"""Bring endpoints to what is wanted of them, each in a task of its own, and try again what failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from tidemill.core.errors import TidemillError
from tidemill.serving.io.endpoint_service import EndpointService

# Seconds until what failed is tried again, at first and at most.
RETRY_S = 1.0
MOST_RETRY_S = 10.0

_log = logging.getLogger("tidemill.serving")


class EndpointTasks:
    """Calls `advance` for each endpoint until it returns that nothing is left to do.

    An error becomes the endpoint's fault, and `advance` is called again later.
    """

    def __init__(
        self,
        endpoints: Iterable[EndpointService],
        advance: Callable[[EndpointService], Awaitable[bool]],
    ) -> None:
        self.endpoints = list(endpoints)
        self._advance = advance
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def follow(self) -> None:
        """Begin again, because something else is wanted now."""
        for endpoint in self.endpoints:
            running = self._tasks.get(endpoint.name)
            if running is None or running.done():
                self._tasks[endpoint.name] = asyncio.create_task(self._follow(endpoint))
        # Whoever waits to try again looks at once: another version may be wanted now.
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """Stop, and close all versions."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for endpoint in self.endpoints:
            await endpoint.close()

    async def _follow(self, endpoint: EndpointService) -> None:
        delay = RETRY_S
        while True:
            # What is wanted may change while this tries, and then it tries again at once.
            changed = self._changed
            if await self._try(endpoint):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), delay)
            delay = RETRY_S if changed.is_set() else min(2 * delay, MOST_RETRY_S)

    async def _try(self, endpoint: EndpointService) -> bool:
        try:
            return await self._advance(endpoint)
        except TidemillError as error:
            _log.error("%s: %s", endpoint.name, error)
            endpoint.fault = str(error)
        # Nothing else would bring the endpoint to another version.
        except Exception as error:  # noqa: BLE001
            _log.exception("%s can't follow what is live", endpoint.name)
            endpoint.fault = f"it can't follow what is live: {type(error).__name__}: {error}"
        return False
